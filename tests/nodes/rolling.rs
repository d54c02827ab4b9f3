//! A rolling restart under load: each node is replaced by a new one, and no client notices more than a reconnect.

use crate::{
    common::{Ended, Item, Request},
    node::Node,
    redis_server::RedisServer,
};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// The nodes that a load balancer knows.
#[derive(Clone)]
struct Nodes(Arc<Mutex<Vec<SocketAddr>>>);

impl Nodes {
    fn get(&self, turn: usize) -> SocketAddr {
        let nodes = self.0.lock().unwrap();
        nodes[turn % nodes.len()]
    }

    fn replace(&self, old: &Node, new: &Node) {
        let mut nodes = self.0.lock().unwrap();
        nodes.retain(|addr| *addr != old.addr);
        nodes.push(new.addr);
    }
}

/// What one client saw.
#[derive(Default, Debug)]
struct Seen {
    received: u64,
    lost: u64,
    repeated: u64,
    reconnects: u64,
    /// Asked to come again: `wait`, 503, or nobody there.
    waits: u64,
    unended: u64,
}

/// What a client waits before it comes back; a quick one.
const RETRY: Duration = Duration::from_millis(100);

/// Reads one stream to its end over as many connections as it takes, by whatever node answers.
async fn read(nodes: &Nodes, turn: &mut usize, events: u64, pace: u64, seen: &mut Seen) {
    let mut cursor: Option<String> = None;
    let mut last = 0;
    loop {
        *turn += 1;
        let addr = nodes.get(*turn);
        let request = match &cursor {
            None => Request::post(addr, &format!("/count?n={events}&pace={pace}")),
            Some(token) if turn.is_multiple_of(2) => Request::get(addr, "/resume").header("x-resume-token", token),
            Some(token) => Request::get(addr, "/resume").header("last-event-id", token),
        };
        let mut reply = match request.ask().await {
            Ok(reply) if reply.status == 200 => reply,
            Ok(reply) => {
                assert_eq!(reply.status, 503);
                seen.waits += 1;
                tokio::time::sleep(RETRY).await;
                continue;
            }
            // It is gone, or went before it had answered.
            Err(_) => {
                seen.waits += 1;
                tokio::time::sleep(RETRY).await;
                continue;
            }
        };
        loop {
            match reply.item().await {
                Ok(Item::Comment(_)) => {}
                Ok(Item::Event(event)) => {
                    cursor = event.id.clone().or(cursor);
                    match event.phase().as_deref() {
                        Some("end") => {
                            seen.lost += events - last;
                            let good = event.json()["status"] == "complete" && event.json()["seq"] == events;
                            let clean = reply.rest().await == (vec![], Ended::Clean);
                            seen.unended += u64::from(!good || !clean);
                            return;
                        }
                        Some("wait") => seen.waits += 1,
                        Some("gap") => panic!("a gap: {event:?}"),
                        Some(_) => {}
                        None => match event.data.parse::<u64>().unwrap().checked_sub(last + 1) {
                            None => seen.repeated += 1,
                            Some(hole) => {
                                seen.lost += hole;
                                seen.received += 1;
                                last += hole + 1;
                            }
                        },
                    }
                }
                Err(Ended::Abrupt) => {
                    seen.reconnects += 1;
                    tokio::time::sleep(RETRY).await;
                    break;
                }
                Err(Ended::Clean) => {
                    seen.unended += 1;
                    return;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_of_two_nodes_under_load_loses_nothing() {
    let (clients, streams, events, pace) = (50, 3, 200, 40);
    let Some(redis) = RedisServer::start().await else { return };
    let (mut one, mut other) = Node::pair(&redis.url()).await;
    let nodes = Nodes(Arc::new(Mutex::new(vec![one.addr, other.addr])));
    let load: Vec<_> = (0..clients)
        .map(|client| {
            let nodes = nodes.clone();
            let client = async move {
                let (mut seen, mut turn) = (Seen::default(), client);
                // Not all at once, so that streams begin and end at any time.
                tokio::time::sleep(Duration::from_millis(client as u64 * 60)).await;
                for _ in 0..streams {
                    read(&nodes, &mut turn, events, pace, &mut seen).await;
                }
                seen
            };
            tokio::spawn(tokio::time::timeout(Duration::from_secs(400), client))
        })
        .collect();
    // Streams are under way by then, and many are yet to begin.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let mut fresh = Vec::new();
    for old in [&mut one, &mut other] {
        let new = Node::start(&redis.url()).await;
        nodes.replace(old, &new);
        let begun = Instant::now();
        old.terminate().await;
        assert!(old.gone().await, "it ended by itself, and well");
        let drained = old.last_words().await.expect("what was left");
        println!("a node drained in {:?}: {drained}", begun.elapsed());
        assert_eq!(drained, "Drained { interrupted: 0, unstored: 0, open: 0 }");
        fresh.push(new);
    }
    let mut all = Seen::default();
    for client in load {
        match client.await.unwrap() {
            Ok(seen) => {
                all.received += seen.received;
                all.lost += seen.lost;
                all.repeated += seen.repeated;
                all.reconnects += seen.reconnects;
                all.waits += seen.waits;
                all.unended += seen.unended;
            }
            Err(_) => all.unended += 1,
        }
    }
    let expected = clients as u64 * streams * events;
    println!(
        "{} streams of {events} events through a rolling restart: expected {expected}, {all:?}",
        clients as u64 * streams
    );
    assert_eq!((all.received, all.lost, all.repeated, all.unended), (expected, 0, 0, 0));
    assert!(all.reconnects > 0, "clients were sent away");
}
