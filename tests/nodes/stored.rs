//! Durability `Stored`, with real processes: a node is killed at random instants, and what its clients had seen is read
//! back from the store by another node, byte for byte.

use crate::{
    common::{
        Item, Reply, Request,
        blocks::{blocks, events},
        until,
    },
    node::Node,
    redis_server::RedisServer,
    two_nodes::answer,
};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{task::JoinHandle, time::sleep};

const STREAMS: usize = 80;
const STORED: (&str, &str) = ("TOWER_RESUME_TEST_DURABILITY", "stored");
const ROOMY: (&str, &str) = ("SSE_BUFFER_MAX_EVENTS", "8192");
const LARGE: (&str, &str) = ("SSE_BUFFER_MAX_SIZE_MB", "16");

/// A client that takes all it gets, for as long as it gets it.
struct Client {
    token: String,
    /// The last event that it has got so far.
    last: Arc<AtomicU64>,
    task: JoinHandle<Reply>,
}

impl Client {
    async fn start(node: SocketAddr) -> Self {
        let mut reply = Request::post(node, "/count?n=100000&pace=2&pad=100").send().await;
        assert_eq!(reply.status, 200);
        let token = reply.header("x-resume-token").unwrap().to_owned();
        let last = Arc::<AtomicU64>::default();
        let seen = Arc::clone(&last);
        let task = tokio::spawn(async move {
            while let Ok(item) = reply.item().await {
                if let Item::Event(event) = item
                    && event.phase().is_none()
                {
                    seen.fetch_add(1, Ordering::Relaxed);
                }
            }
            reply
        });
        Self { token, last, task }
    }

    /// The last event that its node shows anybody.
    async fn shown(&self, node: SocketAddr) -> u64 {
        let request = Request::get(node, "/resume").header("x-resume-token", &self.token);
        let status = request.header("x-resume-mode", "status").send().await.json().await;
        status["last"].as_u64().unwrap()
    }

    /// What it has seen by the time that its node is gone.
    async fn seen(self) -> (String, Vec<Vec<u8>>) {
        let reply = self.task.await.unwrap();
        (self.token, events(&blocks(&reply.bytes)))
    }
}

async fn clients(node: SocketAddr) -> Vec<Client> {
    futures_util::future::join_all((0..STREAMS).map(|_| Client::start(node))).await
}

/// Everything that the store has of a stream, as another node reads it.
async fn stored(node: SocketAddr, token: &str) -> Vec<Vec<u8>> {
    let request = || Request::get(node, "/resume").header("x-resume-token", token);
    // This node may not have found its Redis again yet.
    let mut reply = answer(|| request().header("x-resume-from", "0").header("x-resume-mode", "replay")).await;
    assert_eq!(reply.status, 200);
    while reply.frame().await.is_ok() {}
    events(&blocks(&reply.bytes))
}

#[derive(Debug, Default)]
struct Round {
    seen: usize,
    found: usize,
    lost: usize,
    /// What the store had and no client had seen yet.
    ahead: usize,
}

/// Holds what clients had seen against what another node reads from the store.
async fn compare(node: SocketAddr, clients: Vec<Client>) -> Round {
    let mut round = Round::default();
    for client in clients {
        let (token, seen) = client.seen().await;
        if seen.is_empty() {
            // Its stream may not have begun in the store.
            continue;
        }
        let stored = stored(node, &token).await;
        let found = seen.iter().zip(&stored).take_while(|(seen, stored)| seen == stored).count();
        round.seen += seen.len();
        round.found += found;
        round.lost += seen.len() - found;
        round.ahead += stored.len() - found;
    }
    round
}

/// Kills a node under load at a random instant.
async fn killed(other: SocketAddr, redis: &RedisServer, env: &[(&str, &str)]) -> (u64, Round) {
    let mut node = Node::start_with(&redis.url(), env).await;
    let clients = clients(node.addr).await;
    until("there is something to lose", async || clients.iter().any(|client| client.last.load(Ordering::Relaxed) > 0))
        .await;
    let after = fastrand::u64(0..1500);
    // The instant is what is tested.
    sleep(Duration::from_millis(after)).await;
    node.kill().await;
    (after, compare(other, clients).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_killed_at_any_instant_takes_nothing_with_it_that_a_client_has_seen() {
    let Some(redis) = RedisServer::start().await else { return };
    let other = Node::start_with(&redis.url(), &[ROOMY, LARGE]).await;
    for number in 1..=6 {
        let (after, round) = killed(other.addr, &redis, &[STORED, ROOMY, LARGE]).await;
        println!("stored, round {number}: {STREAMS} streams, kill -9 after {after} ms: {round:?}");
        assert!(round.seen > 0, "there was nothing to lose");
        assert_eq!((round.lost, round.found), (0, round.seen));
    }
    let (after, round) = killed(other.addr, &redis, &[ROOMY, LARGE]).await;
    println!("relaxed, for comparison: {STREAMS} streams, kill -9 after {after} ms: {round:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_seen_is_in_the_store_again_after_redis_has_lost_it_and_the_node_is_killed_then() {
    for old_dump in [false, true] {
        let Some(mut redis) = RedisServer::start().await else { return };
        let other = Node::start_with(&redis.url(), &[ROOMY, LARGE]).await;
        let mut node = Node::start_with(&redis.url(), &[STORED, ROOMY, LARGE]).await;
        let clients = clients(node.addr).await;
        // Redis is lost at any instant, and its dump is of any instant before.
        sleep(Duration::from_millis(fastrand::u64(200..600))).await;
        if old_dump {
            redis.cli(&["SAVE"]).await;
            sleep(Duration::from_millis(fastrand::u64(200..600))).await;
        }
        redis.kill().await;
        until("the node has noticed", async || {
            Request::post(node.addr, "/count?n=1").send().await.header("x-resume-degraded") == Some("store")
        })
        .await;
        // What is confirmed by now is all that is shown until Redis is back.
        let shown = futures_util::future::join_all(clients.iter().map(|client| client.shown(node.addr))).await;
        redis.restart().await;
        // A new event is seen once the log is whole again.
        for (client, shown) in clients.iter().zip(&shown) {
            until("its client sees new events", async || {
                assert!(!client.task.is_finished(), "its response was cut");
                client.last.load(Ordering::Relaxed) > *shown
            })
            .await;
        }
        node.kill().await;
        let round = compare(other.addr, clients).await;
        println!("Redis lost and back {}, then kill -9: {round:?}", if old_dump { "older" } else { "empty" });
        assert_eq!((round.lost, round.found), (0, round.seen));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_wait_for_a_replica_that_hangs_and_flow_again_with_it() {
    let Some(redis) = RedisServer::start().await else { return };
    let Some(replica) = redis.replica().await else { return };
    let replicas = ("TOWER_RESUME_TEST_REPLICAS", "1");
    let node = Node::start_with(&redis.url(), &[STORED, replicas, ROOMY, LARGE]).await;
    let mut reply = Request::post(node.addr, "/count?n=100000&pace=2").send().await;
    let token = reply.phase("open").await["token"].as_str().unwrap().to_owned();
    let mut seen = 0;
    let mut next = async |reply: &mut Reply| {
        let data = reply.event().await.data;
        seen += 1;
        assert_eq!(data, seen.to_string());
        seen
    };
    while next(&mut reply).await < 100 {}
    replica.pause().await;
    // What was confirmed by then still comes; then nothing but what the layer says by itself.
    while tokio::time::timeout(Duration::from_secs(1), next(&mut reply)).await.is_ok() {}
    // On the primary the log goes on, and what this node says of it does not.
    let log = redis.cli(&["KEYS", "*:log"]).await.list()[0].text().to_owned();
    until("the log is ahead", async || {
        let status = Request::get(node.addr, "/resume").header("x-resume-token", &token);
        let status = status.header("x-resume-mode", "status").send().await.json().await;
        let newest = redis.cli(&["XREVRANGE", &log, "+", "-", "COUNT", "1"]).await;
        let newest: u64 = newest.list()[0].list()[0].text().split('-').next().unwrap().parse().unwrap();
        status["last"].as_u64().unwrap() < newest
    })
    .await;
    replica.resume().await;
    for _ in 0..100 {
        next(&mut reply).await;
    }
}
