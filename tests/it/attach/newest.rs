//! Of several streams of one name the newest has it: on every node, whatever their clocks say and whichever of them was
//! out of reach of the store.

use super::{SECOND, START, nodes, nothing};
use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::sleep;
use tower_resume::{Attach, Clock};

#[tokio::test(start_paused = true)]
async fn of_several_streams_of_one_name_the_newest_has_it() {
    let ttl = Duration::from_secs(100);
    let nodes = nodes(|layer| layer.state_ttl(ttl));
    let (_one, _first) = nodes.named(0, "chat:1").await;
    let (other, second) = nodes.named(1, "chat:1").await;
    let stream = other.header("x-resume-stream").unwrap().to_owned();
    for age in [Duration::ZERO, ttl * 5] {
        // The older one runs on, and does not take its name back.
        sleep(age).await;
        for node in 0..2 {
            let reply = nodes.attach(node, Attach::to("chat:1")).await;
            assert_eq!(reply.header("x-resume-stream"), Some(&*stream), "node {node} after {age:?}");
        }
    }
    drop(second);
    sleep(SECOND).await;
    for node in 0..2 {
        nothing(nodes.attach(node, Attach::to("chat:1")).await).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_newest_has_it_from_one_that_is_over_also_where_the_clock_was_set_back() {
    for back in [0, 1, 3_600_000] {
        for _ in 0..8 {
            let now = Arc::new(AtomicU64::new(START));
            let clock = Arc::clone(&now);
            let nodes = nodes(move |layer| {
                let clock = Arc::clone(&clock);
                layer.clock(Clock::new(move || clock.load(Relaxed)))
            });
            let (mut one, first) = nodes.named(0, "chat:1").await;
            drop(first);
            one.rest().await;
            sleep(SECOND).await;
            now.store(START - back, Relaxed);
            let (other, _second) = nodes.named(0, "chat:1").await;
            let stream = other.header("x-resume-stream").unwrap();
            for node in 0..2 {
                let reply = nodes.attach(node, Attach::to("chat:1")).await;
                assert_eq!(reply.header("x-resume-stream"), Some(stream), "node {node}, {back} ms");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_newest_has_it_whatever_the_nodes_clocks_say() {
    let ttl = Duration::from_secs(100);
    // How far the first node's clock is ahead of the second one's, in milliseconds.
    for ahead in [0, 1, 3_600_000, -3_600_000] {
        // One to settle what two streams of the same instant are told apart by.
        for _ in 0..8 {
            let made = Cell::new(0);
            let nodes = nodes(|layer| {
                let now = if made.replace(made.get() + 1) == 0 { START.saturating_add_signed(ahead) } else { START };
                layer.state_ttl(ttl).clock(Clock::new(move || now))
            });
            let (_one, _first) = nodes.named(0, "chat:1").await;
            let (other, _second) = nodes.named(1, "chat:1").await;
            let stream = other.header("x-resume-stream").unwrap().to_owned();
            for age in [Duration::ZERO, ttl * 5] {
                sleep(age).await;
                for node in 0..2 {
                    let reply = nodes.attach(node, Attach::to("chat:1")).await;
                    assert_eq!(
                        reply.header("x-resume-stream"),
                        Some(&*stream),
                        "{ahead} ms, node {node} after {age:?}"
                    );
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_comes_late_does_not_take_the_place_of_a_newer_stream() {
    let nodes = nodes(|layer| layer);
    nodes.nodes[0].1.set_down(true);
    let (_one, _first) = nodes.named(0, "chat:1").await;
    let (other, _second) = nodes.named(1, "chat:1").await;
    nodes.nodes[0].1.set_down(false);
    sleep(5 * SECOND).await;
    for node in 0..2 {
        let reply = nodes.attach(node, Attach::to("chat:1")).await;
        assert_eq!(reply.header("x-resume-stream"), other.header("x-resume-stream"), "node {node}");
    }
}

#[tokio::test(start_paused = true)]
async fn on_its_own_node_the_newest_stream_has_its_name_before_the_store_has_heard_of_it() {
    let nodes = nodes(|layer| layer);
    let (mut before, body) = nodes.named(0, "chat:1").await;
    drop(body);
    before.phase("end").await;
    nodes.nodes[0].1.set_full(true);
    let (newest, _body) = nodes.named(0, "chat:1").await;
    let attached = nodes.attach(0, Attach::to("chat:1")).await;
    assert_eq!(attached.status, 200);
    assert_eq!(attached.header("x-resume-stream"), newest.header("x-resume-stream"));
    // Once the store knows, it knows best.
    nodes.nodes[0].1.set_full(false);
    sleep(5 * SECOND).await;
    let (elsewhere, _body) = nodes.named(1, "chat:1").await;
    for node in 0..2 {
        let attached = nodes.attach(node, Attach::to("chat:1")).await;
        assert_eq!(attached.header("x-resume-stream"), elsewhere.header("x-resume-stream"), "node {node}");
    }
}
