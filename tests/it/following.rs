//! A node that follows a stream of another's: who may read there, and for how long it goes on.

use crate::common::{Ended, Nodes, Reply, Request, Run, Switch, keys, pass, sharing, until};
use futures_util::future::join_all;
use std::{num::NonZeroUsize, time::Duration};
use tokio::time::Instant;
use tower_resume::{EventView, ResumeLayer, store::MemoryStore};

async fn numbers(mut reply: Reply) -> Vec<u64> {
    assert_eq!(reply.status, 200);
    let (events, ended) = reply.events().await;
    assert_eq!(ended, Ended::Clean);
    events.iter().filter(|event| event.event == "message").map(|event| event.data.parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_herd_that_comes_to_a_cold_node_is_let_in_up_to_the_limit_and_no_further() {
    let layers = sharing(2).into_iter().map(|layer| layer.max_stream_readers(8));
    let nodes = Nodes::start(layers).await;
    for _ in 0..10 {
        let mut run: Run = nodes.counted(20).await;
        nodes.knows(1, run.id(0), 20).await;
        let herd = join_all((0..20).map(|_| nodes.resume(1, run.id(0)).send())).await;
        let (inside, outside): (Vec<_>, Vec<_>) = herd.into_iter().partition(|reply| reply.status == 200);
        assert_eq!((inside.len(), outside.len()), (8, 12));
        for reply in outside {
            assert_eq!((reply.status.as_u16(), &reply.json().await["code"]), (429, &"too_many_readers".into()));
        }
        run.end().await;
        for got in join_all(inside.into_iter().map(numbers)).await {
            assert_eq!(got, (1..=20).collect::<Vec<_>>());
        }
    }
}

#[tokio::test]
async fn a_node_that_nobody_reads_on_any_more_follows_again_when_somebody_comes() {
    let nodes = Nodes::start(sharing(2)).await;
    let mut run = nodes.counted(3).await;
    nodes.knows(1, run.id(0), 3).await;
    for round in 1..=4 {
        let mut reader = nodes.resume(1, run.id(0)).send().await;
        reader.phase("replay").await;
        reader.counts(1..=run.last()).await;
        reader.phase("live").await;
        run.count(1).await;
        reader.counts([run.last()]).await;
        drop(reader);
        // Around the time that it goes on for those who come back.
        pass(Duration::from_millis(700 * round)).await;
        run.count(1).await;
        nodes.knows(1, run.id(0), run.last()).await;
    }
    let mut reader = nodes.resume(1, run.id(2)).send().await;
    reader.phase("replay").await;
    run.end().await;
    assert_eq!(numbers(reader).await, (3..=11).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_quiet_stream_is_kept_for_as_long_as_it_runs_and_its_time_after_that() {
    let layers = sharing(2).into_iter().map(|layer| layer.state_ttl(Duration::from_secs(60)));
    let nodes = Nodes::start(layers).await;
    let mut run = nodes.counted(2).await;
    nodes.knows(1, run.id(0), 2).await;
    for _ in 0..5 {
        pass(Duration::from_secs(45)).await;
        for node in 0..2 {
            assert_eq!(nodes.status(node, run.id(0)).await["last"], 2, "node {node}");
        }
    }
    run.end().await;
    nodes.knows(1, run.id(0), 2).await;
    until("its end is in the store", async || nodes.status(1, run.id(0)).await["status"] == "complete").await;
    // Real time goes on beside it.
    pass(Duration::from_secs(30)).await;
    assert_eq!(numbers(nodes.resume(1, run.id(0)).send().await).await, [1, 2]);
    pass(Duration::from_secs(31)).await;
    for node in 0..2 {
        let reply = nodes.resume(node, run.id(0)).send().await;
        assert_eq!((reply.status.as_u16(), &reply.json().await["code"]), (426, &"stream_expired".into()));
    }
}

#[tokio::test]
async fn a_reader_stays_while_its_nodes_store_is_away_and_goes_on_when_it_is_back() {
    let store = MemoryStore::new();
    let [one, two] = [Switch::new(&store), Switch::new(&store)];
    let layers = [one, two.clone()].map(|switch| {
        ResumeLayer::new(switch, keys()).tokens_are_enough().max_events(NonZeroUsize::new(8192).unwrap())
    });
    let nodes = Nodes::start(layers).await;
    let mut run = nodes.counted(3).await;
    nodes.knows(1, run.id(0), 3).await;
    let mut reader = nodes.resume(1, run.id(3)).send().await;
    reader.phase("replay").await;
    reader.phase("live").await;
    two.set_down(true);
    // More at once than can be pushed: the rest has to be fetched, which is not to be had.
    let all: String = (4..=3000).map(|number| format!("data: {number}\n\n")).collect();
    run.told().send(all);
    run.over();
    until("it is all read", async || nodes.status(0, run.id(0)).await["status"] == "complete").await;
    two.set_down(false);
    assert_eq!(numbers(reader).await, (4..=3000).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_limits_of_a_node_that_follows_are_its_own() {
    let mut layers = sharing(2);
    let small = layers.pop().unwrap().max_events(NonZeroUsize::new(4).unwrap());
    let nodes = Nodes::start([layers.pop().unwrap(), small]).await;
    let mut run = nodes.counted(100).await;
    nodes.knows(1, run.id(0), 100).await;
    let mut live = nodes.resume(1, run.id(98)).send().await;
    live.phase("replay").await;
    live.counts([99, 100]).await;
    live.phase("live").await;
    let old = nodes.resume(1, run.id(0)).send().await;
    run.count(40).await;
    run.end().await;
    assert_eq!(numbers(live).await, (101..=140).collect::<Vec<_>>());
    assert_eq!(numbers(old).await, (1..=140).collect::<Vec<_>>(), "what it does not hold itself comes from the store");
}

#[tokio::test]
async fn nodes_may_be_set_differently_what_is_stored_was_decided_by_the_one_that_recorded() {
    let mut layers = sharing(2);
    let classify = |_: &EventView<'_>| tower_resume::Class::new().step("HERE").result();
    let there = layers.pop().unwrap().classify_with(|_: &EventView<'_>| tower_resume::Class::new().step("THERE"));
    let nodes = Nodes::start([layers.pop().unwrap().classify_with(classify), there]).await;
    let mut run = nodes.counted(2).await;
    run.end().await;
    let status = nodes.status(1, run.id(0)).await;
    assert_eq!((&status["step"], &status["snapshot"]), (&"HERE".into(), &true.into()));
}

#[tokio::test]
async fn the_first_request_names_the_stream_in_the_end_of_every_response() {
    let nodes = Nodes::start(sharing(2)).await;
    for (given, expected) in [(Some("req-7"), Some("req-7")), (Some("no good"), None), (None, None)] {
        let request = Request::post(nodes.addr(0), "/stream");
        let request = given.into_iter().fold(request, |request, id| request.header("x-request-id", id));
        let mut run = Run::of(&nodes.handler, request).await;
        run.count(2).await;
        nodes.knows(1, run.id(0), 2).await;
        run.end().await;
        let expected = expected.unwrap_or(&run.request_id);
        for node in 0..2 {
            let resumes = node as u64 + 1;
            let mut reply = nodes.resume(node, run.id(1)).header("x-request-id", "another").send().await;
            let (events, _) = reply.events().await;
            let diagnostics = events.last().unwrap().json()["diagnostics"].clone();
            assert_eq!(diagnostics["correlation_id"], expected, "node {node}");
            // Each brought one event back, and is counted for all nodes.
            let counts = ["resumes", "trims", "recovered_events"].map(|count| diagnostics[count].as_u64());
            assert_eq!(counts, [Some(resumes), Some(0), Some(resumes)], "node {node}");
        }
    }
}

#[tokio::test]
async fn a_silent_stream_that_is_read_elsewhere_runs_on_for_as_long_as_that_and_its_detach_time() {
    let time = Duration::from_secs(60);
    for says_something in [false, true] {
        let nodes = Nodes::start(sharing(2).into_iter().map(|layer| layer.detach_time(time))).await;
        let mut run = nodes.counted(1).await;
        nodes.knows(1, run.id(0), 1).await;
        let mut reader = nodes.resume(1, run.id(1)).send().await;
        reader.phase("replay").await;
        reader.phase("live").await;
        if says_something {
            // So that the writer hears of the reader with an append, and never of its going.
            run.count(1).await;
            reader.counts([2]).await;
        }
        run.leave();
        for _ in 0..3 {
            pass(time).await;
            assert_eq!(nodes.status(0, run.id(0)).await["status"], "running", "it is read elsewhere");
        }
        drop(reader);
        // By the clock of the node: real time goes on beside what passes at once.
        let since = Instant::now();
        while nodes.status(0, run.id(0)).await["status"] == "running" {
            assert!(since.elapsed() < 3 * time, "it runs on for nobody");
            pass(Duration::from_secs(5)).await;
        }
        let waited = since.elapsed();
        assert!(waited >= time, "it ran on for {waited:?} only");
        assert_eq!(nodes.status(0, run.id(0)).await["status"], "interrupted");
    }
}

#[tokio::test]
async fn a_node_that_holds_as_much_as_it_may_follows_no_further_stream() {
    let mut full = false;
    let layers = sharing(2).into_iter().map(|layer| {
        let layer = if full { layer.max_node_bytes(0) } else { layer };
        full = true;
        layer
    });
    let nodes = Nodes::start(layers).await;
    let run = nodes.counted(3).await;
    until("the store has it", async || nodes.resume(1, run.id(0)).send().await.status == 429).await;
    let mut reply = nodes.reconnect(1, run.id(0)).send().await;
    assert_eq!(reply.phase("wait").await["reason"], "too_many_readers");
    let mut here = nodes.reconnect(0, run.id(0)).send().await;
    here.phase("replay").await;
    here.counts(1..=3).await;
}
