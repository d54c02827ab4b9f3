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
pub const PATIENCE: Duration = Duration::from_secs(180);

/// The events that a log keeps, and the fewest that it has to keep: it lets whole chunks go.
const KEPT: u64 = 256;
const KEPT_AT_LEAST: u64 = KEPT - 16;

/// What each stream of a load is like.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub events: u64,
    /// Milliseconds between two events.
    pub pace: u64,
    pub pad: usize,
    /// The event that comes late, and by how many milliseconds.
    pub hush: Option<(u64, u64)>,
    /// No clients but the first: where events come as fast as they are taken, the quickest reader of a node sets the pace,
    /// and a slower one may be told of a gap.
    pub alone: bool,
    /// What else the handler is told, in its path.
    pub fate: &'static str,
}

impl Default for Shape {
    /// About eight seconds, and no more events than a log keeps.
    fn default() -> Self {
        Self { events: 200, pace: 40, pad: 40, hush: None, alone: false, fate: "" }
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

/// A client's part in its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    First,
    /// From the beginning, on the other node.
    Follower,
    /// On either node, cut at random.
    Roamer,
    Latecomer,
}

/// A client under way.
struct Following {
    stream: usize,
    who: Who,
    /// What it has.
    has: Arc<AtomicU64>,
    task: JoinHandle<Outcome>,
}

/// How one client of one stream came through.
#[derive(Debug)]
pub struct Seen {
    pub stream: usize,
    pub who: Who,
    /// `None`: it hangs.
    pub outcome: Option<Outcome>,
}

pub struct Load {
    shape: Shape,
    nodes: [SocketAddr; 2],
    doors: [SocketAddr; 2],
    pub streams: Vec<Stream>,
    clients: Vec<Following>,
    recover: Option<Duration>,
}

impl Load {
    pub fn new(scene: &Scene, shape: Shape) -> Self {
        Self::over([0, 1].map(|at: usize| (scene.nodes[at].addr, scene.doors[at].addr)), shape)
    }

    /// Over two nodes, each with the door that roaming clients take to it.
    pub fn over(nodes: [(SocketAddr, SocketAddr); 2], shape: Shape) -> Self {
        let (nodes, doors) = (nodes.map(|(node, _)| node), nodes.map(|(_, door)| door));
        Self { shape, nodes, doors, streams: Vec::new(), clients: Vec::new(), recover: None }
    }

    /// Begins so many streams, on the nodes by turns. Of each four, two have their first client only; the others have
    /// one that follows on the other node, and one that roams and is cut.
    pub async fn begin(&mut self, streams: usize) {
        self.begin_on(&[0, 1], streams).await;
    }

    pub async fn begin_on(&mut self, nodes: &[usize], streams: usize) {
        for number in 0..streams {
            let at = nodes[number % nodes.len()];
            self.begin_one(at).await;
        }
    }

    /// Whether this stream has a client that follows, and one that roams, from its beginning on.
    pub const fn is_followed(stream: usize) -> bool {
        stream % 4 >= 2
    }

    async fn begin_one(&mut self, at: usize) {
        let Shape { events, pace, pad, hush, alone, fate } = self.shape;
        let (hush_at, hush) = hush.unwrap_or_default();
        let path = format!("/count?n={events}&pace={pace}&pad={pad}&hush_at={hush_at}&hush={hush}{fate}");
        let mut reply = Request::post(self.nodes[at], &path).patience(PATIENCE).send().await;
        let open = reply.phase("open").await;
        let token = open["token"].as_str().unwrap().to_owned();
        let id = request_id(open["request_id"].as_str().unwrap());
        let first = Arc::new(AtomicU64::new(0));
        let client = self.client(vec![self.nodes[1 - at]], &token, Arc::clone(&first));
        let (stream, has) = (self.streams.len(), Arc::clone(&first));
        self.streams.push(Stream { id, at, token, first });
        let task = tokio::spawn(client.follow(Some(reply)));
        self.clients.push(Following { stream, who: Who::First, has, task });
        if Self::is_followed(stream) && !alone {
            self.add(stream, Who::Follower, vec![self.nodes[1 - at]], false);
            self.add(stream, Who::Roamer, self.doors.to_vec(), stream % 8 < 4);
        }
    }

    /// For each stream a client that comes only now, to the other node, and wants everything.
    pub fn latecomers(&mut self) {
        for stream in 0..self.streams.len() {
            let door = self.nodes[1 - self.streams[stream].at];
            self.add(stream, Who::Latecomer, vec![door], stream % 2 == 1);
        }
    }

    fn client(&self, doors: Vec<SocketAddr>, token: &str, progress: Arc<AtomicU64>) -> Client {
        let (cursor, pad) = (token.to_owned(), self.shape.pad);
        Client { doors, as_browser: false, cursor, from_start: false, pad, progress }
    }

    fn add(&mut self, stream: usize, who: Who, doors: Vec<SocketAddr>, as_browser: bool) {
        let (token, has) = (&self.streams[stream].token, Arc::default());
        let client = self.client(doors, token, Arc::clone(&has));
        let client = Client { as_browser, from_start: who == Who::Latecomer, ..client };
        self.clients.push(Following { stream, who, has, task: tokio::spawn(client.follow(None)) });
    }

    /// What each first client has.
    pub fn firsts(&self) -> Vec<u64> {
        self.streams.iter().map(|stream| stream.first.load(Ordering::Relaxed)).collect()
    }

    /// Waits until every first client has this many events.
    pub async fn reach(&self, events: u64) {
        until("every first client has got its events", async || self.firsts().iter().all(|last| *last >= events)).await;
    }

    /// Waits until all clients who have this part have this many events.
    pub async fn reached_by(&self, who: Who, events: u64) {
        until("they have got their events", async || {
            let theirs = self.clients.iter().filter(|client| client.who == who);
            theirs.map(|client| client.has.load(Ordering::Relaxed)).all(|last| last >= events)
        })
        .await;
    }

    /// Waits until every first client has got so many more events, or all.
    pub async fn flow(&self, more: u64) {
        let goals: Vec<u64> = self.firsts().iter().map(|last| (last + more).min(self.shape.events)).collect();
        until("every first client gets events while the fault is on", async || {
            self.firsts().iter().zip(&goals).all(|(last, goal)| last >= goal)
        })
        .await;
    }

    /// What the store holds of a stream.
    pub async fn kept(&self, probe: &RedisStore, stream: usize) -> Option<Kept> {
        kept(probe, self.streams[stream].id, self.shape.pad).await
    }

    /// Whether a log holds all that is to be kept of the first so many events.
    fn is_whole(kept: Kept, events: u64) -> bool {
        let first =
            if events > KEPT { kept.first > 1 && kept.first <= kept.last + 1 - KEPT_AT_LEAST } else { kept.first == 1 };
        first && kept.last >= events
    }

    /// Waits until the store holds every stream whole, up to what its first client has now; notes how long it took.
    pub async fn healed(&mut self, probe: &RedisStore) {
        let (began, goals) = (Instant::now(), self.firsts());
        for (stream, goal) in goals.into_iter().enumerate() {
            until("the store holds the stream again", async || {
                self.kept(probe, stream).await.is_some_and(|kept| Self::is_whole(kept, goal))
            })
            .await;
        }
        self.recover = Some(began.elapsed());
    }

    /// Notes that it took from this moment until now.
    pub fn recovered_since(&mut self, began: Instant) {
        self.recover = Some(began.elapsed());
    }

    /// Waits until all clients who have this part are done.
    pub async fn done(&self, who: Who) {
        until("they are done", async || {
            self.clients.iter().all(|client| client.who != who || client.task.is_finished())
        })
        .await;
    }

    /// Waits for all clients, and makes the row of them.
    pub async fn come_through(&mut self, fault: &'static str) -> (Row, Vec<Seen>) {
        let mut seen = Vec::new();
        for Following { stream, who, task, .. } in std::mem::take(&mut self.clients) {
            seen.push(Seen { stream, who, outcome: outcome_of(task).await });
        }
        (Row::of(fault, self.streams.len(), &seen, self.recover), seen)
    }

    /// Waits for all clients; every stream has to be complete, also in the store, and none of the first clients may have
    /// noticed anything.
    pub async fn finish(mut self, fault: &'static str, probe: &RedisStore) -> Row {
        let (row, all) = self.come_through(fault).await;
        row.check();
        let events = self.shape.events;
        for seen in all {
            let outcome = seen.outcome.expect("none hangs");
            assert_eq!(outcome.ledger.end, Some(("complete".to_owned(), events)), "{:?} of {}", seen.who, seen.stream);
            if seen.who == Who::First {
                assert_eq!((outcome.breaks, &*outcome.ledger.gaps), (0, &[][..]), "a first client noticed");
            }
        }
        for stream in 0..self.streams.len() {
            until("the store holds the whole stream", async || {
                let kept = self.kept(probe, stream).await;
                kept.is_some_and(|kept| Self::is_whole(kept, events) && kept.end == Some(EndStatus::Complete))
            })
            .await;
        }
        row
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
            // A look now and then.
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("it never came: {what}"));
}
