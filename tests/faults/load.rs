//! Streams under way over two nodes, each with several clients, and how they came through.

use crate::{
    client::{Client, Outcome},
    common::{Reply, Request},
    logs::{Kept, kept},
    row::Row,
    scene::Scene,
};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};
use tower_resume::{EndStatus, RequestId, store::RedisStore};

/// Nothing that is waited for takes this long unless it never comes.
const PATIENCE: Duration = Duration::from_secs(90);

/// What each stream of a load is like.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub events: u64,
    /// Milliseconds between two events.
    pub pace: u64,
    pub pad: usize,
    /// The event that comes late, and by how many milliseconds.
    pub hush: Option<(u64, u64)>,
}

impl Default for Shape {
    /// About eight seconds, and no more events than a log keeps.
    fn default() -> Self {
        Self { events: 200, pace: 40, pad: 40, hush: None }
    }
}

/// A stream under way.
pub struct Stream {
    pub id: RequestId,
    /// The node that runs it.
    pub at: usize,
    pub token: String,
    /// What its first client has.
    pub first: Arc<AtomicU64>,
}

pub struct Load {
    shape: Shape,
    nodes: [SocketAddr; 2],
    doors: [SocketAddr; 2],
    pub streams: Vec<Stream>,
    firsts: Vec<JoinHandle<Outcome>>,
    others: Vec<JoinHandle<Outcome>>,
    recover: Option<Duration>,
}

impl Load {
    pub fn new(scene: &Scene, shape: Shape) -> Self {
        let nodes = [scene.nodes[0].addr, scene.nodes[1].addr];
        let doors = [scene.doors[0].addr, scene.doors[1].addr];
        let (streams, firsts, others) = (Vec::new(), Vec::new(), Vec::new());
        Self { shape, nodes, doors, streams, firsts, others, recover: None }
    }

    /// Begins so many streams, on the nodes by turns. Of each four, two have their first client only; the others have
    /// one that follows on the other node, and one that roams and is cut.
    pub async fn begin(&mut self, streams: usize) {
        self.begin_on(&[0, 1], streams).await;
    }

    pub async fn begin_on(&mut self, nodes: &[usize], streams: usize) {
        for number in 0..streams {
            let at = nodes[number % nodes.len()];
            self.begin_one(at, number).await;
        }
    }

    async fn begin_one(&mut self, at: usize, number: usize) {
        let Shape { events, pace, pad, hush } = self.shape;
        let (hush_at, hush) = hush.unwrap_or_default();
        let path = format!("/count?n={events}&pace={pace}&pad={pad}&hush_at={hush_at}&hush={hush}");
        let mut reply = Request::post(self.nodes[at], &path).patience(PATIENCE).send().await;
        let open = reply.phase("open").await;
        let token = open["token"].as_str().unwrap().to_owned();
        let id = request_id(open["request_id"].as_str().unwrap());
        let first = Arc::new(AtomicU64::new(0));
        let client = self.client(vec![self.nodes[1 - at]], &token, Arc::clone(&first));
        self.firsts.push(tokio::spawn(client.follow(Some(reply))));
        self.streams.push(Stream { id, at, token: token.clone(), first });
        if number % 4 >= 2 {
            self.add(vec![self.nodes[1 - at]], &token, false, false);
            self.add(self.doors.to_vec(), &token, number % 8 < 4, false);
        }
    }

    /// For each stream a client that comes only now, to the other node, and wants everything.
    pub fn latecomers(&mut self) {
        for at in 0..self.streams.len() {
            let (door, token) = (self.nodes[1 - self.streams[at].at], self.streams[at].token.clone());
            self.add(vec![door], &token, at % 2 == 1, true);
        }
    }

    fn client(&self, doors: Vec<SocketAddr>, token: &str, progress: Arc<AtomicU64>) -> Client {
        let (cursor, pad) = (token.to_owned(), self.shape.pad);
        Client { doors, as_browser: false, cursor, from_start: false, pad, progress }
    }

    fn add(&mut self, doors: Vec<SocketAddr>, token: &str, as_browser: bool, from_start: bool) {
        let client = Client { as_browser, from_start, ..self.client(doors, token, Arc::default()) };
        self.others.push(tokio::spawn(client.follow(None)));
    }

    /// What each first client has.
    pub fn firsts(&self) -> Vec<u64> {
        self.streams.iter().map(|stream| stream.first.load(Ordering::Relaxed)).collect()
    }

    /// Waits until every first client has this many events.
    pub async fn reach(&self, events: u64) {
        until("every first client has got its events", async || self.firsts().iter().all(|last| *last >= events)).await;
    }

    /// Waits until every first client has got so many more events, or all.
    pub async fn flow(&self, more: u64) {
        let goals: Vec<u64> = self.firsts().iter().map(|last| (last + more).min(self.shape.events)).collect();
        until("every first client gets events while the fault is on", async || {
            self.firsts().iter().zip(&goals).all(|(last, goal)| last >= goal)
        })
        .await;
    }

    /// Waits until the store holds every stream whole, up to what its first client has now; notes how long it took.
    pub async fn healed(&mut self, probe: &RedisStore) {
        let (began, goals) = (Instant::now(), self.firsts());
        for (stream, goal) in self.streams.iter().zip(goals) {
            until("the store holds the stream again", async || {
                let kept = kept(probe, stream.id, self.shape.pad).await;
                kept.is_some_and(|kept| kept.first == 1 && kept.last >= goal)
            })
            .await;
        }
        self.recover = Some(began.elapsed());
    }

    /// Waits for all clients; every stream has to be complete, and none of the first clients may have noticed anything.
    pub async fn finish(mut self, fault: &'static str, probe: &RedisStore) -> Row {
        let events = self.shape.events;
        let end = Some(("complete".to_owned(), events));
        let mut outcomes = Vec::new();
        for first in self.firsts.drain(..) {
            let outcome = outcome_of(first).await;
            if let Some(outcome) = &outcome {
                assert_eq!((&outcome.ledger.end, outcome.breaks), (&end, 0), "a first client noticed: {outcome:?}");
            }
            outcomes.push(outcome);
        }
        for other in self.others.drain(..) {
            let outcome = outcome_of(other).await;
            if let Some(outcome) = &outcome {
                assert_eq!(outcome.ledger.end, end, "{outcome:?}");
            }
            outcomes.push(outcome);
        }
        let whole = Some(Kept { first: 1, last: events, end: Some(EndStatus::Complete) });
        for stream in &self.streams {
            until("the store holds the whole stream", async || kept(probe, stream.id, self.shape.pad).await == whole)
                .await;
        }
        Row::of(fault, self.streams.len(), &outcomes, self.recover)
    }
}

/// What became of a client; `None` where it hangs.
async fn outcome_of(mut client: JoinHandle<Outcome>) -> Option<Outcome> {
    match timeout(PATIENCE, &mut client).await {
        Ok(outcome) => Some(outcome.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))),
        Err(_) => {
            client.abort();
            None
        }
    }
}

fn request_id(text: &str) -> RequestId {
    let hex: String = text.chars().filter(|c| *c != '-').collect();
    RequestId::from_bytes(u128::from_str_radix(&hex, 16).expect("an id").to_be_bytes())
}

/// Waits by condition.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !is_so().await {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("it never came: {what}"));
}
