//! `Eviction::Priority`: what is kept of a stream that is over its limits, and that nobody meets a hole without its gap.

use crate::common::{Ended, Nodes, Reply, Run, SseEvent, sharing, until};
use bytes::Bytes;
use proptest::{collection::vec, prelude::*, test_runner::TestRunner};
use std::num::NonZeroUsize;
use tokio::runtime::{Builder, Runtime};
use tower_resume::{Class, EventView, Eviction, ResumeLayer, SnapshotFold, store::Store};

/// How many events are kept; more than a chunk, so that the store does not keep the newest only.
const KEPT: usize = 40;

/// The event's name is its priority.
fn classify(event: &EventView<'_>) -> Class {
    Class::new().priority(event.name().parse().unwrap_or(0))
}

fn set<S: Store>(layer: ResumeLayer<S>) -> ResumeLayer<S> {
    layer.max_events(NonZeroUsize::new(KEPT).unwrap()).eviction(Eviction::Priority).classify_with(classify)
}

async fn pair() -> Nodes {
    Nodes::start(sharing(2).into_iter().map(set)).await
}

/// What a response brings: the numbers of its events, after it was checked that they and the gaps are all there is behind
/// the cursor, each once and in order.
fn checked(after: u64, last: u64, events: &[SseEvent]) -> Vec<u64> {
    let mut cursor = after;
    let mut numbers = Vec::new();
    for event in events {
        match event.phase().as_deref() {
            None => {
                let number: u64 = event.data.split(' ').next().unwrap().parse().unwrap();
                assert_eq!(number, cursor + 1, "after {after}: {numbers:?}");
                numbers.push(number);
                cursor = number;
            }
            Some("gap") => {
                let json = event.json();
                let (from, to) = (json["from"].as_u64().unwrap(), json["to"].as_u64().unwrap());
                assert!(from == cursor + 1 && to >= from && json["reason"] == "trimmed", "{json} at {cursor}");
                cursor = to;
            }
            Some("end") => assert_eq!((event.json()["seq"].as_u64(), cursor), (Some(last), last), "after {after}"),
            Some(_) => {}
        }
    }
    numbers
}

async fn rest(after: u64, last: u64, mut reply: Reply) -> Vec<u64> {
    assert_eq!(reply.status, 200);
    let (events, ended) = reply.events().await;
    assert_eq!(ended, Ended::Clean);
    checked(after, last, &events)
}

fn said(number: u64, priority: u8, size: usize) -> String {
    format!("event: {priority}\ndata: {number} {}\n\n", "x".repeat(size))
}

/// Reads what the first client gets, up to this event.
async fn until_at(seq: u64, run: &mut Run, events: &mut Vec<SseEvent>) {
    let number = |event: &SseEvent| event.data.split(' ').next().and_then(|number| number.parse::<u64>().ok());
    while events.last().and_then(number) != Some(seq) {
        events.push(run.first().event().await);
    }
}

/// Runs a stream of these events, a pause here and there, with readers on both nodes: some while it runs, some after.
async fn is_kept_as_the_rule_says(nodes: &Nodes, script: &[(u8, usize, bool)]) {
    let last = script.len() as u64;
    let mut run = nodes.begin().await;
    let open = run.id(0).to_owned();
    let from = |node: usize, after: u64| nodes.resume(node, &open).header("x-resume-from", after.to_string());
    let (mut first, mut live) = (Vec::new(), Vec::new());
    for (seq, (priority, size, pause)) in (1..).zip(script) {
        run.told().send(said(seq, *priority, *size));
        if *pause {
            // Readers that are ahead of the first client decide what it may miss.
            until_at(seq, &mut run, &mut first).await;
            for node in 0..2 {
                let reply = from(node, seq / 2).send().await;
                // Node 1 may not know of the stream yet, or not so far.
                if reply.status == 200 {
                    live.push((seq / 2, reply));
                }
            }
        }
    }
    until_at(last, &mut run, &mut first).await;
    checked(0, last, &first);
    run.end().await;
    for (after, reply) in live {
        rest(after, last, reply).await;
    }
    until("its end is known", async || {
        let reply = nodes.resume(1, run.id(0)).header("x-resume-mode", "status").send().await;
        reply.status == 200 && reply.json().await["status"] == "complete"
    })
    .await;
    let priorities: Vec<u8> = script.iter().map(|(priority, ..)| *priority).collect();
    let precious: Vec<u64> =
        (1..).zip(&priorities).filter(|(_, priority)| **priority > 0).map(|(seq, _)| seq).collect();
    for node in 0..2 {
        let status = nodes.status(node, run.id(0)).await;
        let all = rest(0, last, nodes.resume(node, run.id(0)).send().await).await;
        assert!(all.len() <= KEPT, "{} events are kept", all.len());
        assert_eq!(all.last(), Some(&last), "never the newest");
        assert_eq!(status["buffered_events"], all.len(), "node {node}: {status}");
        assert_eq!(status["trimmed"], last - all.len() as u64, "node {node}: {status}");
        assert_eq!((&status["first"], &status["last"]), (&all[0].into(), &last.into()), "node {node}");
        // With those, an eighth of the room for what is on its way, and the newest chunk's.
        if precious.len() + 16 <= KEPT {
            assert!(precious.iter().all(|seq| all.contains(seq)), "node {node}: {all:?} of {priorities:?}");
        }
        if priorities.iter().all(|priority| *priority == priorities[0]) {
            assert!(all.windows(2).all(|two| two[0] + 1 == two[1]), "one class is as fifo: {all:?}");
            assert!(all.len() as u64 >= last.min(KEPT as u64 - 16));
        }
        for after in [1, last / 3, last / 2, last - 1, last] {
            let seen = rest(after, last, from(node, after).send().await).await;
            assert_eq!(seen, all.iter().copied().filter(|seq| *seq > after).collect::<Vec<_>>(), "behind {after}");
        }
    }
}

fn scripts() -> impl Strategy<Value = Vec<(u8, usize, bool)>> {
    // Priorities in runs of some length, as they come.
    let run = (prop_oneof![3 => Just(0_u8), 1 => 1..4_u8], 1..30_usize, prop_oneof![Just(5_usize), Just(900)]);
    let runs = vec(run, 2..14);
    (runs, vec(prop::bool::weighted(0.03), 420)).prop_map(|(runs, pauses)| {
        let events = runs.into_iter().flat_map(|(priority, count, size)| std::iter::repeat_n((priority, size), count));
        events.zip(pauses).map(|((priority, size), pause)| (priority, size, pause)).collect()
    })
}

fn holds(runtime: &Runtime, nodes: &Nodes, cases: u32) {
    let config = ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 0, ..ProptestConfig::default() };
    TestRunner::new(config)
        .run(&scripts(), |script| {
            runtime.block_on(is_kept_as_the_rule_says(nodes, &script));
            Ok(())
        })
        .unwrap();
}

#[test]
fn what_is_kept_is_what_the_rule_says_and_readers_see_the_rest_as_gaps() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let nodes = runtime.block_on(pair());
    holds(&runtime, &nodes, 32);
}

#[cfg(feature = "redis")]
#[test]
fn what_is_kept_is_what_the_rule_says_on_redis_too() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let Some(redis) = runtime.block_on(crate::redis_server::RedisServer::start()) else { return };
    let nodes = runtime.block_on(async {
        let mut layers = Vec::new();
        for _ in 0..2 {
            let store = crate::on_redis::unhurried(&redis).await;
            layers.push(set(ResumeLayer::new(store, crate::common::keys()).tokens_are_enough()));
        }
        Nodes::start(layers).await
    });
    holds(&runtime, &nodes, 16);
}

#[tokio::test]
async fn a_few_precious_events_outlive_any_number_of_ordinary_ones_on_every_node() {
    let nodes = pair().await;
    let mut run = nodes.begin().await;
    let precious = [3, 4, 50, 120];
    for number in 1..=300 {
        run.say(&said(number, u8::from(precious.contains(&number)), 5)).await;
    }
    run.end().await;
    until("its end is known", async || nodes.status(1, run.id(0)).await["status"] == "complete").await;
    for node in 0..2 {
        let kept = rest(0, 300, nodes.resume(node, run.id(0)).send().await).await;
        assert_eq!(kept[..4], precious, "node {node}: {kept:?}");
        assert!((KEPT - 16..=KEPT).contains(&kept.len()), "node {node}: {kept:?}");
        assert!(kept[4..].windows(2).all(|two| two[0] + 1 == two[1]), "the newest of the others: {kept:?}");
    }
}

/// All numbers so far.
#[derive(Default)]
struct All(u64);

impl SnapshotFold for All {
    fn event(&mut self, event: &EventView<'_>) {
        self.0 = event.seq();
    }

    fn snapshot(&self) -> Option<Bytes> {
        (self.0 > 0).then(|| format!("up to {}", self.0).into())
    }
}

#[tokio::test]
async fn a_snapshot_stands_in_for_holes_as_it_does_for_what_is_gone_in_front() {
    let nodes = Nodes::start(sharing(2).into_iter().map(|layer| set(layer).snapshot_with(|_| All::default()))).await;
    let mut run = nodes.begin().await;
    for number in 1..=200 {
        run.say(&said(number, u8::from(number == 10), 5)).await;
    }
    nodes.knows(1, run.id(0), 200).await;
    for over in [false, true] {
        if over {
            run.end().await;
            until("its end is known", async || nodes.status(1, run.id(0)).await["status"] == "complete").await;
        }
        for node in 0..2 {
            // Event 10 is there, and behind it a hole.
            for from in [9, 10, 20] {
                let mut reply = nodes.resume(node, run.id(from)).send().await;
                assert_eq!(reply.status, 200);
                let mut cursor = from;
                while cursor < 200 {
                    let event = reply.event().await;
                    match event.phase().as_deref() {
                        None if event.event == "state" || event.event == "complete" => {
                            let reached: u64 = event.data.strip_prefix("up to ").unwrap().parse().unwrap();
                            assert!(reached > cursor, "node {node}: {event:?}");
                            cursor = reached;
                        }
                        None => {
                            cursor += 1;
                            assert!(event.data.starts_with(&format!("{cursor} ")), "node {node}: {event:?}");
                        }
                        Some("gap") => assert_eq!(event.json()["from"], cursor + 1, "node {node}: {event:?}"),
                        Some(_) => {}
                    }
                }
            }
            let newest = nodes.resume(node, run.id(199)).send().await;
            if over {
                let (events, _) = { newest }.events().await;
                assert!(events.iter().all(|event| event.event != "complete"), "nothing behind 199 is gone");
            }
        }
    }
}
