//! Durability `Stored` while the store is out, refuses, or says that the stream is over.

use crate::{
    common::{Ended, Gate, Handler, Item, Reply, Switch, call, get_stream},
    limits::{SECOND, resume},
    stored::{begun, comment, settle, status, stored},
};
use std::time::Duration;
use tokio::time::Instant;
use tower_resume::{
    EndStatus, Event, NodeId, RequestId, Step, StoreOut,
    store::{Append, Appended, Chunk, MemoryStore, Onto, Store, Totals, Ttl},
};

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
    let append = Append {
        id,
        onto: Onto::Seq(last),
        chunks: vec![chunk],
        trim_below: 0,
        let_go: Vec::new(),
        snapshot: None,
        ttl,
        replicas: 0,
    };
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
