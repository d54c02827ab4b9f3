//! As many streams, and readers of one, as a node takes in by default.

use crate::{
    KIB,
    common::{Handler, call, get_stream, layer},
    measured, runtime,
};
use axum::body::Body;
use http::Request;
use tokio::time::sleep;

/// What an open stream takes with its handler, its recorder, its log of three small events and its first client.
const A_STREAM: u64 = 16 * KIB;
/// What one more reader of a stream takes.
const A_READER: u64 = 8 * KIB;

fn resume(token: &str) -> http::request::Builder {
    Request::get("/stream").header("x-resume-token", token)
}

#[test]
fn ten_thousand_streams_are_open_at_a_time_and_the_next_one_passes_unrecorded() {
    let runtime = runtime();
    let handler = Handler::new();
    let app = handler.router().layer(layer());
    let (open, memory) = measured(&runtime, async {
        let mut open = Vec::new();
        for _ in 0..10_000 {
            let mut reply = call(app.clone(), get_stream()).await;
            let told = handler.told().await;
            told.count(1..=3);
            reply.phase("open").await;
            reply.counts(1..=3).await;
            reply.bytes = Vec::new();
            open.push((told, reply));
        }
        open
    });
    println!("10,000 open streams take {} KiB, {} bytes each", memory.left as u64 / KIB, memory.left / 10_000);
    assert!(memory.most <= 10_000 * A_STREAM, "{} KiB", memory.most / KIB);

    let (open, refusals) = measured(&runtime, async {
        for _ in 0..100 {
            let refused = call(app.clone(), get_stream()).await;
            assert_eq!(refused.header("x-resume-degraded"), Some("capacity"));
            assert_eq!(refused.header("x-resume-token"), None);
            handler.told().await;
        }
        open
    });
    assert!(refusals.left < 64 * KIB as i64, "refusals leave {} bytes behind", refusals.left);

    let (_, rest) = measured(&runtime, async {
        let mut open = open;
        let (told, mut first) = open.pop().unwrap();
        told.end();
        first.phase("end").await;
        sleep(std::time::Duration::from_secs(1)).await;
        let next = call(app.clone(), get_stream()).await;
        assert!(next.header("x-resume-token").is_some(), "one has ended: there is room for one");
        handler.told().await.end();
        // And all of the others go on.
        for (told, mut reply) in open {
            told.count([4]);
            told.end();
            reply.counts([4]).await;
            reply.phase("end").await;
        }
        sleep(std::time::Duration::from_secs(100_000)).await;
    });
    // Tables stay as large as they were.
    let kept = rest.left + memory.left;
    assert!(kept < memory.left / 10, "{kept} bytes are never given back");
}

#[test]
fn a_thousand_readers_share_one_stream_and_one_too_many_is_told_when_to_come_again() {
    let runtime = runtime();
    let handler = Handler::new();
    let app = handler.router().layer(layer());
    let (told, mut first, token) = runtime.block_on(async {
        let mut first = call(app.clone(), get_stream()).await;
        let told = handler.told().await;
        first.phase("open").await;
        told.count(1..=3);
        let token = first.header("x-resume-token").unwrap().to_owned();
        first.counts(1..=3).await;
        (told, first, token)
    });
    let (mut readers, memory) = measured(&runtime, async {
        let mut readers = Vec::new();
        // The first client counts as one.
        for _ in 1..1024 {
            let mut reader = call(app.clone(), resume(&token).body(Body::empty()).unwrap()).await;
            assert_eq!(reader.status, 200);
            reader.phase("replay").await;
            reader.counts(1..=3).await;
            reader.phase("live").await;
            reader.bytes = Vec::new();
            readers.push(reader);
        }
        readers
    });
    println!("1,023 readers of one stream take {} KiB, {} bytes each", memory.left as u64 / KIB, memory.left / 1023);
    assert!(memory.most <= 1024 * A_READER, "{} KiB", memory.most / KIB);
    runtime.block_on(async {
        let refused = call(app.clone(), resume(&token).body(Body::empty()).unwrap()).await;
        assert_eq!((refused.status.as_u16(), refused.header("retry-after").is_some()), (429, true));
        assert_eq!(refused.json().await["code"], "too_many_readers");
        // An `EventSource` gives up for good on a 429.
        let again = Request::get("/stream").header("last-event-id", &token).body(Body::empty()).unwrap();
        let mut waits = call(app.clone(), again).await;
        assert_eq!(waits.status, 200);
        let wait = waits.event().await;
        assert_eq!(
            (wait.json()["phase"].as_str(), wait.json()["reason"].as_str()),
            (Some("wait"), Some("too_many_readers"))
        );
        assert!(wait.retry.is_some(), "{wait:?}");
        assert_eq!(waits.rest().await.1, crate::common::Ended::Abrupt);

        readers.pop();
        let mut one_more = call(app.clone(), resume(&token).body(Body::empty()).unwrap()).await;
        assert_eq!(one_more.status, 200, "one has left");
        one_more.phase("replay").await;
        one_more.counts(1..=3).await;
        one_more.phase("live").await;
        readers.push(one_more);
        told.count(4..=10);
        told.end();
        readers.push(first);
        first = readers.swap_remove(0);
        readers.push(first);
        for mut reader in readers {
            reader.counts(4..=10).await;
            reader.phase("end").await;
        }
    });
}
