//! Protocol section 3 over two nodes that share a store: begin on one, come back on the other.

use crate::common::{Ended, Nodes, Reply, SseEvent, Switch, keys, sharing, until};
use futures_util::future::join_all;
use std::num::NonZeroUsize;
use tower_resume::{ResumeLayer, store::MemoryStore};

/// Two nodes that keep so many events.
async fn keeping(events: usize) -> Nodes {
    Nodes::start(sharing(2).into_iter().map(|layer| layer.max_events(NonZeroUsize::new(events).unwrap()))).await
}

/// What a response brings of a stream of numbers, checked: from `after` on there is no hole without its gap and no
/// repeat. The numbers, the gaps, and the phases of the rest.
struct Checked {
    numbers: Vec<u64>,
    gaps: Vec<(u64, u64)>,
    phases: Vec<String>,
    ended: Ended,
}

fn check(after: u64, events: &[SseEvent], ended: Ended) -> Checked {
    let mut checked = Checked { numbers: Vec::new(), gaps: Vec::new(), phases: Vec::new(), ended };
    let mut cursor = after;
    for event in events {
        let Some(phase) = event.phase() else {
            let number: u64 = event.data.split(' ').next().unwrap().parse().unwrap();
            assert_eq!(number, cursor + 1, "after {after}, gaps {:?}", checked.gaps);
            cursor = number;
            checked.numbers.push(number);
            continue;
        };
        if phase == "gap" {
            let json = event.json();
            let (from, to) = (json["from"].as_u64().unwrap(), json["to"].as_u64().unwrap());
            assert!(from == cursor + 1 && to >= from, "{json} at {cursor}");
            cursor = to;
            checked.gaps.push((from, to));
        } else {
            checked.phases.push(phase);
        }
    }
    checked
}

async fn rest(after: u64, mut reply: Reply) -> Checked {
    assert_eq!(reply.status, 200);
    let (events, ended) = reply.events().await;
    check(after, &events, ended)
}

const WHOLE: [&str; 3] = ["replay", "live", "end"];
const LATE: [&str; 2] = ["replay", "end"];

#[tokio::test]
async fn a_stream_begun_on_one_node_goes_on_on_another() {
    let nodes = Nodes::start(sharing(2)).await;
    let mut run = nodes.counted(3).await;
    nodes.knows(1, run.id(0), 3).await;
    let mut reply = nodes.reconnect(1, run.id(1)).send().await;
    let replay = reply.phase("replay").await;
    assert_eq!((&replay["from"], &replay["last"], &replay["status"]), (&1.into(), &3.into(), &"running".into()));
    reply.counts([2, 3]).await;
    assert_eq!(reply.phase("live").await["replayed"], 2);
    run.leave();
    run.told().count(4..=5);
    reply.counts([4, 5]).await;
    run.over();
    let end = reply.phase("end").await;
    assert_eq!((&end["status"], &end["seq"]), (&"complete".into(), &5.into()));
    assert_eq!(reply.rest().await, (vec![], Ended::Clean));
}

#[tokio::test]
async fn a_stream_that_is_over_is_the_same_on_every_node() {
    let nodes = Nodes::start(sharing(2)).await;
    for fails in [false, true] {
        let mut run = nodes.counted(4).await;
        if fails {
            run.fail();
        } else {
            run.over();
        }
        let seen = run.ended().await;
        for node in 0..2 {
            for from in 0..=4 {
                let mut reply = nodes.reconnect(node, run.id(from)).send().await;
                let status = if fails { "error" } else { "complete" };
                assert_eq!(reply.phase("replay").await["status"], status);
                for number in from + 1..=4 {
                    reply.counts([number]).await;
                }
                assert_eq!(reply.phase("end").await["status"], status);
                assert_eq!(reply.rest().await, (vec![], Ended::Clean));
            }
            assert_eq!(nodes.reconnect(node, &seen).send().await.status, 204);
        }
    }
}

#[tokio::test]
async fn a_follower_hears_of_the_end_however_it_comes() {
    let nodes = Nodes::start(sharing(2)).await;
    for fails in [false, true] {
        let mut run = nodes.counted(2).await;
        nodes.knows(1, run.id(0), 2).await;
        let mut reply = nodes.resume(1, run.id(2)).send().await;
        reply.phase("replay").await;
        reply.phase("live").await;
        let status = if fails { "error" } else { "complete" };
        if fails {
            run.fail()
        } else {
            run.over()
        }
        assert_eq!(reply.phase("end").await["status"], status);
        assert_eq!(reply.rest().await, (vec![], Ended::Clean));
    }
}

#[tokio::test]
async fn a_trimmed_log_is_a_gap_with_exact_bounds_on_every_node() {
    let nodes = keeping(32).await;
    let mut run = nodes.counted(100).await;
    nodes.knows(1, run.id(0), 100).await;
    for over in [false, true] {
        if over {
            run.end().await;
        }
        for node in 0..2 {
            let status = nodes.status(node, run.id(0)).await;
            let first = status["first"].as_u64().unwrap();
            assert!((100 - 32 + 1..=100 - 32 + 1 + 16).contains(&first), "node {node}: {status}");
            assert_eq!((&status["trimmed"], &status["buffered_events"]), (&(first - 1).into(), &(101 - first).into()));
            for from in [0, 1, first - 2, first - 1, first, 99, 100] {
                let mut reply = nodes.resume(node, run.id(from)).header("x-resume-mode", "replay").send().await;
                assert_eq!(reply.phase("replay").await["first"], first);
                let checked = rest(from, reply).await;
                let gap = (from + 1 < first).then_some((from + 1, first - 1));
                assert_eq!(checked.gaps, Vec::from_iter(gap), "node {node} from {from}");
                assert_eq!(checked.numbers, (first.max(from + 1)..=100).collect::<Vec<_>>());
            }
        }
    }
}

#[tokio::test]
async fn a_long_log_comes_over_whole_page_by_page() {
    let nodes = keeping(8192).await;
    let mut run = nodes.begin().await;
    run.leave();
    run.told().count(1..=3000);
    nodes.knows(1, run.id(0), 3000).await;
    for over in [false, true] {
        if over {
            run.over();
            until("it is over", async || nodes.status(1, run.id(0)).await["status"] == "complete").await;
            let mut reply = nodes.resume(1, run.id(0)).send().await;
            let replay = reply.phase("replay").await;
            assert_eq!((&replay["status"], &replay["last"]), (&"complete".into(), &3000.into()));
        }
        let mode = if over { "live" } else { "replay" };
        for _ in 0..3 {
            let reply = nodes.resume(1, run.id(0)).header("x-resume-mode", mode).send().await;
            let checked = rest(0, reply).await;
            assert_eq!((checked.numbers.len(), checked.gaps.len(), checked.ended), (3000, 0, Ended::Clean));
            assert_eq!(checked.phases, if over { &LATE[..] } else { &["replay"] });
        }
    }
}

#[tokio::test]
async fn a_stream_that_is_over_is_never_live_wherever_its_pages_end() {
    let nodes = keeping(8192).await;
    // 64 chunks of 16 are a page: around there the end is in a page of its own.
    for events in [1023, 1024, 1025] {
        let mut run = nodes.begin().await;
        run.leave();
        let all: String = (1..=events).map(|number| format!("data: {number}\n\n")).collect();
        run.told().send(all);
        nodes.knows(1, run.id(0), events).await;
        run.over();
        until("it is over", async || nodes.status(1, run.id(0)).await["status"] == "complete").await;
        for _ in 0..4 {
            let checked = rest(0, nodes.resume(1, run.id(0)).send().await).await;
            assert_eq!((checked.numbers.len() as u64, &*checked.phases), (events, &LATE.map(str::to_owned)[..]));
        }
    }
}

#[tokio::test]
async fn a_reader_older_than_what_its_node_follows_gets_all_of_it_from_the_store() {
    let nodes = keeping(8192).await;
    let mut run = nodes.counted(600).await;
    nodes.knows(1, run.id(0), 600).await;
    let mut newest = nodes.resume(1, run.id(590)).send().await;
    newest.phase("replay").await;
    newest.counts(591..=600).await;
    newest.phase("live").await;
    let mut old = Vec::new();
    for from in [0, 17, 300, 589] {
        let mut reply = nodes.resume(1, run.id(from)).send().await;
        assert_eq!(reply.phase("replay").await["first"], 1);
        old.push((from, reply));
    }
    run.count(10).await;
    run.end().await;
    newest.counts(601..=610).await;
    newest.phase("end").await;
    for (from, reply) in old {
        let checked = rest(from, reply).await;
        assert_eq!(checked.gaps, []);
        assert_eq!(checked.numbers, (from + 1..=610).collect::<Vec<_>>(), "from {from}");
        assert_eq!((&*checked.phases, checked.ended), (&["live", "end"].map(str::to_owned)[..], Ended::Clean));
    }
}

#[tokio::test]
async fn twenty_followers_at_once_each_get_their_exact_rest() {
    let nodes = Nodes::start(sharing(2)).await;
    let mut run = nodes.counted(100).await;
    nodes.knows(1, run.id(0), 100).await;
    let asks = (0..20).map(|reader| nodes.resume(1, run.id(reader * 5)).send());
    let replies = join_all(asks).await;
    run.count(20).await;
    run.end().await;
    let all = join_all(replies.into_iter().enumerate().map(|(reader, reply)| rest(reader as u64 * 5, reply))).await;
    for (reader, checked) in all.iter().enumerate() {
        assert_eq!(checked.numbers, (reader as u64 * 5 + 1..=120).collect::<Vec<_>>());
        assert_eq!((&*checked.phases, checked.ended), (&WHOLE.map(str::to_owned)[..], Ended::Clean));
    }
}

/// `data: <n> xxx…`, a kilobyte of it.
fn large(number: u64) -> String {
    format!("data: {number} {}\n\n", "x".repeat(1000))
}

#[tokio::test]
async fn a_slow_follower_gets_everything_or_is_told_what_it_missed() {
    let nodes = keeping(64).await;
    let mut run = nodes.begin().await;
    run.leave();
    run.told().send(large(1));
    nodes.knows(1, run.id(0), 1).await;
    let slow = nodes.resume(1, run.id(0)).send().await;
    let mut quick = nodes.resume(1, run.id(0)).send().await;
    quick.phase("replay").await;
    // More than sockets hold: the slow one takes nothing for the whole of it.
    for number in 2..=8000 {
        run.told().send(large(number));
    }
    run.over();
    let (events, ended) = quick.events().await;
    let quick = check(0, &events, ended);
    assert_eq!(quick.ended, Ended::Clean);
    assert_eq!(quick.phases.last().map(String::as_str), Some("end"));
    let slow = rest(0, slow).await;
    assert_eq!(slow.ended, Ended::Clean);
    let missed: u64 = slow.gaps.iter().map(|(from, to)| to + 1 - from).sum();
    assert_eq!(slow.numbers.len() as u64 + missed, 8000);
    assert!(slow.numbers.ends_with(&(8000 - 48..=8000).collect::<Vec<_>>()), "the newest are kept: {:?}", slow.gaps);
}

#[tokio::test]
async fn a_burst_that_outruns_what_is_kept_leaves_the_newest_on_every_node() {
    for events in [8, 20, 64] {
        let nodes = keeping(events).await;
        let mut run = nodes.begin().await;
        run.leave();
        until("nobody reads it", async || nodes.status(0, run.id(0)).await["last"] == 0).await;
        let all: String = (1..=1000).map(|number| format!("data: {number}\n\n")).collect();
        run.told().send(all);
        until("all of it is read", async || nodes.status(0, run.id(0)).await["last"] == 1000).await;
        nodes.knows(1, run.id(0), 1000).await;
        run.over();
        for node in [1, 0] {
            let checked = rest(0, nodes.resume(node, run.id(0)).send().await).await;
            assert!(checked.numbers.len() as u64 >= (events as u64).saturating_sub(16).max(1));
            assert_eq!(checked.gaps, [(1, checked.numbers[0] - 1)], "one gap, in front: {events} on node {node}");
            assert_eq!(checked.ended, Ended::Clean);
        }
    }
}

#[tokio::test]
async fn a_cursor_beyond_what_the_store_holds_waits_for_what_comes_or_brings_the_end() {
    // Node 0 cannot write: what its client has seen is not in the store yet.
    let store = MemoryStore::new();
    let [one, two] = [Switch::new(&store).shared(), Switch::new(&store).shared()];
    let layers = [one.clone(), two].map(|switch| ResumeLayer::new(switch, keys()).tokens_are_enough());
    let nodes = Nodes::start(layers).await;
    let mut run = nodes.counted(2).await;
    nodes.knows(1, run.id(0), 2).await;
    one.set_down(true);
    run.count(3).await;
    let mut ahead = nodes.resume(1, run.id(4)).send().await;
    let replay = ahead.phase("replay").await;
    assert_eq!((&replay["from"], &replay["last"]), (&4.into(), &2.into()));
    assert_eq!(ahead.phase("live").await["replayed"], 0);
    let own = nodes.resume(1, run.id(4)).header("x-resume-from", "4").send().await;
    assert_eq!(own.status, 200, "up to the token's own seq is good");
    let beyond = nodes.resume(1, run.id(4)).header("x-resume-from", "5").send().await;
    assert_eq!(beyond.status, 400);
    one.set_down(false);
    ahead.counts([5]).await;
    run.count(1).await;
    ahead.counts([6]).await;
    let end = run.end().await;
    assert_eq!(ahead.phase("end").await["seq"], 6);
    assert_eq!(nodes.reconnect(1, &end).send().await.status, 204);
}
