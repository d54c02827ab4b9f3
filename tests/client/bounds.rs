//! What a client takes in, and what it leaves with the server.

use crate::common::Server;
use axum::{Router, body::Body, response::Response, routing::get};
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tower_resume::client::{Client, Events, Item};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// A stream of events of 64 KiB with no end and no layer, and how many of them were asked for.
async fn endless() -> (Server, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let handler = async move || {
        let events = stream::repeat_with(move || {
            count.fetch_add(1, Ordering::SeqCst);
            Ok::<_, std::io::Error>(Bytes::from(format!("data: {}\n\n", "x".repeat(64 * KIB))))
        });
        Response::builder().header("content-type", "text/event-stream").body(Body::from_stream(events)).unwrap()
    };
    (Server::start(Router::new().route("/", get(handler))).await, asked)
}

/// How much was asked for, once no more is.
async fn settled(asked: &AtomicUsize) -> usize {
    let mut before = usize::MAX;
    loop {
        let now = asked.load(Ordering::SeqCst);
        if now == before {
            return now;
        }
        before = now;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_consumer_slows_the_server() {
    let (server, asked) = endless().await;
    let mut stream = Client::new().get(format!("http://{}/", server.addr)).send();
    for _ in 0..3 {
        stream.next().await.unwrap().unwrap();
    }
    let before = settled(&asked).await * 64 * KIB;
    assert!(before < 32 * MIB, "what sockets hold, and no more: {before} bytes");
    for _ in 0..1000 {
        stream.next().await.unwrap().unwrap();
    }
    let after = settled(&asked).await * 64 * KIB;
    assert!(after >= 1000 * 64 * KIB, "it goes on");
    assert!(after < 1003 * 64 * KIB + 32 * MIB, "{after}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_that_is_dropped_at_every_point_loses_nothing() {
    let handler = async || {
        let text: String = (1..=300).map(|number| format!("id: {number}\ndata: {number}\n\n")).collect();
        let pieces: Vec<_> = text.as_bytes().chunks(3).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect();
        // Each piece comes by itself.
        let pieces = stream::iter(pieces).then(async |piece| {
            tokio::task::yield_now().await;
            piece
        });
        Response::builder().header("content-type", "text/event-stream").body(Body::from_stream(pieces)).unwrap()
    };
    let server = Server::start(Router::new().route("/", get(handler))).await;
    let mut stream = Client::new().get(format!("http://{}/", server.addr)).send();
    let (mut seen, mut dropped) = (Vec::new(), 0);
    while seen.len() < 300 {
        match stream.next().now_or_never() {
            Some(Some(Ok(Item::Event(event)))) => seen.push(event.data.parse::<u64>().unwrap()),
            Some(other) => panic!("{other:?}"),
            None => {
                dropped += 1;
                tokio::task::yield_now().await;
            }
        }
    }
    assert_eq!(seen, (1..=300).collect::<Vec<_>>());
    assert!(dropped > 10, "{dropped}");
}

#[test]
fn a_stream_can_be_moved_between_threads() {
    fn is_send<T: Send + Unpin>() {}
    is_send::<Events>();
    fn is_shared<T: Send + Sync + Clone>() {}
    is_shared::<Client>();
}
