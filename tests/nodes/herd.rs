//! Many streams, every connection cut at random moments, each time resumed on the other node: nothing is lost, nothing
//! comes twice, and every response ends.

use crate::{
    common::{Ended, Item, Request},
    node::Node,
    redis_server::RedisServer,
};
use std::{net::SocketAddr, time::Duration};

/// What one client saw.
#[derive(Default, Debug)]
pub struct Seen {
    pub received: u64,
    pub lost: u64,
    pub repeated: u64,
    cuts: u64,
    waits: u64,
    pub unended: u64,
}

/// Follows one stream to its end over as many connections as it takes.
pub async fn follow(nodes: [SocketAddr; 2], number: u64, events: u64, pace: u64, seed: u64) -> Seen {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut seen = Seen::default();
    let mut at = usize::try_from(number).unwrap() % 2;
    let by_header = number % 4 < 2;
    let mut cursor: Option<String> = None;
    let mut last = 0;
    loop {
        let request = match &cursor {
            None => Request::post(nodes[at], &format!("/count?n={events}&pace={pace}")),
            Some(token) if by_header => Request::get(nodes[at], "/resume").header("x-resume-token", token),
            Some(token) => Request::get(nodes[at], "/resume").header("last-event-id", token),
        };
        let mut reply = request.send().await;
        if reply.status != 200 {
            // A client that is told to come back a little later does.
            let status = reply.status;
            assert_eq!(status, 503, "{}", reply.text().await);
            seen.waits += 1;
            continue;
        }
        let mut patience = random.u64(1..=events / 3);
        loop {
            match reply.item().await {
                Ok(Item::Comment(_)) => {}
                Ok(Item::Event(event)) => {
                    cursor = event.id.clone().or(cursor);
                    match event.phase().as_deref() {
                        Some("end") => {
                            let end = event.json();
                            seen.lost += events - last;
                            let good = end["status"] == "complete" && end["seq"] == events;
                            let clean = reply.rest().await == (vec![], Ended::Clean);
                            seen.unended += u64::from(!good || !clean);
                            return seen;
                        }
                        Some("wait") => seen.waits += 1,
                        Some("gap") => panic!("a gap: {event:?}"),
                        Some(_) => {}
                        None => {
                            let number: u64 = event.data.parse().unwrap();
                            match number.checked_sub(last + 1) {
                                None => seen.repeated += 1,
                                Some(hole) => {
                                    seen.lost += hole;
                                    seen.received += 1;
                                    last = number;
                                }
                            }
                        }
                    }
                    patience -= 1;
                    if patience == 0 {
                        seen.cuts += 1;
                        break;
                    }
                }
                // An abrupt end asks the client to come again; a clean one before `end` must not be.
                Err(Ended::Abrupt) => break,
                Err(Ended::Clean) => {
                    seen.unended += 1;
                    return seen;
                }
            }
        }
        at = 1 - at;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_streams_cut_at_random_lose_nothing_and_repeat_nothing() {
    let (streams, events, pace) = (200, 200, 10);
    let Some(redis) = RedisServer::start().await else { return };
    let (one, other) = Node::pair(&redis.url()).await;
    let nodes = [one.addr, other.addr];
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let clients: Vec<_> = (0..streams)
        .map(|number| {
            let client = follow(nodes, number, events, pace, seed.wrapping_add(number));
            tokio::spawn(tokio::time::timeout(Duration::from_secs(600), client))
        })
        .collect();
    let mut all = Seen::default();
    for client in clients {
        match client.await.unwrap() {
            Ok(seen) => {
                all.received += seen.received;
                all.lost += seen.lost;
                all.repeated += seen.repeated;
                all.cuts += seen.cuts;
                all.waits += seen.waits;
                all.unended += seen.unended;
            }
            Err(_) => all.unended += 1,
        }
    }
    println!("{streams} streams of {events} events, two nodes, one Redis: expected {}, {all:?}", streams * events);
    assert_eq!((all.received, all.lost, all.repeated, all.unended), (streams * events, 0, 0, 0));
    assert!(all.cuts > streams, "every connection was cut");
}
