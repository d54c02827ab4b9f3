//! Protocol sections 2 to 4 on resumed responses: other ids, control events as comments, events too large to keep.

use crate::common::{Ended, Handler, Item, Nodes, Peek, Reply, Request, Run, sharing};
use std::{num::NonZeroUsize, sync::Arc};
use tower_resume::{ControlEvents, EventIds, ResumeLayer, store::MemoryStore};

type Layer = ResumeLayer<Arc<MemoryStore>>;

async fn two(set: impl Fn(Layer) -> Layer) -> Nodes {
    Nodes::start(sharing(2).into_iter().map(set)).await
}

/// The phases of control comments.
fn phases(items: &[Item]) -> Vec<String> {
    let phase = |item: &Item| match item {
        Item::Comment(comment) => {
            let json: serde_json::Value = serde_json::from_str(comment.strip_prefix("resume ")?).unwrap();
            Some(json["phase"].as_str().unwrap().to_owned())
        }
        Item::Event(_) => None,
    };
    items.iter().filter_map(phase).collect()
}

fn data(items: &[Item]) -> Vec<&str> {
    let mut all = Vec::new();
    for item in items {
        if let Item::Event(event) = item {
            all.push(&*event.data);
        }
    }
    all
}

#[tokio::test]
async fn without_ids_a_client_resumes_by_the_header_and_its_own_count() {
    let nodes = two(|layer| layer.event_ids(EventIds::Off)).await;
    let mut first = Request::post(nodes.addr(0), "/stream").send().await;
    let token = first.header("x-resume-token").unwrap().to_owned();
    assert_eq!(first.phase("open").await["token"], *token);
    let told = nodes.handler.told().await;
    told.send("id: mine\ndata: 1\n\ndata: 2\n\n");
    assert_eq!((first.event().await.id.as_deref(), first.event().await.id), (Some("mine"), None));
    nodes.knows(1, &token, 2).await;
    drop(told);
    for node in 0..2 {
        for from in 0..=2 {
            let reply = nodes.resume(node, &token).header("x-resume-from", from.to_string()).send().await;
            let items = { reply }.rest().await.0;
            let ids: Vec<_> =
                items.iter().map(|item| matches!(item, Item::Event(event) if event.id.is_some())).collect();
            let own = usize::from(from == 0);
            assert_eq!(ids.iter().filter(|has| **has).count(), own, "only the handler's own: {items:?}");
            let numbers = ["1", "2"];
            assert_eq!(data(&items)[1..=2 - from], numbers[from..], "node {node}");
        }
    }
}

#[tokio::test]
async fn preserved_ids_stay_on_every_node_and_the_others_are_tokens() {
    let nodes = two(|layer| layer.event_ids(EventIds::Preserve)).await;
    let mut run = nodes.begin().await;
    run.say("data: 1\nid: own\nextra: x\n\n").await;
    run.say("data: 2\n\n").await;
    run.end().await;
    assert_eq!(run.id(1), "own");
    for node in 0..2 {
        let mut reply = nodes.resume(node, run.id(0)).send().await;
        let (events, _) = reply.events().await;
        let ids: Vec<_> = events.iter().map(|event| event.id.as_deref().unwrap()).collect();
        assert_eq!(ids[1], "own");
        assert_eq!([0, 2, 3].map(|at| Peek::into(ids[at]).seq), [0, 2, 2]);
        let text = String::from_utf8(reply.bytes.clone()).unwrap();
        assert!(text.contains("\n\ndata: 1\nid: own\nextra: x\n\ndata: 2\nid: "), "{text}");
    }
}

#[tokio::test]
async fn control_comments_carry_no_id_and_no_retry_and_events_still_do() {
    let nodes = two(|layer| layer.control_events(ControlEvents::Comments)).await;
    let mut first = Request::post(nodes.addr(0), "/stream").send().await;
    let token = first.header("x-resume-token").unwrap().to_owned();
    let told = nodes.handler.told().await;
    told.count(1..=2);
    let id = first.counts(1..=2).await;
    nodes.knows(1, &token, 2).await;
    told.end();
    first.rest().await;
    for node in 0..2 {
        let mut reply = nodes.reconnect(node, &token).send().await;
        let (items, ended) = reply.rest().await;
        assert_eq!((phases(&items), ended), (vec!["replay".to_owned(), "end".to_owned()], Ended::Clean));
        assert_eq!(data(&items), ["1", "2"]);
        let text = String::from_utf8(reply.bytes.clone()).unwrap();
        assert_eq!((text.matches("id: ").count(), text.matches("retry").count()), (2, 0), "{text}");
        assert_eq!(Peek::into(&id).seq, 2);
    }
}

#[tokio::test]
async fn a_handlers_word_for_its_one_stream_holds_on_every_node() {
    let handler = Handler::with_head(|mut response| {
        response.extensions_mut().insert(ControlEvents::Comments);
        response
    });
    let nodes = Nodes::of(handler, sharing(2)).await;
    let mut first = Request::post(nodes.addr(0), "/stream").send().await;
    let token = first.header("x-resume-token").unwrap().to_owned();
    let told = nodes.handler.told().await;
    told.count([1]);
    first.counts([1]).await;
    nodes.knows(1, &token, 1).await;
    told.end();
    for node in 0..2 {
        let (items, _) = nodes.resume(node, &token).send().await.rest().await;
        assert_eq!((phases(&items), data(&items)), (vec!["replay".to_owned(), "end".to_owned()], vec!["1"]));
    }
}

#[tokio::test]
async fn the_name_of_control_events_can_be_another() {
    let nodes = two(|layer| layer.control_name("sys")).await;
    let mut first = Request::post(nodes.addr(0), "/stream").send().await;
    let open = first.event().await;
    assert_eq!(open.event, "sys");
    let told = nodes.handler.told().await;
    told.send("event: resume\ndata: mine\n\n");
    let mine = first.event().await;
    assert_eq!((&*mine.event, &*mine.data), ("resume", "mine"));
    drop(told);
    let (items, _) = nodes.reconnect(0, &open.id.unwrap()).send().await.rest().await;
    let names: Vec<_> = items.iter().map(|item| matches!(item, Item::Event(event) if event.event == "sys")).collect();
    assert_eq!(names, [true, false, true]);
}

/// The words of a resumed response: the data's length, or the gap.
async fn words(mut reply: Reply) -> Vec<String> {
    let (events, ended) = reply.events().await;
    assert_eq!(ended, Ended::Clean);
    let word = |event: &crate::common::SseEvent| match event.phase().as_deref() {
        None => event.data.len().to_string(),
        Some("gap") => {
            format!("{}-{} {}", event.json()["from"], event.json()["to"], event.json()["reason"].as_str().unwrap())
        }
        Some(phase) => phase.to_owned(),
    };
    events.iter().map(word).collect()
}

#[tokio::test]
async fn an_event_too_large_to_keep_is_a_gap_of_its_own_to_all_others() {
    let nodes = two(|layer| layer.max_event_bytes(NonZeroUsize::new(100).unwrap())).await;
    let mut run: Run = nodes.begin().await;
    for length in [1, 200, 300, 2, 400] {
        let event = run.say(&format!("data: {}\n\n", "x".repeat(length))).await;
        assert_eq!(event.data.len(), length, "the first client gets it");
    }
    let cursors = run.ids.iter().map(|id| Peek::into(id).seq).collect::<Vec<_>>();
    assert_eq!(cursors, [0, 1, 2, 3, 4, 5]);
    run.end().await;
    for node in 0..2 {
        let whole = ["replay", "1", "2-2 oversize", "3-3 oversize", "2", "5-5 oversize", "end"];
        assert_eq!(words(nodes.resume(node, run.id(0)).send().await).await, whole, "node {node}");
        assert_eq!(words(nodes.reconnect(node, run.id(2)).send().await).await[1..], whole[3..]);
        assert_eq!(words(nodes.resume(node, run.id(5)).send().await).await, ["replay", "end"]);
        let status = nodes.status(node, run.id(0)).await;
        assert_eq!(
            (&status["last"], &status["buffered_events"], &status["trimmed"]),
            (&5.into(), &5.into(), &0.into())
        );
    }
}

#[tokio::test]
async fn events_larger_than_a_page_come_over_too() {
    let nodes = two(|layer| layer).await;
    let mut run = nodes.begin().await;
    for _ in 0..4 {
        run.say(&format!("data: {}\n\n", "x".repeat(300_000))).await;
    }
    nodes.knows(1, run.id(0), 4).await;
    for over in [false, true] {
        if over {
            run.end().await;
        }
        for node in [1, 0] {
            let reply = nodes.resume(node, run.id(1)).header("x-resume-mode", "replay").send().await;
            let expected = ["replay", "300000", "300000", "300000", "end"];
            assert_eq!(words(reply).await, expected[..4 + usize::from(over)], "node {node}");
        }
    }
}
