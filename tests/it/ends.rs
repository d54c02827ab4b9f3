//! Protocol section 2.4: how streams end, and how responses that have to be cut short do.

use crate::common::{Ended, Handler, Request, Server, Wire, call, get_stream, layer, masked};
use axum::body::Body;
use bytes::Bytes;
use http_body::Frame;
use std::{
    num::NonZeroUsize,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tower::{Layer as _, service_fn};
use tower_resume::{Class, EventView, ResumeLayer, SnapshotFold, store::MemoryStore};

#[tokio::test]
async fn a_body_that_ends_is_complete_and_one_that_fails_is_an_error_and_both_end_cleanly() {
    for wire in Wire::ALL {
        for (fails, status) in [(false, "complete"), (true, "error")] {
            let handler = Handler::new();
            let line = wire.serve(handler.router().layer(layer())).await;
            let mut reply = line.send(Request::get(line.addr, "/stream")).await;
            reply.phase("open").await;
            let told = handler.told().await;
            told.count(1..=2);
            if fails {
                told.fail()
            } else {
                told.end()
            }
            reply.counts(1..=2).await;
            let end = reply.phase("end").await;
            assert_eq!((end["status"].as_str(), end["seq"].as_u64()), (Some(status), Some(2)), "{wire:?}");
            assert_eq!(reply.rest().await, (vec![], Ended::Clean), "{wire:?}, {status}");
            let token = reply.header("x-resume-token").unwrap().to_owned();
            let mut late = line.send(Request::get(line.addr, "/stream").header("x-resume-token", token)).await;
            assert_eq!(late.phase("replay").await["status"], status);
            late.counts(1..=2).await;
            late.phase("end").await;
            assert_eq!(late.rest().await, (vec![], Ended::Clean), "{wire:?}, {status}");
        }
    }
}

/// A body that says one thing and then panics: when it is read, or only when it is dropped.
struct Panics {
    said: bool,
    when_read: bool,
}

impl http_body::Body for Panics {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if std::mem::replace(&mut self.said, true) {
            assert!(!self.when_read, "told to panic");
            return Poll::Ready(None);
        }
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"data: 1\n\ndata: half")))))
    }
}

impl Drop for Panics {
    fn drop(&mut self) {
        assert!(self.when_read || !self.said, "told to panic");
    }
}

#[tokio::test]
async fn a_body_that_panics_is_an_error_like_any_other() {
    for when_read in [true, false] {
        let app = layer().layer(service_fn(move |_: http::Request<Body>| async move {
            let body = Panics { said: false, when_read };
            http::Response::builder().header("content-type", "text/event-stream").body(body)
        }));
        let mut reply = call(app.clone(), get_stream()).await;
        let token = reply.header("x-resume-token").unwrap().to_owned();
        reply.phase("open").await;
        reply.counts([1]).await;
        assert_eq!(reply.phase("end").await["status"], "error", "when read: {when_read}");
        assert_eq!(reply.rest().await, (vec![], Ended::Clean));
        let mut late =
            call(app, http::Request::get("/").header("x-resume-token", token).body(Body::empty()).unwrap()).await;
        assert_eq!(late.phase("replay").await["status"], "error", "when read: {when_read}");
    }
}

/// Panics at the event `panic`, or when it is asked for its snapshot.
struct Fold;

impl SnapshotFold for Fold {
    fn event(&mut self, event: &EventView<'_>) {
        assert_ne!(event.data(), &b"panic in event"[..], "told to panic");
    }

    fn snapshot(&self) -> Option<Bytes> {
        panic!("told to panic");
    }
}

#[tokio::test]
async fn a_hook_that_panics_ends_the_stream_as_an_error_and_nobody_hangs() {
    let classified = layer().classify_with(|event: &EventView<'_>| {
        assert_ne!(event.data(), &b"panic in event"[..], "told to panic");
        Class::new()
    });
    let folded = || layer().snapshot_with(|_| Fold);
    for (layer, said) in [(classified, "panic in event"), (folded(), "panic in event"), (folded(), "anything else")] {
        let handler = Handler::new();
        let app = handler.router().layer(layer.max_streams(1));
        let mut reply = call(app.clone(), get_stream()).await;
        let token = reply.header("x-resume-token").unwrap().to_owned();
        let told = handler.told().await;
        told.count(1..=1);
        told.send(format!("data: {said}\n\n"));
        told.end();
        reply.phase("open").await;
        let (events, ended) = reply.events().await;
        let end = events.last().unwrap().json();
        let last = if said == "panic in event" { 1 } else { 2 };
        assert_eq!((end["status"].as_str(), end["seq"].as_u64()), (Some("error"), Some(last)), "{said}");
        assert_eq!((events.len() as u64, ended), (last + 1, Ended::Clean), "{said}");
        let mut late =
            call(app.clone(), http::Request::get("/").header("x-resume-token", token).body(Body::empty()).unwrap())
                .await;
        let replay = late.phase("replay").await;
        assert_eq!((replay["status"].as_str(), replay["last"].as_u64()), (Some("error"), Some(last)), "{said}");
        assert_eq!(late.events().await.0.len() as u64, last + 1);
        let next = call(app, get_stream()).await;
        assert_eq!(next.header("x-resume-degraded"), None, "the stream that panicked no longer counts as running");
    }
}

#[tokio::test]
async fn a_stream_that_the_classifier_calls_failed_ends_as_an_error() {
    let layer = layer().classify_with(|event: &EventView<'_>| match event.name() {
        "error" => Class::new().failed(),
        _ => Class::new(),
    });
    let handler = Handler::new();
    let mut reply = call(handler.router().layer(layer), get_stream()).await;
    let told = handler.told().await;
    told.send("event: error\ndata: 1\n\n");
    told.count(2..=2);
    told.end();
    reply.phase("open").await;
    assert_eq!(reply.event().await.event, "error");
    reply.counts(2..=2).await;
    assert_eq!(reply.phase("end").await["status"], "error");
    assert_eq!(reply.rest().await, (vec![], Ended::Clean));
}

/// Sends raw bytes and reads until the server closes.
async fn raw(addr: std::net::SocketAddr, head: &str) -> String {
    let mut io = tokio::net::TcpStream::connect(addr).await.unwrap();
    io.write_all(head.as_bytes()).await.unwrap();
    let mut reply = Vec::new();
    io.read_to_end(&mut reply).await.unwrap();
    masked(&reply)
}

#[tokio::test]
async fn over_http_1_0_all_arrives_and_only_the_end_event_says_that_it_is_over() {
    let handler = Handler::new();
    let server = Server::start(handler.router().layer(layer().max_event_bytes(NonZeroUsize::new(100).unwrap()))).await;
    let exchange = tokio::spawn(raw(server.addr, "GET /stream HTTP/1.0\r\nhost: x\r\n\r\n"));
    let told = handler.told().await;
    told.count(1..=1);
    told.end();
    let reply = exchange.await.unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.0 200 OK\r\n") && !head.to_lowercase().contains("transfer-encoding"), "{head}");
    assert!(body.starts_with("event: resume\ndata: {\"phase\":\"open\""), "{body}");
    assert!(
        body.contains("\n\ndata: 1\nid: #\n\nevent: resume\ndata: {\"phase\":\"end\"") && body.ends_with("\nid: #\n\n"),
        "{body}"
    );
    // One that is cut short ends all the same, without it.
    let exchange = tokio::spawn(raw(server.addr, "GET /stream HTTP/1.0\r\nhost: x\r\n\r\n"));
    let told = handler.told().await;
    told.count(1..=1);
    told.send(format!("data: {}", "L".repeat(200)));
    told.end();
    let reply = exchange.await.unwrap();
    assert!(reply.ends_with(&format!("\n\ndata: 1\nid: #\n\ndata: {}", "L".repeat(200))), "{reply}");
}

fn cramped() -> ResumeLayer<MemoryStore> {
    layer().max_stream_readers(1).max_event_bytes(NonZeroUsize::new(1000).unwrap())
}

#[tokio::test]
async fn a_wait_arrives_whole_and_then_ends_abruptly_on_every_wire() {
    for wire in Wire::ALL {
        let handler = Handler::new();
        let line = wire.serve(handler.router().layer(cramped())).await;
        let mut first = line.send(Request::get(line.addr, "/stream")).await;
        first.phase("open").await;
        let told = handler.told().await;
        told.count(1..=1);
        let id = first.counts(1..=1).await;
        let mut reply = line.send(Request::get(line.addr, "/stream").header("last-event-id", &id)).await;
        assert_eq!(reply.status, 200, "{wire:?}");
        assert_eq!(reply.header("content-type"), Some("text/event-stream"));
        let wait = reply.event().await;
        assert_eq!((wait.phase().as_deref(), wait.id_is_last), (Some("wait"), true), "{wire:?}");
        let json = wait.json();
        assert_eq!(json["token"].as_str(), wait.id.as_deref());
        assert_eq!(reply.header("x-resume-token"), wait.id.as_deref());
        assert_eq!((json["reason"].as_str(), json.as_object().unwrap().len()), (Some("too_many_readers"), 3));
        assert!((750..=1250).contains(&wait.retry.unwrap()));
        assert_eq!(reply.rest().await, (vec![], Ended::Abrupt), "{wire:?}");
        told.end();
        first.phase("end").await;
    }
}

#[tokio::test]
async fn what_precedes_an_abrupt_end_arrives_on_every_wire() {
    for wire in Wire::ALL {
        let handler = Handler::new();
        let line = wire.serve(handler.router().layer(cramped())).await;
        let mut reply = line.send(Request::get(line.addr, "/stream")).await;
        let told = handler.told().await;
        told.count(1..=200);
        told.send(format!("data: {}", "L".repeat(300_000)));
        told.end();
        let ended = loop {
            if let Err(ended) = reply.frame().await {
                break ended;
            }
        };
        assert_eq!(ended, Ended::Abrupt, "{wire:?}");
        let text = masked(&reply.bytes);
        let expected: String = (1..=200).map(|number| format!("data: {number}\nid: #\n\n")).collect();
        let (_, events) = text.split_once("\n\n").unwrap();
        assert!(events == format!("{expected}data: {}", "L".repeat(300_000)), "{wire:?}: {} bytes", events.len());
    }
}

#[tokio::test]
async fn where_control_events_are_comments_a_wait_is_a_503() {
    let layer = cramped().control_events(tower_resume::ControlEvents::Comments);
    let handler = Handler::new();
    let app = handler.router().layer(layer);
    let mut first = call(app.clone(), get_stream()).await;
    let told = handler.told().await;
    told.count(1..=1);
    let id = first.counts(1..=1).await;
    let request = http::Request::get("/stream").header("last-event-id", id).body(Body::empty()).unwrap();
    let reply = call(app, request).await;
    assert_eq!(reply.status, 503);
    assert_eq!(reply.header("retry-after"), Some("1"));
    assert!(!told.is_dropped());
}
