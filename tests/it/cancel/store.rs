//! A cancel that finds the store away or slow, or the stream's node deaf or dead.

use super::{brings_the_end, cancel, is_bare, is_problem};
use crate::common::{Nodes, Run, Switch, keys, until};
use std::time::Duration;
use tower_resume::{ResumeLayer, store::MemoryStore};

/// Two nodes, each with its own hold on one store.
async fn switched() -> (Nodes, [Switch; 2]) {
    let store = MemoryStore::new();
    let switches = [Switch::new(&store).shared(), Switch::new(&store).shared()];
    let layers = switches.clone().map(|switch| ResumeLayer::new(switch, keys()).tokens_are_enough());
    (Nodes::start(layers).await, switches)
}

async fn known_to_both(nodes: &Nodes) -> Run {
    let run = nodes.counted(2).await;
    nodes.knows(1, run.id(0), 2).await;
    run
}

#[tokio::test]
async fn without_a_store_a_stream_is_cancelled_on_its_node_and_nowhere_else() {
    let (nodes, switches) = switched().await;
    let mut run = known_to_both(&nodes).await;
    for switch in &switches {
        switch.set_down(true);
    }
    is_problem(cancel(&nodes, 1, run.id(1)).await, 503, "store_unavailable").await;
    assert!(!run.told().is_dropped());
    is_bare(cancel(&nodes, 0, run.id(1)).await, 204).await;
    run.told().dropped().await;
    brings_the_end(run.first(), 2).await;
    for switch in &switches {
        switch.set_down(false);
    }
    until("the store has it", async || nodes.status(1, run.id(1)).await["status"] == "cancelled").await;
}

#[tokio::test]
async fn a_node_that_does_not_hear_is_told_by_the_store_and_until_then_the_client_only_that_it_was_asked() {
    let (nodes, [one, other]) = switched().await;
    let mut run = known_to_both(&nodes).await;
    other.set_deaf(true);
    is_bare(cancel(&nodes, 1, run.id(1)).await, 202).await;
    assert!(!run.told().is_dropped());
    assert_eq!(nodes.status(1, run.id(1)).await["status"], "running");
    // The writer looks after its log when the store has come back, and finds the word that was left there.
    one.set_down(true);
    run.count(1).await;
    one.set_down(false);
    run.told().dropped().await;
    brings_the_end(run.first(), 3).await;
    is_bare(cancel(&nodes, 1, run.id(1)).await, 204).await;
}

#[tokio::test]
async fn the_word_in_the_store_is_read_at_each_renewal() {
    let store = MemoryStore::new();
    let [one, other] = [Switch::new(&store).shared(), Switch::new(&store).shared()];
    let layers = [one, other.clone()]
        .map(|switch| ResumeLayer::new(switch, keys()).tokens_are_enough().state_ttl(Duration::from_secs(3)));
    let nodes = Nodes::start(layers).await;
    let mut run = known_to_both(&nodes).await;
    other.set_deaf(true);
    // Some renewals come within the two seconds that the client waits, some do not: it is told what is true.
    let status = cancel(&nodes, 1, run.id(1)).await.status;
    assert!(status == 202 || (status == 204 && run.told().is_dropped()), "{status}");
    run.told().dropped().await;
    brings_the_end(run.first(), 2).await;
}

#[tokio::test]
async fn a_stream_whose_node_is_dead_or_does_not_know_it_is_ended_in_its_place() {
    for dead in [true, false] {
        let (nodes, [one, other]) = switched().await;
        let run = known_to_both(&nodes).await;
        let token = run.id(1).to_owned();
        let mut follower = nodes.resume(1, run.id(2)).send().await;
        follower.phase("replay").await;
        follower.phase("live").await;
        // Its node is cut off for good. What it has is in the store.
        one.set_down(true);
        if dead {
            other.misses(&one, true);
        } else {
            other.set_ignorant(true);
        }
        is_bare(cancel(&nodes, 1, &token).await, 204).await;
        brings_the_end(&mut follower, 2).await;
        assert_eq!(nodes.status(1, &token).await["status"], "cancelled");
        // A writer that finds such an end stops, too.
        assert!(!run.told().is_dropped());
        one.set_down(false);
        run.told().dropped().await;
    }
}

#[tokio::test]
async fn a_stream_that_the_store_does_not_hold_yet_is_asked_for_at_its_node() {
    let (nodes, [one, other]) = switched().await;
    one.set_full(true);
    let run = nodes.counted(1).await;
    // It is stopped, and cannot be seen to be: its end is not in the store.
    is_bare(cancel(&nodes, 1, run.id(1)).await, 202).await;
    run.told().dropped().await;
    one.set_full(false);
    until("the store has it", async || cancel(&nodes, 1, run.id(1)).await.status == 204).await;
    one.set_full(true);
    let run = nodes.counted(1).await;
    other.set_deaf(true);
    is_bare(cancel(&nodes, 1, run.id(1)).await, 202).await;
    other.misses(&one, true);
    is_problem(cancel(&nodes, 1, run.id(1)).await, 503, "store_unavailable").await;
    assert!(!run.told().is_dropped(), "a young stream may yet come");
}
