//! Durability `Stored`: nobody sees what the store does not have.

use crate::{
    common::{Ended, Gate, Handler, Item, Reply, Switch, Told, call, get_stream, keys, parse},
    limits::{SECOND, eager, numbers, resume},
};
use axum::Router;
use bytes::Bytes;
use serde_json::Value;
use std::{num::NonZeroUsize, time::Duration};
use tokio::time::{Instant, sleep};
use tower::Layer as _;
use tower_resume::{
    Durability, EndStatus, Event, EventView, NodeId, RequestId, ResumeLayer, SnapshotFold, Step, StoreOut,
    store::{Append, Appended, Chunk, MemoryStore, Onto, Store, Totals, Ttl},
};

pub fn stored<S: Store>(store: S) -> ResumeLayer<S> {
    ResumeLayer::new(store, keys()).tokens_are_enough().durability(Durability::Stored)
}

/// Lets everything run until nothing but time can go on; time is paused.
pub async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

/// A stream whose client has seen `open`; with its token.
async fn begun(app: &Router, handler: &Handler) -> (Reply, Told, String) {
    let mut reply = call(app.clone(), get_stream()).await;
    let token = reply.phase("open").await["token"].as_str().unwrap().to_owned();
    let told = handler.told().await;
    // The stream's beginning is an append of its own.
    settle().await;
    (reply, told, token)
}

async fn status(app: &Router, token: &str) -> Value {
    let mut request = resume(token);
    request.headers_mut().insert("x-resume-mode", http::HeaderValue::from_static("status"));
    call(app.clone(), request).await.json().await
}

/// The next thing is this comment.
async fn comment(reply: &mut Reply, text: &str) {
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
async fn while_the_store_is_out_clients_hear_heartbeats_and_are_cut_in_the_end_to_come_again() {
    let (store, handler) = (Switch::new(&MemoryStore::new()), Handler::new());
    let app = handler.router().layer(stored(store.clone()).heartbeat(3 * SECOND));
    let (mut first, told, _) = begun(&app, &handler).await;
    told.count(1..=2);
    let id = first.counts(1..=2).await;
    store.set_down(true);
    assert!(first.is_silent(2 * SECOND).await);
    for _ in 0..20 {
        comment(&mut first, "heartbeat").await;
    }
    let held_at = Instant::now();
    told.count(3..=4);
    assert_eq!(first.rest().await, (vec![Item::Comment("heartbeat".to_owned()); 3], Ended::Abrupt));
    let waited = held_at.elapsed();
    assert!(waited >= 10 * SECOND && waited < 11 * SECOND, "{waited:?}");
    drop(first);
    let back_at = Instant::now();
    let mut again = call(app.clone(), resume(&id)).await;
    assert_eq!(again.phase("replay").await["last"], 2);
    again.phase("live").await;
    assert_eq!(again.rest().await.1, Ended::Abrupt, "each response waits its own time");
    assert!(back_at.elapsed() >= 10 * SECOND);
    let mut third = call(app, resume(&id)).await;
    third.phase("replay").await;
    third.phase("live").await;
    store.set_down(false);
    third.counts(3..=4).await;
    told.end();
    third.phase("end").await;
}

#[tokio::test(start_paused = true)]
async fn with_the_store_out_at_the_start_a_stream_waits_for_it() {
    let (store, handler) = (Switch::new(&MemoryStore::new()), Handler::new());
    store.set_down(true);
    let app = handler.router().layer(stored(store.clone()).store_patience(60 * SECOND));
    let mut reply = call(app.clone(), get_stream()).await;
    assert_eq!(reply.header("x-resume-degraded"), Some("store"));
    reply.phase("open").await;
    let told = handler.told().await;
    told.count(1..=3);
    told.end();
    for _ in 0..5 {
        comment(&mut reply, "heartbeat").await;
    }
    store.set_down(false);
    reply.counts(1..=3).await;
    assert_eq!(reply.phase("end").await["status"], "complete");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_refuses_is_out_as_well() {
    let (store, handler) = (Switch::new(&MemoryStore::new()), Handler::new());
    let app = handler.router().layer(stored(store.clone()));
    let (mut reply, told, _) = begun(&app, &handler).await;
    settle().await;
    store.set_full(true);
    told.count([1]);
    assert_eq!(reply.events().await, (vec![], Ended::Abrupt));
}

#[tokio::test(start_paused = true)]
async fn it_can_go_on_relaxed_says_so_to_everybody_and_waits_again_once_the_store_is_back() {
    let (store, handler) = (Switch::new(&MemoryStore::new()), Handler::new());
    let layer = stored(store.clone()).store_out(StoreOut::Relax).store_patience(SECOND / 2);
    let app = handler.router().layer(layer);
    let (mut first, told, token) = begun(&app, &handler).await;
    told.count([1]);
    first.counts([1]).await;
    let mut second = call(app.clone(), resume(&token)).await;
    second.phase("replay").await;
    second.counts([1]).await;
    second.phase("live").await;
    store.set_down(true);
    let held_at = Instant::now();
    told.count(2..=3);
    for reply in [&mut first, &mut second] {
        comment(reply, "durability relaxed").await;
        reply.counts(2..=3).await;
    }
    assert!(held_at.elapsed() >= SECOND / 2 && held_at.elapsed() < SECOND, "{:?}", held_at.elapsed());
    let relaxed_at = Instant::now();
    told.count(4..=200);
    for reply in [&mut first, &mut second] {
        reply.counts(4..=200).await;
    }
    assert_eq!(relaxed_at.elapsed(), Duration::ZERO, "nothing is held now");
    let mut third = call(app.clone(), resume(&first_id(&first))).await;
    third.phase("replay").await;
    third.phase("live").await;
    comment(&mut third, "durability relaxed").await;
    store.set_down(false);
    for reply in [&mut first, &mut second, &mut third] {
        comment(reply, "durability stored").await;
    }
    store.set_full(true);
    told.count([201]);
    settle().await;
    assert_eq!(status(&app, &token).await["last"], 200, "and is held again");
    store.set_full(false);
    told.end();
    for reply in [&mut first, &mut second, &mut third] {
        let event = loop {
            match reply.item().await.unwrap() {
                Item::Event(event) => break event,
                Item::Comment(text) => assert!(text.starts_with("durability"), "{text}"),
            }
        };
        assert_eq!(event.data, "201");
        assert_eq!(reply.events().await.0.last().unwrap().phase().as_deref(), Some("end"));
    }
}

/// The newest id that a client has.
fn first_id(reply: &Reply) -> String {
    let text = String::from_utf8_lossy(&reply.bytes).into_owned();
    text.lines().rev().find_map(|line| line.strip_prefix("id: ")).expect("an id").to_owned()
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

/// Ends a stream as another node would that takes this one for dead.
async fn fence<S: Store>(store: &S, id: &str, last: u64) {
    let end = Some(EndStatus::Interrupted);
    let chunk = Chunk {
        first: last + 1,
        writer: NodeId::random(),
        at: 0,
        step_before: Step::NONE,
        totals: Totals::default(),
        events: Vec::<Event>::new().into(),
        end,
    };
    let ttl = Ttl { log: 900 * SECOND, snapshot: 60 * SECOND };
    let id = RequestId::parse(id).unwrap();
    let append =
        Append { id, onto: Onto::Seq(last), chunks: vec![chunk], trim_below: 0, snapshot: None, ttl, replicas: 0 };
    assert!(matches!(store.append(append).await.unwrap(), Appended::Stored { .. }));
}

#[tokio::test(start_paused = true)]
async fn fenced_its_clients_are_shown_no_more_than_the_store_has() {
    let (store, handler) = (Switch::new(&MemoryStore::new()), Handler::new());
    let app = handler.router().layer(stored(store.clone()));
    let (mut reply, told, token) = begun(&app, &handler).await;
    told.count(1..=2);
    let id = reply.counts(1..=2).await;
    fence(&store, reply.header("x-resume-stream").unwrap(), 2).await;
    told.count([3]);
    assert_eq!(reply.events().await, (vec![], Ended::Abrupt));
    told.dropped().await;
    for (token, from) in [(&id, 3), (&token, 1)] {
        let mut again = call(app.clone(), resume(token)).await;
        again.phase("replay").await;
        if from == 1 {
            again.counts(1..=2).await;
        }
        let end = again.phase("end").await;
        assert_eq!((&end["status"], &end["seq"]), (&"interrupted".into(), &2.into()));
    }
}

#[tokio::test(start_paused = true)]
async fn fenced_where_it_may_relax_its_own_clients_get_the_whole_stream() {
    let (store, handler) = (Switch::new(&MemoryStore::new()), Handler::new());
    let app = handler.router().layer(stored(store.clone()).store_out(StoreOut::Relax));
    let (mut reply, told, token) = begun(&app, &handler).await;
    told.count(1..=2);
    reply.counts(1..=2).await;
    fence(&store, reply.header("x-resume-stream").unwrap(), 2).await;
    told.count([3]);
    comment(&mut reply, "durability relaxed").await;
    reply.counts([3]).await;
    let mut second = call(app, resume(&token)).await;
    second.phase("replay").await;
    comment(&mut second, "durability relaxed").await;
    second.counts(1..=3).await;
    second.phase("live").await;
    told.end();
    for reply in [&mut reply, &mut second] {
        assert_eq!(reply.phase("end").await["status"], "complete");
    }
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

#[tokio::test(start_paused = true)]
async fn a_stream_whose_task_is_gone_shows_no_end_that_is_not_stored() {
    let gate = Gate::new();
    let handler = Handler::new();
    let app = handler.router().layer(stored(gate.clone()).state_ttl(SECOND).store_patience(1000 * SECOND));
    let (mut reply, told, _) = begun(&app, &handler).await;
    gate.let_through(2);
    told.count([1]);
    reply.counts([1]).await;
    gate.refuse();
    told.count([2]);
    told.end();
    assert_eq!(reply.events().await, (vec![], Ended::Abrupt), "the time to store it is over");
}
