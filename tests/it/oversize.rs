//! Protocol section 2.6: an event that is too large to keep.

use crate::common::{Ended, Handler, Item, Logs, Request, Server, Told, call, get_stream, layer, masked};
use axum::Router;
use http::HeaderValue;
use std::{num::NonZeroUsize, time::Duration};
use tokio::time::{advance, sleep};
use tower_resume::{ResumeLayer, store::MemoryStore};

const SECOND: Duration = Duration::from_secs(1);

/// A layer that keeps events of up to 100 bytes.
fn small() -> ResumeLayer<MemoryStore> {
    layer().max_event_bytes(NonZeroUsize::new(100).unwrap())
}

/// The data of an event that is too large for it.
fn large() -> String {
    "L".repeat(1000)
}

async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

/// Everything again, from the stream's start.
fn again(token: &str) -> http::Request<axum::body::Body> {
    let mut request = get_stream();
    request.headers_mut().insert("x-resume-token", HeaderValue::from_str(token).unwrap());
    request.headers_mut().insert("x-resume-from", HeaderValue::from_static("0"));
    request
}

/// The events after `replay`, as phases with bounds and as data.
async fn shape(app: Router, token: &str) -> Vec<String> {
    let mut reply = call(app, again(token)).await;
    reply.phase("replay").await;
    let (events, ended) = reply.events().await;
    assert_eq!(ended, Ended::Clean);
    let show = |event: &crate::common::SseEvent| match event.phase().as_deref() {
        Some("gap") => format!("gap {} {} {}", event.json()["from"], event.json()["to"], event.json()["reason"]),
        Some(phase) => phase.to_owned(),
        None => event.data.clone(),
    };
    events.iter().map(show).collect()
}

#[tokio::test]
async fn it_reaches_the_first_client_whole_with_an_id_and_is_a_gap_to_all_others() {
    let handler = Handler::new();
    let app = handler.router().layer(small());
    let server = Server::start(app.clone()).await;
    let mut reply = Request::get(server.addr, "/stream").send().await;
    let token = reply.header("x-resume-token").unwrap().to_owned();
    let told = handler.told().await;
    told.count(1..=1);
    reply.phase("open").await;
    reply.counts(1..=1).await;
    let mut other = Request::get(server.addr, "/stream").header("x-resume-token", &token).send().await;
    other.phase("replay").await;
    other.counts(1..=1).await;
    other.phase("live").await;
    told.send(format!("event: e\ndata: {}\n\n", large()));
    told.send("data: 3\n\n");
    told.end();
    let event = reply.event().await;
    assert_eq!((event.event.as_str(), event.data), ("e", large()));
    assert!(event.id_is_last);
    reply.counts([3]).await;
    assert_eq!(reply.phase("end").await["seq"], 3);
    let gap = other.event().await;
    assert_eq!(gap.data, r#"{"phase":"gap","from":2,"to":2,"reason":"oversize"}"#);
    other.counts([3]).await;
    assert_eq!(other.phase("end").await["seq"], 3);
    assert_eq!(shape(app.clone(), &token).await, ["1", "gap 2 2 \"oversize\"", "3", "end"]);
    // Its id, and the gap's, lie behind it.
    for id in [event.id.unwrap(), gap.id.unwrap()] {
        let mut after = Request::get(server.addr, "/stream").header("last-event-id", id).send().await;
        assert_eq!(after.phase("replay").await["from"], 2);
        after.counts([3]).await;
    }
}

#[tokio::test]
async fn an_event_of_just_the_limit_is_kept_and_one_byte_more_is_not() {
    for (size, kept) in [(100, true), (101, false)] {
        for end in ["\n", "\r\n", "\r"] {
            let handler = Handler::new();
            let app = handler.router().layer(small());
            let mut reply = call(app.clone(), get_stream()).await;
            let token = reply.header("x-resume-token").unwrap().to_owned();
            let data = "x".repeat(size - "data: ".len() - 2 * end.len());
            let told = handler.told().await;
            told.send(format!("data: {data}{end}{end}"));
            told.end();
            assert_eq!(reply.events().await.0.len(), 3);
            let expected = if kept { data } else { "gap 1 1 \"oversize\"".to_owned() };
            assert_eq!(shape(app, &token).await, [expected.as_str(), "end"], "{size} bytes, {end:?}");
        }
    }
}

#[tokio::test]
async fn one_mebibyte_is_the_limit_by_default() {
    for (more, kept) in [(0, true), (1, false)] {
        let handler = Handler::new();
        let app = handler.router().layer(layer());
        let mut reply = call(app.clone(), get_stream()).await;
        let token = reply.header("x-resume-token").unwrap().to_owned();
        let data = "x".repeat(1024 * 1024 - "data: \n\n".len() + more);
        let told = handler.told().await;
        told.send(format!("data: {data}\n\n"));
        told.end();
        reply.phase("open").await;
        let event = reply.event().await;
        assert!(event.data == data && event.id_is_last);
        reply.phase("end").await;
        let shape = shape(app, &token).await;
        assert_eq!(shape.len(), 2);
        assert_eq!((shape[0] == data, shape[0] == "gap 1 1 \"oversize\""), (kept, !kept));
    }
}

#[tokio::test]
async fn split_over_many_frames_only_its_id_lines_are_taken_out() {
    let lines = format!("id: 1\ndata: {0}\r\n: comment\nid\r\nevent: e\nid: 2\ndata: {0}\rid:3\rdata: end\n", large());
    let expected = lines.replace("id: 1\n", "").replace("\nid\r\n", "\n").replace("id: 2\n", "").replace("id:3\r", "");
    for step in [1, 2, 7, 99, 100, 101, 5000] {
        let handler = Handler::new();
        let app = handler.router().layer(small());
        let mut reply = call(app.clone(), get_stream()).await;
        let token = reply.header("x-resume-token").unwrap().to_owned();
        let told = handler.told().await;
        let whole = format!("data: 1\n\n{lines}\ndata: 3\n\n");
        whole.as_bytes().chunks(step).for_each(|chunk| told.send(chunk.to_vec()));
        told.end();
        while reply.frame().await.is_ok() {}
        let text = masked(&reply.bytes);
        assert!(
            text.contains(&format!("\n\ndata: 1\nid: #\n\n{expected}id: #\n\ndata: 3\nid: #\n\nevent")),
            "{step}: {text}"
        );
        assert_eq!(shape(app, &token).await, ["1", "gap 2 2 \"oversize\"", "3", "end"], "in steps of {step}");
    }
}

#[tokio::test]
async fn several_in_a_row_are_a_gap_each_and_every_one_counts() {
    let handler = Handler::new();
    let app = handler.router().layer(small());
    let mut reply = call(app.clone(), get_stream()).await;
    let token = reply.header("x-resume-token").unwrap().to_owned();
    let told = handler.told().await;
    told.send(format!("data: {0}\n\ndata: {0}\n\n: between\n\ndata: {0}\n\n", large()));
    told.end();
    let (items, ended) = reply.rest().await;
    assert_eq!((items.len(), ended), (6, Ended::Clean));
    assert_eq!(items[3], Item::Comment("between".to_owned()));
    let gaps = (1..=3).map(|seq| format!("gap {seq} {seq} \"oversize\""));
    assert_eq!(shape(app, &token).await, gaps.chain(["end".to_owned()]).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_never_comes_inside_it() {
    let handler = Handler::new();
    let mut reply = call(handler.router().layer(small().token_ttl(60 * SECOND)), get_stream()).await;
    reply.phase("open").await;
    let told = handler.told().await;
    let half = format!("data: {}", large());
    told.send(half.clone());
    assert_eq!(reply.frame().await.unwrap(), half);
    assert!(reply.is_silent(100 * SECOND).await, "nothing can be said inside of a line");
    told.send("tail\n\n");
    for _ in 0..2 {
        reply.frame().await.unwrap();
    }
    let text = masked(&reply.bytes);
    let expected = format!("\n\n{half}tail\nid: #\n\n: heartbeat\n\n");
    assert!(text.ends_with(&expected), "the silence is over with the event, and begins again: {text}");
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_never_comes_inside_a_comment_that_is_too_large_either() {
    let handler = Handler::new();
    let mut reply = call(handler.router().layer(small()), get_stream()).await;
    reply.phase("open").await;
    let told = handler.told().await;
    told.send(format!(": {}", large()));
    assert_eq!(reply.frame().await.unwrap().len(), 1002);
    assert!(reply.is_silent(100 * SECOND).await, "what follows would become a line of its own");
    told.send("data: not an event\n\ndata: 1\n\n");
    told.end();
    while reply.frame().await.is_ok() {}
    let text = masked(&reply.bytes);
    assert!(text.contains(&format!("\n\n: {}data: not an event\n\ndata: 1\nid: #\n\n", large())), "{text}");
}

/// The first client is cut where it is, and nothing is glued to what it has; the others get the end.
async fn cut_inside(break_off: impl FnOnce(Told), status: &str) {
    let logs = Logs::new();
    let handler = Handler::new();
    let app = handler.router().layer(small());
    let server = Server::start(app.clone()).await;
    let mut reply = Request::get(server.addr, "/stream").send().await;
    let token = reply.header("x-resume-token").unwrap().to_owned();
    reply.phase("open").await;
    let told = handler.told().await;
    told.send(format!("data: 1\n\ndata: {}", large()));
    break_off(told);
    reply.counts(1..=1).await;
    assert_eq!(reply.rest().await, (vec![], Ended::Abrupt));
    assert!(reply.bytes.ends_with(large().as_bytes()), "{:?}", masked(&reply.bytes));
    let mut other = call(app, again(&token)).await;
    assert_eq!(other.phase("replay").await["status"], status);
    other.counts(1..=1).await;
    let end = other.phase("end").await;
    assert_eq!((end["status"].as_str(), end["seq"].as_u64()), (Some(status), Some(1)));
    assert!(logs.all().iter().any(|line| line.contains("event=unfinished_block")), "{:?}", logs.all());
}

#[tokio::test]
async fn a_stream_that_ends_inside_it_cuts_the_first_client_and_ends_for_all_others() {
    cut_inside(Told::end, "complete").await;
    cut_inside(Told::fail, "error").await;
}

#[tokio::test(start_paused = true)]
async fn a_first_client_that_stalls_inside_it_is_cut_rather_than_glued_to_what_follows() {
    let handler = Handler::new();
    let layer = small().max_bytes(NonZeroUsize::new(3000).unwrap()).stall_time(30 * SECOND);
    let app = handler.router().layer(layer);
    let mut reply = call(app.clone(), get_stream()).await;
    let token = reply.header("x-resume-token").unwrap().to_owned();
    reply.phase("open").await;
    let told = handler.told().await;
    told.send(format!("data: {}", large()));
    assert_eq!(reply.frame().await.unwrap().len(), 1006);
    for _ in 0..20 {
        told.send(large());
    }
    settle().await;
    advance(61 * SECOND).await;
    settle().await;
    told.send("\n\n");
    told.count(2..=2);
    told.end();
    settle().await;
    let ended = loop {
        if let Err(ended) = reply.frame().await {
            break ended;
        }
    };
    assert_eq!(ended, Ended::Abrupt);
    assert!(reply.bytes.ends_with(format!("\n\ndata: {}", large()).as_bytes()), "{}", masked(&reply.bytes));
    assert_eq!(shape(app, &token).await, ["gap 1 1 \"oversize\"", "2", "end"]);
}

#[tokio::test(start_paused = true)]
async fn a_first_client_that_stalls_inside_it_is_cut_though_it_never_ends() {
    let handler = Handler::new();
    let layer = small().max_bytes(NonZeroUsize::new(3000).unwrap()).stall_time(30 * SECOND);
    let mut reply = call(handler.router().layer(layer), get_stream()).await;
    reply.phase("open").await;
    let told = handler.told().await;
    told.send(format!("data: {}", large()));
    assert_eq!(reply.frame().await.unwrap().len(), 1006);
    for _ in 0..20 {
        told.send(large());
    }
    settle().await;
    advance(61 * SECOND).await;
    settle().await;
    let rest = tokio::time::timeout(SECOND, reply.frame()).await;
    assert_eq!(rest.expect("an end, although the event has none"), Err(Ended::Abrupt));
}

#[tokio::test]
async fn a_line_of_many_megabytes_reaches_the_first_client_whole() {
    let handler = Handler::new();
    let server = Server::start(handler.router().layer(layer())).await;
    let mut reply = Request::get(server.addr, "/stream").send().await;
    let told = handler.told().await;
    told.count(1..=1);
    let piece = "L".repeat(100_000);
    told.send("data: ");
    (0..100).for_each(|_| told.send(piece.clone()));
    told.send("\n\n");
    told.count(3..=3);
    told.end();
    while reply.frame().await.is_ok() {}
    let text = masked(&reply.bytes);
    let (_, events) = text.split_once("\n\n").unwrap();
    let expected = format!("data: 1\nid: #\n\ndata: {}\nid: #\n\ndata: 3\nid: #\n\nevent: resume\n", piece.repeat(100));
    assert!(events.starts_with(&expected), "{} bytes", events.len());
}
