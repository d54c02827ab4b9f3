//! `max_node_bytes`: a node that holds as much as it may refuses new streams, cuts none that runs, and takes no more.

use crate::{
    KIB, MIB,
    common::{Ended, Reply, Switch, call, get_stream, keys, until},
    fast::{Pace, number},
    measured, runtime,
};
use axum::body::Body;
use futures_util::future::join_all;
use http::Request;
use std::{num::NonZeroUsize, time::Duration};
use tokio::time::sleep;
use tower::Layer as _;
use tower_resume::{ResumeLayer, store::MemoryStore};

const STREAMS: usize = 48;
const EVENTS: u64 = 3000;
const MAX: u64 = 8 * MIB;
/// What a stream may take on a node that is full, beyond what it held when that came: a batch that its client has yet to
/// take and one that is being added; and what is on its way to that client.
const A_STREAM: u64 = (2 * 64 + 64) * KIB;

fn layer(store: Switch) -> ResumeLayer<Switch> {
    let size = |size| NonZeroUsize::new(size).unwrap();
    let layer = ResumeLayer::new(store, keys()).tokens_are_enough().max_events(size(8192)).max_bytes(size(2 << 20));
    layer.max_node_bytes(usize::try_from(MAX).unwrap()).detach_time(Duration::from_secs(3600))
}

fn resume(token: &str) -> Request<Body> {
    Request::get("/stream").header("x-resume-token", token).body(Body::empty()).unwrap()
}

/// A client, and what it has of its stream.
struct Client {
    reply: Reply,
    last: u64,
    gaps: Vec<(u64, u64)>,
}

impl Client {
    fn of(reply: Reply) -> Self {
        Self { reply, last: 0, gaps: Vec::new() }
    }

    /// Reads up to this event, or to the end. How the stream ended.
    async fn read_to(&mut self, upto: u64) -> Option<String> {
        while self.last < upto {
            // A client of many megabytes keeps none of them.
            self.reply.bytes.clear();
            let event = self.reply.event().await;
            match event.phase().as_deref() {
                None => {
                    assert_eq!(number(&event.data), self.last + 1);
                    self.last += 1;
                }
                Some("gap") => {
                    let (from, to) = (event.json()["from"].as_u64().unwrap(), event.json()["to"].as_u64().unwrap());
                    assert_eq!(from, self.last + 1, "a gap begins behind what the client has");
                    self.gaps.push((from, to));
                    self.last = to;
                }
                Some("end") => return Some(event.json()["status"].as_str().unwrap().to_owned()),
                Some(_) => {}
            }
        }
        None
    }

    /// To the end, which is clean.
    async fn read_all(mut self) -> (u64, Vec<(u64, u64)>) {
        let status = self.read_to(u64::MAX).await;
        assert_eq!(status.as_deref(), Some("complete"));
        assert_eq!(self.reply.frame().await, Err(Ended::Clean));
        (self.last, self.gaps)
    }
}

/// A third of the clients reads, a third leaves, and a third stays and takes nothing.
#[test]
fn an_outage_with_many_fast_streams_takes_no_more_than_the_node_may() {
    let runtime = runtime();
    let memory = MemoryStore::new();
    let store = Switch::new(&memory).shared().remote();
    let elsewhere = Switch::new(&memory).shared().remote();
    let pace = Pace::new();
    let service = layer(store.clone()).layer(pace.handler(1000));
    let other = layer(elsewhere).layer(Pace::new().handler(1000));

    let (mut clients, tokens) = runtime.block_on(async {
        pace.go_to(10);
        let replies = join_all((0..STREAMS).map(|_| call(service.clone(), get_stream()))).await;
        let tokens: Vec<_> = replies.iter().map(|reply| reply.header("x-resume-token").unwrap().to_owned()).collect();
        let mut clients: Vec<_> = replies.into_iter().map(Client::of).collect();
        for client in &mut clients {
            client.read_to(10).await;
        }
        sleep(Duration::from_secs(1)).await;
        (clients, tokens)
    });
    store.set_down(true);

    let (readers, outage) = measured(&runtime, async {
        clients.truncate(STREAMS * 2 / 3);
        pace.go_to(EVENTS);
        let readers = clients.split_off(STREAMS / 3).into_iter().map(async |mut client| {
            assert_eq!(client.read_to(EVENTS).await, None);
            client
        });
        let readers = join_all(readers).await;
        // Long enough for those who take nothing to be let go.
        sleep(Duration::from_secs(600)).await;
        readers
    });
    println!(
        "{STREAMS} streams of {EVENTS} events of 1,000 bytes in an outage: {} KiB at most, of {} and {} a stream",
        outage.most / KIB,
        MAX / KIB,
        A_STREAM / KIB
    );
    assert!(outage.most <= MAX + STREAMS as u64 * A_STREAM, "{} KiB", outage.most / KIB);
    assert!(outage.most >= MAX / 2, "the node was not full");

    runtime.block_on(async {
        let refused = call(service.clone(), get_stream()).await;
        assert_eq!(refused.header("x-resume-degraded"), Some("capacity"));
        drop(refused);

        store.set_down(false);
        pace.go_to(u64::MAX);
        for client in readers {
            assert_eq!(client.read_all().await, (EVENTS, vec![]), "a client that reads misses nothing");
        }
        for client in clients {
            let (last, gaps) = client.read_all().await;
            assert_eq!((last, gaps.len()), (EVENTS, 1), "one that stalled is told what it has missed, once: {gaps:?}");
        }
        for token in &tokens {
            let mut late = None;
            until("the stream is in the store, whole", async || {
                let reply = call(other.clone(), resume(token)).await;
                let mut client = Client::of(reply);
                if client.reply.status != 200 || client.reply.phase("replay").await["status"] != "complete" {
                    return false;
                }
                late = Some(client);
                true
            })
            .await;
            let (last, gaps) = late.unwrap().read_all().await;
            assert_eq!((last, gaps.len()), (EVENTS, 1), "what was kept is stored: {gaps:?}");
        }
    });
}

/// A page from the store is up to 256 KiB, and each of those who are behind has one.
#[test]
fn a_thousand_readers_that_are_behind_and_take_nothing_hold_no_more_than_the_node_may() {
    let runtime = runtime();
    let memory = MemoryStore::new();
    let pace = Pace::new();
    let service = layer(Switch::new(&memory).shared().remote()).layer(pace.handler(1000));
    let other = layer(Switch::new(&memory).shared().remote()).layer(Pace::new().handler(1000));
    let token = runtime.block_on(async {
        pace.go_to(1900);
        let mut client = Client::of(call(service.clone(), get_stream()).await);
        client.read_to(1900).await;
        let token = client.reply.header("x-resume-token").unwrap().to_owned();
        sleep(Duration::from_secs(1)).await;
        drop(client);
        token
    });
    let ((ahead, checked, others), memory) = measured(&runtime, async {
        // The follower's own log begins at the end; all who come from the start are behind it.
        let at_end = Request::get("/stream").header("x-resume-token", &token).header("x-resume-from", "1900");
        let mut ahead = call(other.clone(), at_end.body(Body::empty()).unwrap()).await;
        ahead.phase("replay").await;
        let (mut checked, mut others) = (Vec::new(), Vec::new());
        for at in 0..1000 {
            let mut client = Client::of(call(other.clone(), resume(&token)).await);
            assert_eq!(client.reply.status, 200);
            if at % 50 == 0 {
                client.read_to(1).await;
                checked.push(client);
            } else {
                client.reply.frame().await.unwrap();
                // What was written is not the node's any longer.
                client.reply.bytes = Vec::new();
                others.push(client.reply);
            }
        }
        (ahead, checked, others)
    });
    // A reader itself; and for those that are checked, what the test has of them.
    let (a_reader, a_check) = (8 * KIB, 512 * KIB);
    println!("1,000 readers behind a followed stream: {} KiB at most", memory.most / KIB);
    assert!(memory.most <= MAX + 1000 * a_reader + 20 * a_check, "{} KiB", memory.most / KIB);
    runtime.block_on(async {
        pace.go_to(u64::MAX);
        drop((ahead, others));
        for client in checked {
            assert_eq!(client.read_all().await, (1900, vec![]), "and each gets everything");
        }
    });
}
