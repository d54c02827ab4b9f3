//! Nodes that die or only seem to: who ends their streams, when, and who must not.

use crate::common::{Ended, Nodes, Switch, keys, pass, until};
use std::time::Duration;
use tokio::time::Instant;
use tower_resume::{ResumeLayer, store::MemoryStore};

/// Two nodes that share a store; the second can be told what it sees of the first.
async fn two() -> (Nodes, Switch, Switch) {
    let memory = MemoryStore::new();
    let (one, other) = (Switch::new(&memory).shared(), Switch::new(&memory).shared());
    let layer = |store: &Switch| ResumeLayer::new(store.clone(), keys()).tokens_are_enough();
    (Nodes::start([layer(&one), layer(&other)]).await, one, other)
}

/// A lease that is missing at two looks as far apart is gone.
const TWICE: Duration = Duration::from_secs(3);
/// For so long after a store was away, what is missing in it proves nothing.
const SETTLED: Duration = Duration::from_secs(4);

/// Lets time pass, a little at a time, as those who look at each other need it.
async fn seconds(seconds: u64) {
    for _ in 0..seconds * 4 {
        pass(Duration::from_millis(250)).await;
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_node_that_only_seemed_dead_meets_the_fence_and_its_own_clients_get_the_whole_stream() {
    let (nodes, one, other) = two().await;
    let mut run = nodes.counted(3).await;
    nodes.knows(1, run.id(0), 3).await;
    let mut follower = nodes.resume(1, run.id(1)).send().await;
    follower.phase("replay").await;
    follower.counts([2, 3]).await;
    other.misses(&one, true);
    let end = loop {
        seconds(1).await;
        let event = follower.event().await;
        if event.phase().is_some_and(|phase| phase == "end") {
            break event.json();
        }
    };
    assert_eq!((end["status"].as_str(), end["seq"].as_u64()), (Some("interrupted"), Some(3)));
    assert_eq!(follower.rest().await, (vec![], Ended::Clean));
    other.misses(&one, false);
    // It goes on for its own clients, those that come back included.
    run.count(2).await;
    let mut again = nodes.resume(0, run.id(4)).send().await;
    again.phase("replay").await;
    again.counts([5]).await;
    again.phase("live").await;
    run.count(1).await;
    again.counts([6]).await;
    // To all others, what lies before the fence is the stream.
    let mut late = nodes.resume(1, run.id(0)).send().await;
    assert_eq!(late.phase("replay").await["status"], "interrupted");
    late.counts([1, 2, 3]).await;
    assert_eq!(late.phase("end").await["status"], "interrupted");
    let mut beyond = nodes.resume(1, run.id(5)).send().await;
    beyond.phase("replay").await;
    assert_eq!(beyond.phase("end").await["seq"], 3);
    // With none of its own left, the handler is stopped.
    run.leave();
    drop(again);
    run.told().dropped().await;
    assert_eq!(nodes.status(0, run.id(2)).await["status"], "interrupted");
}

#[tokio::test]
async fn a_silent_node_that_lives_or_answers_is_never_ended_by_others() {
    for answers in [false, true] {
        let (nodes, one, other) = two().await;
        let mut run = nodes.counted(2).await;
        nodes.knows(1, run.id(0), 2).await;
        let mut follower = nodes.resume(1, run.id(0)).send().await;
        follower.phase("replay").await;
        follower.counts([1, 2]).await;
        follower.phase("live").await;
        if answers {
            other.misses_lease(&one);
        }
        seconds(60).await;
        run.count(1).await;
        follower.counts([3]).await;
        run.end().await;
        assert_eq!(follower.phase("end").await["status"], "complete");
    }
}

#[tokio::test]
async fn a_lease_that_is_missing_once_and_a_store_that_was_away_prove_nothing() {
    // Real time goes on beside what passes at once.
    while !a_lease_comes_and_goes().await {}
}

/// Whether it was always missing for a moment only: on a busy machine that may not be so, and then it says nothing.
async fn a_lease_comes_and_goes() -> bool {
    let (nodes, one, other) = two().await;
    let mut run = nodes.counted(2).await;
    nodes.knows(1, run.id(0), 2).await;
    let mut follower = nodes.resume(1, run.id(0)).send().await;
    follower.phase("replay").await;
    follower.counts([1, 2]).await;
    follower.phase("live").await;
    for away in [false, true] {
        for _ in 0..8 {
            let missing = Instant::now();
            other.misses(&one, true);
            seconds(2).await;
            let mut brief = missing.elapsed() < TWICE;
            if away {
                other.set_down(true);
                seconds(1).await;
                let back = Instant::now();
                other.set_down(false);
                seconds(3).await;
                brief &= back.elapsed() < SETTLED;
            }
            other.misses(&one, false);
            brief &= away || missing.elapsed() < TWICE;
            if !brief {
                return false;
            }
            seconds(2).await;
        }
    }
    run.count(1).await;
    follower.counts([3]).await;
    run.end().await;
    assert_eq!(follower.phase("end").await["status"], "complete");
    true
}

/// Runs a stream on a runtime of its own, which is shut down in the middle of it. The token at its second event.
fn cut_short<S: tower_resume::store::Store>(layer: ResumeLayer<S>) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let id = runtime.block_on(async {
        let nodes = Nodes::start([layer]).await;
        let run = nodes.counted(2).await;
        // What nobody waits for in the store may still be on its way.
        seconds(1).await;
        run.id(2).to_owned()
    });
    drop(runtime);
    id
}

#[test]
fn a_runtime_that_is_shut_down_ends_its_streams_in_a_store_that_outlives_it() {
    let memory = MemoryStore::new();
    let id = cut_short(ResumeLayer::new(memory.clone(), keys()).tokens_are_enough());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let nodes = Nodes::start([ResumeLayer::new(memory, keys()).tokens_are_enough()]).await;
        let mut late = nodes.resume(0, &id).header("x-resume-from", "0").send().await;
        assert_eq!(late.phase("replay").await["status"], "interrupted");
        late.counts([1, 2]).await;
        assert_eq!(late.phase("end").await["status"], "interrupted");
        assert_eq!(late.rest().await, (vec![], Ended::Clean));
    });
}

#[tokio::test]
async fn a_stream_that_its_living_node_no_longer_knows_is_ended_by_who_follows_it() {
    let memory = MemoryStore::new();
    let (one, other) = (Switch::new(&memory).shared(), Switch::new(&memory).shared());
    let told = one.clone();
    let id = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let id = runtime.block_on(async {
            let nodes = Nodes::start([ResumeLayer::new(told.clone(), keys()).tokens_are_enough()]).await;
            let run = nodes.counted(2).await;
            until("it is stored", async || told.asked() >= 2).await;
            // The recorder's last word does not get through.
            told.set_full(true);
            run.id(0).to_owned()
        });
        drop(runtime);
        id
    });
    let id = tokio::task::spawn_blocking(move || id.join().unwrap()).await.unwrap();
    let nodes = Nodes::start([ResumeLayer::new(other, keys()).tokens_are_enough()]).await;
    let mut late = nodes.resume(0, &id).send().await;
    assert_eq!(late.phase("replay").await["status"], "running");
    loop {
        seconds(1).await;
        let event = late.event().await;
        if event.phase().is_some_and(|phase| phase == "end") {
            assert_eq!(event.json()["status"], "interrupted");
            return;
        }
    }
}

#[tokio::test]
async fn a_node_without_a_lease_that_says_that_it_does_not_know_a_stream_is_believed() {
    for follows in [true, false] {
        let (nodes, one, other) = two().await;
        let run = nodes.counted(2).await;
        nodes.knows(1, run.id(0), 2).await;
        other.misses_lease(&one);
        other.set_ignorant(true);
        if follows {
            let mut follower = nodes.resume(1, run.id(0)).send().await;
            follower.phase("replay").await;
            follower.counts([1, 2]).await;
            seconds(20).await;
            follower.phase("live").await;
            assert_eq!(follower.phase("end").await["status"], "interrupted");
        } else {
            assert_eq!(nodes.status(1, run.id(0)).await["status"], "running");
            seconds(20).await;
            assert_eq!(nodes.status(1, run.id(0)).await["status"], "interrupted");
        }
    }
}
