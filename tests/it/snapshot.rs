//! Protocol section 3, "Snapshot": what stands in for events that are gone.

use crate::common::{Ended, Nodes, Peek, Reply, SseEvent, Switch, keys, layer, pass, sharing, until};
use bytes::Bytes;
use std::{num::NonZeroUsize, time::Duration};
use tower_resume::{Class, EventView, ResumeLayer, SnapshotFold, Step, store::MemoryStore, store::Store};

/// All data so far.
#[derive(Default)]
struct All(String);

impl SnapshotFold for All {
    fn event(&mut self, event: &EventView<'_>) {
        self.0.push_str(&String::from_utf8_lossy(&event.data()));
        self.0.push(',');
    }

    fn snapshot(&self) -> Option<Bytes> {
        (!self.0.is_empty()).then(|| self.0.clone().into())
    }
}

/// `result` is the whole result; a name of capitals is a step.
fn classify(event: &EventView<'_>) -> Class {
    match event.name() {
        "result" => Class::new().step("DONE").result(),
        "failure" => Class::new().result().failed(),
        "message" => Class::new(),
        name => Class::new().step(name),
    }
}

fn keeping<S: Store>(layer: ResumeLayer<S>, events: usize) -> ResumeLayer<S> {
    layer.max_events(NonZeroUsize::new(events).unwrap())
}

fn up_to(number: u64) -> String {
    (1..=number).map(|number| format!("{number},")).collect()
}

/// A response as words: phases with what matters of them, and data, each with its cursor.
fn words(events: &[SseEvent]) -> Vec<String> {
    let word = |event: &SseEvent| {
        assert!(event.id_is_last, "{event:?}");
        let at = Peek::into(event.id.as_deref().unwrap()).seq;
        let Some(phase) = event.phase() else { return format!("{}={}@{at}", event.event, event.data) };
        let json = event.json();
        match &*phase {
            "replay" => format!("replay {} {}@{at}", json["mode"].as_str().unwrap(), json["from"]),
            "gap" => format!("gap {}-{} {}@{at}", json["from"], json["to"], json["reason"].as_str().unwrap()),
            "snapshot" => format!("snapshot {} {}@{at}", json["seq"], json["status"].as_str().unwrap()),
            "live" => format!("live {}@{at}", json["seq"]),
            _ => format!("{phase} {} {}@{at}", json["seq"], json["status"].as_str().unwrap()),
        }
    };
    events.iter().map(word).collect()
}

async fn told(mut reply: Reply) -> Vec<String> {
    assert_eq!(reply.status, 200);
    let (events, ended) = reply.events().await;
    assert_eq!(ended, Ended::Clean);
    words(&events)
}

/// A result, then the stream's end.
async fn over(nodes: &Nodes, events: u64) -> (crate::common::Run, String) {
    let mut run = nodes.counted(events).await;
    run.say("event: result\ndata: {\ndata: }\n\n").await;
    let seen = run.end().await;
    (run, seen)
}

#[tokio::test]
async fn where_events_were_trimmed_the_result_of_a_stream_that_is_over_stands_in_for_all() {
    let nodes = Nodes::start(sharing(2).into_iter().map(|layer| keeping(layer.classify_with(classify), 20))).await;
    let (run, _) = over(&nodes, 59).await;
    for node in 0..2 {
        let first = nodes.status(node, run.id(0)).await["first"].as_u64().unwrap();
        assert!(first > 17);
        for from in [0, 1, first - 2] {
            for request in [nodes.resume(node, run.id(from)), nodes.reconnect(node, run.id(from))] {
                let expected = [
                    format!("replay snapshot {from}@{from}"),
                    format!("gap {}-60 trimmed@{from}", from + 1),
                    format!("snapshot 60 complete@{from}"),
                    "complete={\n}@60".to_owned(),
                    "end 60 complete@60".to_owned(),
                ];
                assert_eq!(told(request.send().await).await, expected, "node {node}");
            }
        }
        let mut whole = told(nodes.resume(node, run.id(first - 1)).send().await).await;
        assert_eq!(whole.len() as u64, 2 + 61 - first, "nothing was lost: no snapshot. {whole:?}");
        assert_eq!(whole.remove(0), format!("replay live {0}@{0}", first - 1));
        assert_eq!(nodes.status(node, run.id(0)).await["snapshot"], true);
    }
}

#[tokio::test]
async fn a_client_that_has_seen_the_end_is_shown_the_result_again_where_there_is_one() {
    let nodes = Nodes::start(sharing(2).into_iter().map(|layer| layer.classify_with(classify))).await;
    let (_run, seen) = over(&nodes, 2).await;
    let mut bare = nodes.counted(2).await;
    let bare = bare.end().await;
    for node in 0..2 {
        for mode in ["live", "replay"] {
            let ask =
                async |token: &str| told(nodes.resume(node, token).header("x-resume-mode", mode).send().await).await;
            let began = |cursor: &str| format!("replay {mode} {cursor}");
            let expected = [&*began("3@3"), "snapshot 3 complete@3", "complete={\n}@3", "end 3 complete@3"];
            assert_eq!(ask(&seen).await, expected, "node {node} {mode}");
            assert_eq!(ask(&bare).await, [&*began("2@2"), "end 2 complete@2"], "node {node} {mode}");
        }
        assert_eq!(nodes.reconnect(node, &seen).send().await.status, 204);
    }
}

#[tokio::test]
async fn a_client_that_is_cut_before_its_snapshot_is_whole_gets_it_when_it_comes_again() {
    let running = Nodes::start([keeping(layer().snapshot_with(|_| All::default()), 4)]).await;
    let run = running.counted(9).await;
    let over_nodes = Nodes::start([keeping(layer().classify_with(classify), 2)]).await;
    let (done, _) = over(&over_nodes, 9).await;
    for (nodes, token, name) in [(&running, run.id(1), "state"), (&over_nodes, done.id(1), "complete")] {
        let mut id = token.to_owned();
        for phase in ["replay", "gap", "snapshot"] {
            let mut reply = nodes.reconnect(0, &id).send().await;
            loop {
                let event = reply.event().await;
                if event.phase().as_deref() == Some(phase) {
                    id = event.id.unwrap();
                    break;
                }
            }
        }
        let mut reply = nodes.reconnect(0, &id).send().await;
        for phase in ["replay", "gap", "snapshot"] {
            reply.phase(phase).await;
        }
        assert_eq!(reply.event().await.event, name);
    }
}

#[tokio::test]
async fn the_result_of_a_failed_stream_says_so() {
    let nodes = Nodes::start([keeping(layer().classify_with(classify), 2)]).await;
    let mut run = nodes.counted(5).await;
    run.say("event: failure\ndata: oh\n\n").await;
    run.end().await;
    let expected = ["replay snapshot 0@0", "gap 1-6 trimmed@0", "snapshot 6 error@0", "complete=oh@6", "end 6 error@6"];
    assert_eq!(told(nodes.resume(0, run.id(0)).send().await).await, expected);
}

#[tokio::test]
async fn a_snapshot_outlives_its_log() {
    let ttl = |layer: ResumeLayer<_>| {
        layer.classify_with(classify).state_ttl(Duration::from_secs(60)).snapshot_ttl(Duration::from_secs(300))
    };
    let nodes = Nodes::start(sharing(2).into_iter().map(ttl)).await;
    let (run, seen) = over(&nodes, 2).await;
    pass(Duration::from_secs(61)).await;
    for node in 0..2 {
        let expected = [
            "replay snapshot 1@1",
            "gap 2-3 trimmed@1",
            "snapshot 3 complete@1",
            "complete={\n}@3",
            "end 3 complete@3",
        ];
        assert_eq!(told(nodes.resume(node, run.id(1)).send().await).await, expected);
        assert_eq!(told(nodes.reconnect(node, run.id(1)).send().await).await, expected);
        let expected = ["replay live 3@3", "snapshot 3 complete@3", "complete={\n}@3", "end 3 complete@3"];
        assert_eq!(told(nodes.resume(node, &seen).send().await).await, expected);
        assert_eq!(told(nodes.resume(node, run.id(3)).send().await).await, ["replay live 3@3", "end 3 complete@3"]);
        let status = nodes.status(node, run.id(1)).await;
        assert_eq!((&status["status"], &status["last"]), (&"complete".into(), &3.into()));
        assert_eq!((&status["buffered_events"], &status["snapshot"]), (&0.into(), &true.into()));
        assert_eq!((&status["first"], &status["trimmed"], &status["step"]), (&4.into(), &3.into(), &"DONE".into()));
    }
    pass(Duration::from_secs(300)).await;
    for node in 0..2 {
        assert_eq!(nodes.resume(node, run.id(1)).send().await.status, 426);
    }
}

#[tokio::test]
async fn a_step_that_does_not_fit_gets_the_result_where_there_is_one() {
    let rule = |token: &Step, stream: &Step| token == stream;
    let set = |layer: ResumeLayer<_>| layer.classify_with(classify).step_rule(rule);
    let nodes = Nodes::start(sharing(2).into_iter().map(set)).await;
    let (run, seen) = over(&nodes, 2).await;
    for node in 0..2 {
        for from in 0..=2 {
            let expected = [
                format!("replay snapshot {from}@{from}"),
                format!("gap {}-3 trimmed@{from}", from + 1),
                format!("snapshot 3 complete@{from}"),
                "complete={\n}@3".to_owned(),
                "end 3 complete@3".to_owned(),
            ];
            assert_eq!(told(nodes.resume(node, run.id(from)).send().await).await, expected, "node {node}");
        }
        assert_eq!(told(nodes.resume(node, run.id(3)).send().await).await, ["replay live 3@3", "end 3 complete@3"]);
        assert_eq!(told(nodes.resume(node, &seen).send().await).await.len(), 4);
    }
}

#[tokio::test]
async fn of_a_running_stream_a_folds_state_stands_in_for_what_is_trimmed() {
    let nodes = Nodes::start([keeping(layer().snapshot_with(|_| All::default()), 4)]).await;
    let mut run = nodes.counted(4).await;
    assert_eq!(nodes.status(0, run.id(0)).await["snapshot"], false, "nothing is gone yet");
    run.count(2).await;
    let status = nodes.status(0, run.id(0)).await;
    assert_eq!((&status["snapshot"], &status["first"]), (&true.into(), &3.into()));
    let mut reply = nodes.resume(0, run.id(1)).send().await;
    let mut events = vec![reply.event().await, reply.event().await];
    let gap = events[1].json();
    let upto = gap["to"].as_u64().unwrap();
    assert!(gap["from"] == 2 && (2..=6).contains(&upto), "{gap}");
    run.count(1).await;
    run.end().await;
    events.extend(reply.events().await.0);
    let mut expected = vec![
        "replay live 1@1".to_owned(),
        format!("gap 2-{upto} trimmed@1"),
        format!("snapshot {upto} running@1"),
        format!("state={}@{upto}", up_to(upto)),
    ];
    expected.extend((upto + 1..=6).map(|number| format!("message={number}@{number}")));
    expected.extend(["live 6@6", "message=7@7", "end 7 complete@7"].map(str::to_owned));
    assert_eq!(words(&events), expected);
    let whole = told(nodes.resume(0, run.id(0)).send().await).await;
    assert_eq!(whole[3], format!("complete={}@7", up_to(7)));
}

#[tokio::test]
async fn a_state_from_any_cursor_and_on_any_node_leaves_no_hole_and_repeats_nothing() {
    let set = |layer: ResumeLayer<_>| keeping(layer.snapshot_with(|_| All::default()), 20);
    let nodes = Nodes::start(sharing(2).into_iter().map(set)).await;
    let mut run = nodes.counted(70).await;
    nodes.knows(1, run.id(0), 70).await;
    for node in [0, 1] {
        for from in (0..70).step_by(7) {
            let mut reply = nodes.resume(node, run.id(from)).header("x-resume-mode", "replay").send().await;
            let (events, ended) = reply.events().await;
            assert_eq!(ended, Ended::Clean);
            let mut has = up_to(from);
            for event in events {
                match (&*event.event, event.phase().as_deref()) {
                    ("state", _) => has.clone_from(&event.data),
                    ("message", _) => has = format!("{has}{},", event.data),
                    (_, Some("replay" | "gap" | "snapshot")) => {}
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(has, up_to(70), "node {node} from {from}");
        }
    }
    run.end().await;
}

#[tokio::test]
async fn a_fold_comes_before_a_result_and_follows_the_stream_to_its_end() {
    let nodes = Nodes::start([keeping(layer().classify_with(classify).snapshot_with(|_| All::default()), 2)]).await;
    let mut run = nodes.counted(5).await;
    run.say("event: result\ndata: r\n\n").await;
    run.say("data: 7\n\n").await;
    run.end().await;
    let whole = told(nodes.resume(0, run.id(0)).send().await).await;
    assert_eq!(whole[1..3], ["gap 1-7 trimmed@0", "snapshot 7 complete@0"]);
    assert_eq!(whole[3], "complete=1,2,3,4,5,r,7,@7");
}

/// Says what it is told to.
struct Says(&'static str);

impl SnapshotFold for Says {
    fn event(&mut self, _: &EventView<'_>) {}

    fn snapshot(&self) -> Option<Bytes> {
        Some(Bytes::from_static(self.0.as_bytes()))
    }
}

#[tokio::test]
async fn a_snapshot_of_several_lines_arrives_line_by_line() {
    for (data, expected) in [
        ("a\nb", "a\nb"),
        ("a\r\nb\rc\n", "a\nb\nc\n"),
        ("\n", "\n"),
        ("", ""),
        (" led by a blank", " led by a blank"),
        ("event: x\n\nid: 7\n: c\nretry: 1", "event: x\n\nid: 7\n: c\nretry: 1"),
    ] {
        let nodes = Nodes::start([keeping(layer().snapshot_with(move |_| Says(data)), 1)]).await;
        let mut run = nodes.counted(3).await;
        run.end().await;
        let mut reply = nodes.resume(0, run.id(0)).send().await;
        let (events, ended) = reply.events().await;
        assert_eq!((events.len(), ended), (5, Ended::Clean), "{data:?}");
        assert_eq!((&*events[3].event, &*events[3].data), ("complete", expected), "{data:?}");
        assert_eq!(Peek::into(events[3].id.as_deref().unwrap()).seq, 3);
        assert!(events[3].id_is_last && events[3].retry.is_none());
    }
}

#[tokio::test]
async fn with_no_snapshot_what_was_trimmed_is_a_gap_also_once_the_stream_is_over() {
    let nodes = Nodes::start([keeping(layer(), 2)]).await;
    let mut run = nodes.counted(4).await;
    run.end().await;
    until("it is over", async || nodes.status(0, run.id(0)).await["status"] == "complete").await;
    let status = nodes.status(0, run.id(0)).await;
    assert_eq!(status["snapshot"], false);
    let first = status["first"].as_u64().unwrap();
    let told = told(nodes.resume(0, run.id(0)).send().await).await;
    assert_eq!(told[..2], ["replay live 0@0".to_owned(), format!("gap 1-{0} trimmed@{0}", first - 1)]);
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_read_just_now_is_waited_for() {
    // A trimmed stream that is over: without its snapshot the client would be told of a gap for good.
    let store = MemoryStore::new();
    let [one, two] = [Switch::new(&store), Switch::new(&store)];
    let layers = [one, two.clone()]
        .map(|switch| keeping(ResumeLayer::new(switch, keys()).tokens_are_enough().classify_with(classify), 2));
    let nodes = Nodes::start(layers).await;
    let (run, _) = over(&nodes, 40).await;
    two.set_down(true);
    assert_eq!(nodes.resume(1, run.id(0)).send().await.status, 503);
    two.set_down(false);
    assert_eq!(told(nodes.resume(1, run.id(0)).send().await).await[0], "replay snapshot 0@0");
}
