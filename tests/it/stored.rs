//! Durability `Stored`: nobody sees what the store does not have.

use crate::{
    common::{Ended, Gate, Handler, Item, Reply, Told, call, get_stream, keys, parse},
    limits::{SECOND, eager, numbers, resume},
};
use axum::Router;
use bytes::Bytes;
use serde_json::Value;
use std::{num::NonZeroUsize, time::Duration};
use tokio::time::{Instant, sleep};
use tower::Layer as _;
use tower_resume::{
    Durability, EventView, ResumeLayer, SnapshotFold,
    store::{MemoryStore, Store},
};

pub fn stored<S: Store>(store: S) -> ResumeLayer<S> {
    ResumeLayer::new(store, keys()).tokens_are_enough().durability(Durability::Stored)
}

/// Lets everything run until nothing but time can go on; time is paused.
pub async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

/// A stream whose client has seen `open`; with its token.
pub async fn begun(app: &Router, handler: &Handler) -> (Reply, Told, String) {
    let mut reply = call(app.clone(), get_stream()).await;
    let token = reply.phase("open").await["token"].as_str().unwrap().to_owned();
    let told = handler.told().await;
    // The stream's beginning is an append of its own.
    settle().await;
    (reply, told, token)
}

pub async fn status(app: &Router, token: &str) -> Value {
    let mut request = resume(token);
    request.headers_mut().insert("x-resume-mode", http::HeaderValue::from_static("status"));
    call(app.clone(), request).await.json().await
}

/// The next thing is this comment.
pub async fn comment(reply: &mut Reply, text: &str) {
    assert_eq!(reply.item().await.unwrap(), Item::Comment(text.to_owned()));
}

#[tokio::test(start_paused = true)]
async fn an_event_goes_out_once_its_append_is_acknowledged_and_so_does_the_end() {
    let (gate, handler) = (Gate::new(), Handler::new());
    let app = handler.router().layer(stored(gate.clone()));
    let (mut reply, told, _) = begun(&app, &handler).await;
    told.count(1..=3);
    assert!(reply.is_silent(SECOND).await, "the stream's beginning is not stored");
    gate.let_through(1);
    assert!(reply.is_silent(SECOND).await, "its events are not");
    told.count(4..=5);
    let begun = Instant::now();
    gate.let_through(1);
    reply.counts(1..=3).await;
    assert!(reply.is_silent(SECOND).await, "what came meanwhile is in the next append");
    assert_eq!(gate.noted()[1..], [("on 0".to_owned(), vec![(1, 3)]), ("on 3".to_owned(), vec![(4, 5)])]);
    gate.let_through(1);
    reply.counts(4..=5).await;
    assert_eq!(begun.elapsed(), SECOND, "no delay but the append's own");
    told.end();
    assert!(reply.is_silent(SECOND).await, "the end is not stored");
    gate.let_through(1);
    let end = reply.phase("end").await;
    assert_eq!((&end["status"], &end["seq"]), (&"complete".into(), &5.into()));
    assert_eq!(reply.rest().await, (vec![], Ended::Clean));
}

#[tokio::test(start_paused = true)]
async fn all_readers_of_the_node_see_what_is_stored_and_no_more() {
    let (gate, handler) = (Gate::new(), Handler::new());
    let app = handler.router().layer(stored(gate.clone()));
    let (mut first, told, token) = begun(&app, &handler).await;
    gate.let_through(2);
    told.count(1..=2);
    first.counts(1..=2).await;
    told.count(3..=4);
    settle().await;
    let is = async |last: u64, state: &str| {
        let status = status(&app, &token).await;
        assert_eq!((&status["last"], &status["buffered_events"]), (&last.into(), &last.into()));
        assert_eq!((&status["status"], &status["buffered_bytes"]), (&state.into(), &(9 * last).into()));
    };
    is(2, "running").await;
    let mut second = call(app.clone(), resume(&token)).await;
    assert_eq!(second.phase("replay").await["last"], 2);
    second.counts(1..=2).await;
    assert_eq!(second.phase("live").await["replayed"], 2);
    assert!(second.is_silent(SECOND).await);
    let replay = async |count: u64| {
        let mut request = resume(&token);
        request.headers_mut().insert("x-resume-mode", http::HeaderValue::from_static("replay"));
        let mut replay = call(app.clone(), request).await;
        assert_eq!(replay.phase("replay").await["last"], count);
        replay.counts(1..=count).await;
        replay
    };
    assert_eq!(replay(2).await.rest().await, (vec![Item::Comment("heartbeat".to_owned())], Ended::Clean));
    let mut beyond = resume(&token);
    beyond.headers_mut().insert("x-resume-from", http::HeaderValue::from_static("3"));
    assert_eq!(call(app.clone(), beyond).await.status, 400, "nobody can know of event 3 yet");
    gate.let_through(1);
    for reply in [&mut first, &mut second] {
        reply.counts(3..=4).await;
    }
    is(4, "running").await;
    told.end();
    settle().await;
    is(4, "running").await;
    assert_eq!(replay(4).await.rest().await.0, [Item::Comment("heartbeat".to_owned())]);
    gate.let_through(1);
    for reply in [&mut first, &mut second] {
        reply.phase("end").await;
    }
    is(4, "complete").await;
    replay(4).await.phase("end").await;
}

#[tokio::test(start_paused = true)]
async fn on_the_memory_store_nothing_takes_longer() {
    let handler = Handler::new();
    let app = handler.router().layer(stored(MemoryStore::new()));
    let (mut reply, told, _) = begun(&app, &handler).await;
    let begun_at = Instant::now();
    for number in 1..=1000 {
        told.count([number]);
        reply.counts([number]).await;
    }
    told.end();
    reply.phase("end").await;
    assert_eq!(begun_at.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn comments_keep_their_place_among_events_that_wait() {
    let (gate, handler) = (Gate::new(), Handler::new());
    let app = handler.router().layer(stored(gate.clone()));
    let (mut reply, told, _) = begun(&app, &handler).await;
    told.send(": zero\n\n");
    comment(&mut reply, "zero").await;
    told.send("data: 1\n\n: one\n\ndata: 2\n\n: two\n\n");
    assert!(reply.is_silent(SECOND).await);
    gate.let_through(2);
    reply.counts([1]).await;
    comment(&mut reply, "one").await;
    reply.counts([2]).await;
    comment(&mut reply, "two").await;
    told.send(": more\n\n");
    comment(&mut reply, "more").await;
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_too_large_to_keep_is_not_whole_before_its_place_is_stored() {
    let (gate, handler) = (Gate::new(), Handler::new());
    let app = handler.router().layer(stored(gate.clone()).max_event_bytes(NonZeroUsize::new(100).unwrap()));
    let (mut reply, told, token) = begun(&app, &handler).await;
    gate.let_through(1);
    settle().await;
    told.send(format!("data: {}\n\ndata: 2\n\n", "L".repeat(1000)));
    while reply.bytes.len() < 1000 {
        reply.frame().await.unwrap();
    }
    assert!(reply.is_silent(SECOND).await);
    assert_eq!(parse(&reply.bytes).len(), 1, "no client takes this for an event");
    assert_eq!(status(&app, &token).await["last"], 0);
    gate.let_through(1);
    while parse(&reply.bytes).len() < 3 {
        reply.frame().await.unwrap();
    }
    let [_, Item::Event(large), Item::Event(small)] = &parse(&reply.bytes)[..] else { panic!("three events") };
    assert_eq!((large.data.len(), large.id_is_last, &*small.data), (1000, true, "2"));
    let mut second = call(app, resume(&token)).await;
    second.phase("replay").await;
    let gap = second.phase("gap").await;
    assert_eq!((&gap["from"], &gap["to"], &gap["reason"]), (&1.into(), &1.into(), &"oversize".into()));
    second.counts([2]).await;
}

#[tokio::test(start_paused = true)]
async fn the_handler_is_held_back_within_the_limits_ahead_of_what_is_stored_and_nothing_is_let_go() {
    for with_reader in [true, false] {
        let gate = Gate::new();
        let (handler, taken) = eager(numbers(2000));
        let layer = stored(gate.clone()).max_events(NonZeroUsize::new(64).unwrap());
        let app = layer.layer(handler);
        let mut reply = call(app.clone(), get_stream()).await;
        let token = reply.phase("open").await["token"].as_str().unwrap().to_owned();
        let mut reply = with_reader.then_some(reply);
        let seen = || taken.load(std::sync::atomic::Ordering::Relaxed);
        for round in 1..=5 {
            settle().await;
            let ahead = seen() - 64 * (round - 1);
            assert!((64..=65).contains(&ahead), "with a reader {with_reader}, round {round}: {ahead} ahead");
            gate.let_through(1);
            let round = round as u64;
            if let Some(reply) = &mut reply {
                reply.counts(64 * (round - 1) + 1..=64 * round).await;
            }
        }
        gate.let_through(1000);
        match &mut reply {
            Some(reply) => drop(reply.counts(321..=2000).await),
            None => {
                settle().await;
                let mut late = call(app.clone(), resume(&token)).await;
                late.phase("replay").await;
                assert_eq!(late.phase("gap").await["to"], 2000 - 64, "with nobody there it ran on");
                late.counts(2000 - 63..=2000).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_waits_for_the_store_does_not_stall_and_loses_nothing() {
    let (gate, handler) = (Gate::new(), Handler::new());
    let layer = stored(gate.clone()).stall_time(SECOND).detach_time(2 * SECOND).store_patience(10_000 * SECOND);
    let app = handler.router().layer(layer.max_events(NonZeroUsize::new(4).unwrap()).heartbeat(10_000 * SECOND));
    let (mut reply, told, _) = begun(&app, &handler).await;
    told.send(": in front\n\n");
    comment(&mut reply, "in front").await;
    for number in 1..=20 {
        told.send(format!("data: {number}\n\n: {number}\n\n"));
    }
    told.end();
    assert!(reply.is_silent(600 * SECOND).await);
    gate.let_through(1);
    assert!(reply.is_silent(600 * SECOND).await);
    gate.let_through(100);
    for number in 1..=20 {
        reply.counts([number]).await;
        comment(&mut reply, &number.to_string()).await;
    }
    assert_eq!(reply.phase("end").await["status"], "complete");
}

#[tokio::test(start_paused = true)]
async fn that_the_log_has_an_event_is_no_proof_that_its_copies_do() {
    for (appends, what) in [(0, "the beginning"), (1, "an event")] {
        let (gate, handler) = (Gate::new(), Handler::new());
        let app = handler.router().layer(stored(gate.clone()).min_replicas(2));
        let mut reply = call(app, get_stream()).await;
        reply.phase("open").await;
        let told = handler.told().await;
        settle().await;
        gate.let_through(appends);
        settle().await;
        told.count([1]);
        settle().await;
        // It is done, but not said to be: too few copies hold it.
        gate.lose_an_answer();
        gate.let_through(1);
        assert!(reply.is_silent(SECOND).await, "{what}");
        assert_eq!(gate.replicas(), 2);
        let noted = gate.noted();
        let [.., one, again] = &noted[..] else { panic!("{noted:?}") };
        assert_eq!(one.1, again.1, "{what}: the same again");
        gate.let_through(10);
        reply.counts([1]).await;
        told.end();
        reply.phase("end").await;
    }
}

/// How many events there were.
struct Sum(u64);

impl SnapshotFold for Sum {
    fn event(&mut self, _: &EventView<'_>) {
        self.0 += 1;
    }

    fn snapshot(&self) -> Option<Bytes> {
        Some(self.0.to_string().into())
    }
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_is_shown_once_all_that_it_stands_for_is_stored() {
    let (gate, handler) = (Gate::new(), Handler::new());
    let layer = stored(gate.clone()).max_events(NonZeroUsize::new(32).unwrap()).snapshot_with(|_| Sum(0));
    let app = handler.router().layer(layer);
    let (mut first, told, token) = begun(&app, &handler).await;
    gate.let_through(1);
    let mut seen = 0;
    while seen < 320 {
        // The handler is ahead of the store by all that it may be.
        told.count(seen + 1..=seen + 8);
        gate.let_through(1);
        first.counts(seen + 1..=seen + 8).await;
        seen += 8;
        let mut late = call(app.clone(), resume(&token)).await;
        late.phase("replay").await;
        let mut at = 0;
        while at < seen {
            let event = late.event().await;
            match event.phase().as_deref() {
                Some("gap") => assert_eq!(event.json()["from"], 1),
                Some("snapshot") => {
                    at = event.json()["seq"].as_u64().unwrap();
                    assert!(at <= seen, "a snapshot of {at} events where {seen} are stored");
                    let state = late.event().await;
                    assert_eq!((state.event.as_str(), state.data), ("state", at.to_string()));
                }
                Some("live") => {}
                _ => {
                    at += 1;
                    assert_eq!(event.data, at.to_string(), "a hole");
                }
            }
        }
    }
    told.end();
    settle().await;
    assert_eq!(status(&app, &token).await["status"], "running");
    gate.let_through(1);
    first.phase("end").await;
}
