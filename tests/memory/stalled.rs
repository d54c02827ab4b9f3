//! One client that takes nothing, and a handler that does not stop.

use crate::{
    KIB, MIB,
    common::{Ended, call, get_stream, layer},
    fast::{Pace, number},
    measured, runtime,
};
use std::time::Duration;
use tokio::time::sleep;
use tower::Layer as _;

/// What a stream keeps by default.
const KEPT: u64 = 1536 * KIB;

/// 100 MB go by: the log in the node, the one in the (memory) store, and what the client has yet to take of the first.
#[test]
fn a_client_that_stalls_costs_no_more_than_what_a_stream_keeps_and_is_told_what_it_missed() {
    const EVENTS: u64 = 10_000;
    let runtime = runtime();
    let pace = Pace::new();
    let service = layer().layer(pace.handler(10_000));
    let (mut reply, memory) = measured(&runtime, async {
        let mut reply = call(service.clone(), get_stream()).await;
        reply.phase("open").await;
        pace.go_to(EVENTS);
        sleep(Duration::from_secs(600)).await;
        reply.bytes = Vec::new();
        reply
    });
    println!("a stalled client of a stream of {} MiB: {} KiB at most", EVENTS * 10_000 / MIB, memory.most / KIB);
    assert!(memory.most <= 2 * KEPT + MIB, "{} KiB", memory.most / KIB);
    runtime.block_on(async {
        let gap = reply.phase("gap").await;
        let to = gap["to"].as_u64().unwrap();
        assert_eq!((gap["from"].as_u64(), gap["reason"].as_str()), (Some(1), Some("trimmed")));
        assert!(EVENTS - to >= KEPT / 10_000 - 1, "what is kept is still there: {to}");
        pace.go_to(u64::MAX);
        for next in to + 1..=EVENTS {
            assert_eq!(number(&reply.event().await.data), next);
        }
        assert_eq!(reply.phase("end").await["seq"], EVENTS);
        assert_eq!(reply.frame().await, Err(Ended::Clean));
    });
}

/// Comments are not kept, and what is too large is not either: both wait for the first client, and count.
#[test]
fn what_merely_passes_fills_a_node_as_well() {
    let runtime = runtime();
    for (what, before, piece, pieces) in [
        ("comments", "", format!(": {}\n\n", "x".repeat(10_000)), 100),
        ("an event without end", "data: ", "x".repeat(10_000), 200),
        ("half an event", "data: ", "x".repeat(10_000), 100),
    ] {
        let handler = crate::common::Handler::new();
        let service = handler.router().layer(layer().max_node_bytes(8 * MIB as usize));
        runtime.block_on(async {
            let mut open = Vec::new();
            for _ in 0..16 {
                let mut reply = call(service.clone(), get_stream()).await;
                reply.phase("open").await;
                let told = handler.told().await;
                told.send(before);
                (0..pieces).for_each(|_| told.send(piece.clone()));
                open.push((reply, told));
            }
            sleep(Duration::from_millis(1)).await;
            let refused = call(service.clone(), get_stream()).await;
            assert_eq!(refused.header("x-resume-degraded"), Some("capacity"), "{what}");
            drop(handler.told().await);
            drop(open);
            sleep(Duration::from_millis(1)).await;
            let next = call(service.clone(), get_stream()).await;
            assert_eq!(next.header("x-resume-degraded"), None, "{what}: it is given back");
            drop(handler.told().await);
        });
    }
}
