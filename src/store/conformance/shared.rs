//! What two stores over one backend promise each other.

use super::{
    promise,
    scribe::{Scribe, events, snapshot},
    times::until,
};
use crate::EndStatus;
use crate::store::{Append, Appended, Pushed, Store, Watch};
use std::time::Duration;
use tokio::time::timeout;

/// How long news may take. A slow look at the log stands behind it, but it is not what the check is about.
const NEWS: Duration = Duration::from_secs(60);

pub(super) async fn check<A: Store, B: Store>(one: &A, other: &B) {
    what_one_appends_the_other_opens(one, other).await;
    one_ends_what_the_other_writes(one, other).await;
    a_watch_brings_news(one, other).await;
}

/// The same stream, seen through another store.
fn through<'s, A: Store, B: Store>(scribe: &Scribe<'_, A>, store: &'s B) -> Scribe<'s, B> {
    let Scribe { id, writer, ttl, .. } = *scribe;
    Scribe { store, id, writer, log: scribe.log.clone(), ttl }
}

async fn what_one_appends_the_other_opens<A: Store, B: Store>(one: &A, other: &B) {
    let mut scribe = Scribe::begun(one).await;
    for round in 1..=20 {
        let state = snapshot(scribe.last(), None);
        let append = Append { snapshot: Some(state.clone()), ..scribe.going_on(events(round % 16 + 1)) };
        scribe.write(&append).await;
        let seen = through(&scribe, other);
        seen.check("1. from another node").await;
        promise(seen.snapshot().await, Some(state), "1. a snapshot is seen from another node");
    }
    promise(through(&scribe, other).touch(scribe.ttl).await, true, "another node can renew a log");
    let ending = scribe.ending(EndStatus::Complete);
    scribe.write(&ending).await;
    through(&scribe, other).check("1. an end, from another node").await;
}

async fn one_ends_what_the_other_writes<A: Store, B: Store>(one: &A, other: &B) {
    let mut scribe = Scribe::begun(one).await;
    scribe.write_events(3).await;
    let mut fencing = through(&scribe, other);
    fencing.writer = crate::NodeId::random();
    let fence = fencing.ending(EndStatus::Interrupted);
    fencing.write(&fence).await;
    let fenced = Appended::Fenced(EndStatus::Interrupted);
    promise(scribe.send(&scribe.going_on(events(1))).await, fenced, "5. a writer finds another node's fence");
    promise(scribe.send(&scribe.rewriting()).await, fenced, "5. another node's fence stands against a rewrite");
    scribe.note(&fence);
    scribe.check("5. another node's fence stands").await;
}

async fn a_watch_brings_news<A: Store, B: Store>(one: &A, other: &B) {
    let mut scribe = Scribe::begun(one).await;
    scribe.write_events(1).await;
    let mut watch = other.watch(scribe.id, one.node(), scribe.last());
    scribe.write_events(2).await;
    heard(&mut watch, 3, other, &scribe).await;
    until("a watched writer is told so", async || {
        let append = scribe.going_on(events(1));
        let appended = scribe.send(&append).await;
        scribe.note(&append);
        appended == Appended::Stored { watched: true }
    })
    .await;
    heard(&mut watch, scribe.last(), other, &scribe).await;
    let ending = scribe.ending(EndStatus::Complete);
    scribe.write(&ending).await;
    let ended = async {
        loop {
            match watch.news.recv().await {
                Some(Pushed::Chunk(chunk)) if chunk.end.is_none() => {}
                Some(_) if through(&scribe, other).tail().await.is_some_and(|tail| tail.end.is_some()) => return,
                Some(_) => {}
                None => panic!("broken promise: news comes for as long as the watch is held"),
            }
        }
    };
    assert!(timeout(NEWS, ended).await.is_ok(), "broken promise: a watch brings the end, or a look, within {NEWS:?}");
}

/// Reads news until this event was in it, or a look that finds it.
async fn heard<A: Store, B: Store>(watch: &mut Watch, seq: u64, other: &B, scribe: &Scribe<'_, A>) {
    let heard = async {
        loop {
            match watch.news.recv().await {
                Some(Pushed::Chunk(chunk)) => {
                    let written = scribe.log.iter().find(|written| written.first == chunk.first && written.last() > 0);
                    promise(Some(&chunk), written, "3. a chunk is pushed as it was written");
                    if chunk.last() >= seq {
                        return;
                    }
                }
                Some(Pushed::Writer { .. }) => {}
                Some(Pushed::Look) => {
                    if through(scribe, other).tail().await.is_some_and(|tail| tail.last >= seq) {
                        return;
                    }
                }
                None => panic!("broken promise: news comes for as long as the watch is held"),
            }
        }
    };
    assert!(
        timeout(NEWS, heard).await.is_ok(),
        "broken promise: a watch brings event {seq}, or a look, within {NEWS:?}"
    );
}
