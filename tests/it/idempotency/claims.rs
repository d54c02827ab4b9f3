//! While the handler of a key runs and has not answered: others wait, its client may leave, and its node may be lost.

use super::{SECOND, joined, no_stream::no_streams, problem, with, with_keys};
use crate::common::{Stage, ask, call};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tower_resume::Idempotency;

#[tokio::test(start_paused = true)]
async fn requests_that_come_before_the_first_was_answered_wait_for_it() {
    let stage = Stage::new();
    let nodes = stage.shared();
    let first = ask(&nodes[0], with("k"));
    let call = stage.call().await;
    let others: Vec<_> = (0..8).map(|other| ask(&nodes[other % 2], with("k"))).collect();
    sleep(9 * SECOND).await;
    assert!(others.iter().all(|other| !other.is_finished()));
    call.counted(2);
    first.await.unwrap();
    for other in others {
        joined(other.await.unwrap(), 2).await.phase("end").await;
    }
    assert!(stage.arrived().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_has_waited_long_enough_is_told_to_come_back_and_then_joins() {
    for (wait, set) in [(10 * SECOND, None), (2 * SECOND, Some(2 * SECOND))] {
        let stage = Stage::new();
        let nodes = stage.pair(|layer| {
            let keys = Idempotency::new().shared_keys();
            layer.idempotency(set.map_or(keys.clone(), |wait| keys.wait(wait)))
        });
        let first = ask(&nodes[0].0, with("k"));
        let waiting = stage.call().await;
        for (node, _) in &nodes {
            let since = Instant::now();
            let reply = call(node.clone(), with("k")).await;
            let waited = since.elapsed();
            assert!(waited >= wait && waited < wait + SECOND / 2, "{waited:?} of {wait:?}");
            assert_eq!(reply.header("retry-after"), Some("1"));
            problem(reply, 409, "in_progress").await;
        }
        waiting.counted(1);
        first.await.unwrap();
        joined(call(nodes[1].0.clone(), with("k")).await, 1).await;
        assert!(stage.arrived().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn the_claim_of_a_handler_that_thinks_for_long_is_kept() {
    let stage = Stage::new();
    let nodes = stage.shared();
    let first = ask(&nodes[0], with("k"));
    let thinking = stage.call().await;
    sleep(Duration::from_secs(3_600)).await;
    problem(call(nodes[1].clone(), with("k")).await, 409, "in_progress").await;
    thinking.counted(1);
    first.await.unwrap();
    joined(call(nodes[1].clone(), with("k")).await, 1).await;
    assert!(stage.arrived().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_before_the_first_byte_stops_nothing_and_joins_when_it_is_back() {
    for late in [false, true] {
        let stage = Stage::new();
        let nodes = stage.shared();
        let first = ask(&nodes[0], with("k"));
        let called = stage.call().await;
        first.abort();
        sleep(SECOND).await;
        assert!(!called.is_stopped(), "the handler goes on");
        let back = (!late).then(|| ask(&nodes[1], with("k")));
        sleep(SECOND).await;
        called.counted(3);
        sleep(SECOND).await;
        let back = back.unwrap_or_else(|| ask(&nodes[1], with("k")));
        joined(back.await.unwrap(), 3).await.phase("end").await;
        assert!(stage.arrived().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_while_it_waits_runs_nothing_later() {
    let stage = Stage::new();
    let nodes = stage.shared();
    let first = ask(&nodes[0], with("k"));
    let called = stage.call().await;
    let waiting = ask(&nodes[1], with("k"));
    sleep(SECOND).await;
    waiting.abort();
    sleep(SECOND).await;
    called.answer(no_streams().remove(0));
    first.await.unwrap();
    sleep(20 * SECOND).await;
    assert!(stage.arrived().is_none());
    // Nor has it left anything behind.
    let next = ask(&nodes[0], with("k"));
    timeout(SECOND, stage.call()).await.expect("at once").counted(1);
    next.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_could_not_be_let_go_is_taken_over() {
    let stage = Stage::new();
    let [(one, switch), (other, _)] = stage.pair(with_keys);
    let first = ask(&one, with("k"));
    let called = stage.call().await;
    let waiting = ask(&other, with("k"));
    sleep(SECOND).await;
    switch.set_down(true);
    called.answer(no_streams().remove(0));
    first.await.unwrap();
    timeout(3 * SECOND, stage.call()).await.expect("its node is asked, and knows nothing of it").counted(1);
    waiting.await.unwrap();
    switch.set_down(false);
    // What is let go late takes nothing away.
    sleep(10 * SECOND).await;
    joined(call(one, with("k")).await, 1).await;
}
