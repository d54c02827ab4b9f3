//! Protocol section 3: live, replay and status, and where they begin.

use crate::common::{Ended, Item, Nodes, Peek, Reply, Request, layer, sharing};
use serde_json::{Value, json};
use std::num::NonZeroUsize;
use tower_resume::{ResumeLayer, store::MemoryStore};

/// The members of a control event; those that differ from run to run are there, and `null`.
fn members(mut json: Value) -> Value {
    for (name, value) in json.as_object_mut().unwrap() {
        if matches!(name.as_str(), "token" | "request_id" | "correlation_id" | "expires_at") {
            assert!(!value.is_null(), "{name}");
            *value = Value::Null;
        } else if value.is_object() {
            *value = members(value.take());
        }
    }
    json
}

/// What a response brings, control events by their phase.
async fn told(mut reply: Reply) -> (Vec<String>, Ended) {
    let (events, ended) = reply.events().await;
    (events.iter().map(|event| event.phase().unwrap_or_else(|| event.data.clone())).collect(), ended)
}

/// Keeps four events.
fn trimming() -> ResumeLayer<MemoryStore> {
    layer().max_events(NonZeroUsize::new(4).unwrap())
}

#[tokio::test]
async fn a_live_resume_is_replay_gap_events_live_events_end_with_ids_at_the_clients_cursor() {
    let nodes = Nodes::start([trimming()]).await;
    let mut run = nodes.counted(6).await;
    let mut reply = nodes.resume(0, run.id(1)).send().await;
    let mut events = Vec::new();
    for _ in 0..7 {
        events.push(reply.event().await);
    }
    run.count(2).await;
    run.end().await;
    let (rest, ended) = reply.events().await;
    assert_eq!(ended, Ended::Clean);
    events.extend(rest);
    let seqs = events.iter().map(|event| Peek::into(event.id.as_deref().unwrap()).seq);
    assert_eq!(seqs.collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 6, 7, 8, 8]);
    assert!(events.iter().all(|event| event.id_is_last));
    let retries: Vec<_> = events.iter().map(|event| event.retry.is_some()).collect();
    assert_eq!(retries.iter().filter(|has| **has).count(), 1, "only replay carries retry");
    assert!(retries[0]);
    let data: Vec<_> = events.iter().filter(|event| event.event == "message").map(|event| &*event.data).collect();
    assert_eq!(data, ["3", "4", "5", "6", "7", "8"]);
    let control: Vec<_> =
        events.iter().filter(|event| event.event == "resume").map(|event| members(event.json())).collect();
    let none = Value::Null;
    assert_eq!(
        control,
        [
            json!({"phase": "replay", "token": none, "request_id": none, "expires_at": none, "mode": "live", "from": 1,
                "first": 3, "last": 6, "status": "running"}),
            json!({"phase": "gap", "from": 2, "to": 2, "reason": "trimmed"}),
            json!({"phase": "live", "seq": 6, "replayed": 4}),
            json!({"phase": "end", "status": "complete", "seq": 8,
                "diagnostics": {"resumes": 1, "trims": 4, "recovered_events": 4, "correlation_id": none}}),
        ]
    );
    let ends: Vec<_> = events.iter().map(|event| Peek::into(event.id.as_deref().unwrap()).seen_end).collect();
    assert_eq!(ends.iter().position(|seen| *seen), Some(9), "only the end's token says so");
}

#[tokio::test]
async fn a_resumed_response_says_what_it_is_in_its_head() {
    let nodes = Nodes::start([layer()]).await;
    let run = nodes.counted(2).await;
    for request in [nodes.resume(0, run.id(1)), nodes.reconnect(0, run.id(1))] {
        let mut reply = request.send().await;
        assert_eq!(reply.header("content-type"), Some("text/event-stream"));
        assert_eq!(reply.header("cache-control"), Some("no-store, no-transform"));
        assert_eq!(reply.header("x-accel-buffering"), Some("no"));
        assert_eq!(reply.header("x-resume-stream"), Some(&*run.request_id));
        assert_eq!(reply.header("x-resume-degraded"), None);
        let replay = reply.phase("replay").await;
        assert_eq!(replay["token"].as_str(), reply.header("x-resume-token"));
        assert_eq!(replay["request_id"], *run.request_id);
        assert_eq!(Peek::into(replay["token"].as_str().unwrap()).seq, 1);
    }
}

#[tokio::test]
async fn live_says_what_was_replayed_also_where_that_is_nothing() {
    let nodes = Nodes::start([layer()]).await;
    let mut run = nodes.counted(3).await;
    for from in 0..=3 {
        let mut reply = nodes.resume(0, run.id(from)).send().await;
        reply.phase("replay").await;
        for number in from + 1..=3 {
            reply.counts([number]).await;
        }
        assert_eq!(reply.phase("live").await, json!({"phase": "live", "seq": 3, "replayed": 3 - from}));
    }
    run.end().await;
    let mut reply = nodes.resume(0, run.id(3)).send().await;
    assert_eq!(reply.phase("replay").await["status"], "complete");
    reply.phase("end").await;
    assert_eq!(reply.rest().await, (vec![], Ended::Clean), "a stream that is over is never live");
}

#[tokio::test]
async fn a_replay_of_a_running_stream_ends_cleanly_with_a_heartbeat() {
    let nodes = Nodes::start(sharing(2)).await;
    let mut run = nodes.begin().await;
    for events in [0, 3] {
        run.count(events).await;
        nodes.knows(1, run.id(0), events).await;
        for node in 0..2 {
            let mut reply = nodes.resume(node, run.id(0)).header("x-resume-mode", "replay").send().await;
            let replay = reply.phase("replay").await;
            assert_eq!((&replay["mode"], &replay["status"]), (&"replay".into(), &"running".into()), "node {node}");
            if events > 0 {
                reply.counts(1..=events).await;
            }
            assert_eq!(reply.rest().await, (vec![Item::Comment("heartbeat".to_owned())], Ended::Clean), "node {node}");
        }
    }
}

#[tokio::test]
async fn a_replay_of_a_stream_that_is_over_ends_with_its_end() {
    let nodes = Nodes::start(sharing(2)).await;
    let mut run = nodes.counted(3).await;
    run.end().await;
    for node in 0..2 {
        for (from, expected) in [(0, &["replay", "1", "2", "3", "end"][..]), (3, &["replay", "end"])] {
            let reply = nodes.resume(node, run.id(from)).header("x-resume-mode", "replay").send().await;
            assert_eq!(told(reply).await, (expected.iter().map(ToString::to_string).collect(), Ended::Clean));
        }
    }
}

#[tokio::test]
async fn status_tells_all_of_a_stream_and_replays_nothing() {
    let nodes = Nodes::start([trimming()]).await;
    let mut run = nodes.begin().await;
    let reply = nodes.resume(0, run.id(0)).header("x-resume-mode", "status").send().await;
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("cache-control"), Some("no-store, no-transform"));
    assert_eq!(reply.header("x-resume-stream"), Some(&*run.request_id));
    assert_eq!(Peek::into(reply.header("x-resume-token").unwrap()).seq, 0);
    let empty = reply.json().await;
    let (started, expires) = (empty["started_at"].as_u64().unwrap(), empty["expires_at"].as_u64().unwrap());
    assert!(started > 1_700_000_000_000 && empty["updated_at"].as_u64().unwrap() >= started);
    assert!((started + 899_000..started + 901_000 + 60_000).contains(&expires), "15 minutes on: {empty}");
    let expected = |status: &str, first: u64, last: u64, from: u64| {
        json!({"request_id": run_id(&empty), "status": status, "step": "", "first": first, "last": last, "from": from,
            "behind": last - from, "buffered_events": last + 1 - first, "buffered_bytes": 9 * (last + 1 - first),
            "trimmed": first - 1, "snapshot": false})
    };
    assert_eq!(timeless(&empty), expected("running", 1, 0, 0));
    run.count(3).await;
    assert_eq!(timeless(&nodes.status(0, run.id(2)).await), expected("running", 1, 3, 2));
    run.count(3).await;
    assert_eq!(timeless(&nodes.status(0, run.id(1)).await), expected("running", 3, 6, 1));
    let seen = run.end().await;
    let over = nodes.status(0, run.id(6)).await;
    // By now it may come from the store, which trims by whole chunks.
    let first = over["first"].as_u64().unwrap();
    assert!((3..=6).contains(&first), "{over}");
    assert_eq!(timeless(&over), expected("complete", first, 6, 6));
    let by_browser = nodes.reconnect(0, &seen).header("x-resume-mode", "status").send().await;
    assert_eq!(by_browser.status, 200, "also for a client that has seen the end");
    assert!(Peek::into(by_browser.header("x-resume-token").unwrap()).seen_end);
    let by_browser = by_browser.json().await;
    let first = by_browser["first"].as_u64().unwrap();
    assert_eq!(timeless(&by_browser), expected("complete", first, 6, 6));
}

fn run_id(status: &Value) -> &str {
    status["request_id"].as_str().unwrap()
}

/// A status without its times, which are all there.
fn timeless(status: &Value) -> Value {
    let mut status = status.clone();
    for time in ["started_at", "updated_at", "expires_at"] {
        assert!(status.as_object_mut().unwrap().remove(time).unwrap().is_u64(), "{time}");
    }
    status
}

#[tokio::test]
async fn status_is_the_same_on_a_node_that_has_only_the_store() {
    let nodes = Nodes::start(sharing(2)).await;
    let mut run = nodes.counted(5).await;
    nodes.knows(1, run.id(0), 5).await;
    assert_eq!(timeless(&nodes.status(1, run.id(2)).await), timeless(&nodes.status(0, run.id(2)).await));
    run.fail();
    run.ended().await;
    for node in 0..2 {
        let status = nodes.status(node, run.id(2)).await;
        assert_eq!((&status["status"], &status["last"]), (&"error".into(), &5.into()), "node {node}");
    }
}

#[tokio::test]
async fn x_resume_from_replaces_the_tokens_cursor() {
    let nodes = Nodes::start(sharing(2)).await;
    let mut run = nodes.counted(4).await;
    let seen = run.end().await;
    for node in 0..2 {
        for token in [run.id(0), run.id(2), run.id(4), &seen] {
            for from in 0..=4 {
                let mut reply = nodes.resume(node, token).header("x-resume-from", from.to_string()).send().await;
                assert_eq!(reply.phase("replay").await["from"], from);
                for number in from + 1..=4 {
                    reply.counts([number]).await;
                }
                let end = reply.event().await;
                assert_eq!(end.phase().as_deref(), Some("end"));
                assert!(Peek::into(&end.id.unwrap()).seen_end);
            }
        }
    }
}

#[tokio::test]
async fn x_resume_from_beyond_the_last_event_and_the_tokens_own_is_a_bad_cursor() {
    let nodes = Nodes::start(sharing(2)).await;
    let mut run = nodes.counted(3).await;
    nodes.knows(1, run.id(0), 3).await;
    for over in [false, true] {
        if over {
            run.end().await;
        }
        for node in 0..2 {
            for (from, mode) in [("4", "live"), ("4", "replay"), ("4", "status"), ("18446744073709551615", "live")] {
                let request = nodes.resume(node, run.id(1)).header("x-resume-from", from).header("x-resume-mode", mode);
                let reply = request.send().await;
                assert_eq!(reply.status, 400, "{from} {mode}");
                assert_eq!(reply.json().await["code"], "bad_cursor");
            }
        }
    }
}

#[tokio::test]
async fn a_bad_x_resume_from_or_mode_is_told_apart() {
    let nodes = Nodes::start([layer()]).await;
    let run = nodes.counted(3).await;
    let from =
        ["", "-1", "+1", "1.0", "1 2", "0x1", "NaN", "18446744073709551616"].map(|value| ("x-resume-from", value));
    let mode = ["", "LIVE", "stop", "live, replay"].map(|value| ("x-resume-mode", value));
    for (name, value) in from.into_iter().chain(mode) {
        for path in ["/stream", "/resume"] {
            let request = Request::get(nodes.addr(0), path).header("x-resume-token", run.id(1)).header(name, value);
            let reply = request.send().await;
            assert_eq!(reply.status, 400, "{name}: {value}");
            let code = if name == "x-resume-mode" { "bad_mode" } else { "bad_cursor" };
            assert_eq!(reply.json().await["code"], code, "{name}: {value}");
        }
    }
    for (name, code) in [("x-resume-from", "bad_cursor"), ("x-resume-mode", "bad_mode")] {
        let value = if name == "x-resume-mode" { "live" } else { "1" };
        let reply = nodes.resume(0, run.id(1)).header(name, value).header(name, value).send().await;
        assert_eq!((reply.status.as_u16(), &reply.json().await["code"]), (400, &code.into()), "twice");
    }
}

#[tokio::test]
async fn a_client_that_has_seen_the_end_and_asks_with_the_header_is_told_it_again() {
    let nodes = Nodes::start(sharing(2)).await;
    let mut run = nodes.counted(2).await;
    let seen = run.end().await;
    for node in 0..2 {
        for mode in ["live", "replay"] {
            let mut reply = nodes.resume(node, &seen).header("x-resume-mode", mode).send().await;
            let replay = reply.phase("replay").await;
            assert_eq!((&replay["from"], &replay["status"]), (&2.into(), &"complete".into()), "node {node} {mode}");
            assert_eq!(reply.phase("end").await["seq"], 2);
            assert_eq!(reply.rest().await, (vec![], Ended::Clean));
        }
    }
}
