//! What an append does with the log that it meets (promises 2, 5 and 6).

use super::{
    promise,
    scribe::{Scribe, events, snapshot},
};
use crate::store::{Append, Appended, Onto, Store};
use crate::{EndStatus, NodeId};
use futures_util::future::poll_immediate;
use std::time::Duration;
use tokio::time::timeout;

pub(super) async fn check<S: Store>(store: &S) {
    what_was_begun_goes_on_to_its_end(store).await;
    the_same_append_sent_again_has_no_second_effect(store).await;
    what_does_not_go_onto_the_log_diverges(store).await;
    a_beginning_does_not_replace(store).await;
    nothing_follows_an_end(store).await;
    a_log_can_be_written_again(store).await;
    a_fence_stands(store).await;
    an_append_takes_effect_whole(store).await;
    a_dropped_append_is_done_or_not_begun(store).await;
}

const fn stored(appended: Appended) -> bool {
    matches!(appended, Appended::Stored { .. })
}

async fn what_was_begun_goes_on_to_its_end<S: Store>(store: &S) {
    let mut scribe = Scribe::begun(store).await;
    scribe.check("just begun").await;
    for count in [1, 16, 3] {
        scribe.write_events(count).await;
        scribe.check("as it goes on").await;
    }
    let several = {
        let mut ahead = Scribe::new(store);
        ahead.log.clone_from(&scribe.log);
        let mut chunks = Vec::new();
        for count in [2, 16, 1] {
            let chunk = ahead.next(events(count), None);
            ahead.log.push(chunk.clone());
            chunks.push(chunk);
        }
        scribe.append(Onto::Seq(scribe.last()), chunks)
    };
    scribe.write(&several).await;
    scribe.check("with several chunks at once").await;
    let ending = scribe.ending(EndStatus::Complete);
    scribe.write(&ending).await;
    scribe.check("at its end").await;

    for status in [EndStatus::Complete, EndStatus::Error, EndStatus::Interrupted, EndStatus::Cancelled] {
        let mut scribe = Scribe::begun(store).await;
        let last = scribe.next(events(2), Some(status));
        let ending = scribe.append(Onto::Seq(0), vec![last]);
        scribe.write(&ending).await;
        scribe.check("with an end in the last events' chunk").await;
        let mut empty = Scribe::begun(store).await;
        let ending = empty.ending(status);
        empty.write(&ending).await;
        empty.check("with no event at all").await;
    }
}

/// Makes the next append of a stream.
type Step<'a, S> = &'a dyn Fn(&Scribe<'_, S>) -> Append;

async fn the_same_append_sent_again_has_no_second_effect<S: Store>(store: &S) {
    let mut scribe = Scribe::new(store);
    let middle = |scribe: &Scribe<'_, S>| Append { trim_below: 1, ..scribe.going_on(events(5)) };
    let steps: [(&str, Step<'_, S>); 6] = [
        ("a begin", &|scribe| scribe.opening()),
        ("an append", &|scribe| scribe.going_on(events(16))),
        ("an append that trims", &middle),
        ("an append with a snapshot", &|scribe| Append {
            snapshot: Some(snapshot(22, None)),
            ..scribe.going_on(events(1))
        }),
        ("a rewrite", &|scribe| scribe.rewriting()),
        ("an end", &|scribe| Append {
            snapshot: Some(snapshot(22, Some(EndStatus::Complete))),
            ..scribe.ending(EndStatus::Complete)
        }),
    ];
    for (what, step) in steps {
        let append = step(&scribe);
        scribe.write(&append).await;
        for _ in 0..2 {
            let again = scribe.send(&append).await;
            assert!(stored(again), "broken promise 6: {what} sent again is Stored\n   found: {again:?}");
            scribe.check(&format!("6. {what} sent again")).await;
        }
    }
    let whole = scribe.rewriting();
    scribe.write(&whole).await;
    scribe.check("a writer writes its own ended log again").await;
    promise(scribe.snapshot().await, Some(snapshot(22, Some(EndStatus::Complete))), "2. a snapshot stays");
}

async fn what_does_not_go_onto_the_log_diverges<S: Store>(store: &S) {
    let mut scribe = Scribe::new(store);
    let unbegun = scribe.append(Onto::Seq(0), vec![scribe.next(events(1), None)]);
    promise(scribe.send(&unbegun).await, Appended::Diverged, "2. onto a log that is missing nothing is written");
    promise(scribe.tail().await, None, "2. what has diverged writes nothing");

    scribe.begin().await;
    scribe.write_events(8).await;
    let mut ahead = Scribe::new(store);
    ahead.id = scribe.id;
    ahead.log.clone_from(&scribe.log);
    ahead.log.push(ahead.next(events(2), None));
    promise(
        ahead.send(&ahead.going_on(events(1))).await,
        Appended::Diverged,
        "2. an append onto a later seq than the log's last is Diverged",
    );
    let mut behind = Scribe::new(store);
    behind.id = scribe.id;
    behind.log.push(behind.next(events(5), None));
    promise(
        behind.send(&behind.going_on(events(1))).await,
        Appended::Diverged,
        "2. an append onto an earlier seq than the log's last is Diverged",
    );
    let other = Scribe {
        writer: NodeId::random(),
        log: scribe.log[..1].to_vec(),
        ..Scribe { id: scribe.id, ..Scribe::new(store) }
    };
    promise(
        other.send(&other.going_on(events(8))).await,
        Appended::Diverged,
        "6. another writer's chunk of the same bounds is not the same append",
    );
    scribe.check("2. what has diverged writes nothing").await;
}

async fn a_beginning_does_not_replace<S: Store>(store: &S) {
    let mut scribe = Scribe::begun(store).await;
    scribe.write_events(3).await;
    let other = Scribe { writer: NodeId::random(), ..Scribe { id: scribe.id, ..Scribe::new(store) } };
    promise(
        other.send(&other.opening()).await,
        Appended::Diverged,
        "2. a begin onto a log that is there, and is another, is Diverged",
    );
    scribe.check("2. what has diverged writes nothing").await;
}

async fn nothing_follows_an_end<S: Store>(store: &S) {
    for status in [EndStatus::Complete, EndStatus::Error, EndStatus::Interrupted, EndStatus::Cancelled] {
        let mut scribe = Scribe::begun(store).await;
        scribe.write_events(2).await;
        let ending = scribe.ending(status);
        scribe.write(&ending).await;
        let fenced = Appended::Fenced(status);
        promise(scribe.send(&scribe.going_on(events(1))).await, fenced, "5. nothing follows an end");
        let late = Append { snapshot: Some(snapshot(9, None)), ..scribe.going_on(events(1)) };
        promise(scribe.send(&late).await, fenced, "5. nothing follows an end");
        promise(scribe.snapshot().await, None, "2. an append that is fenced brings no snapshot");
        let other = if status == EndStatus::Error { EndStatus::Complete } else { EndStatus::Error };
        promise(scribe.send(&scribe.ending(other)).await, fenced, "5. nothing follows an end, not even another end");
        scribe.check("5. an end stands").await;
    }
}

async fn a_log_can_be_written_again<S: Store>(store: &S) {
    let mut lost = Scribe::new(store);
    lost.log = lost.opening().chunks;
    for count in [16, 16, 2] {
        lost.log.push(lost.next(events(count), None));
    }
    let whole = lost.rewriting();
    lost.write(&whole).await;
    lost.check("2. a log that is gone is written again").await;
    lost.write_events(4).await;
    lost.check("2. a log that was written again goes on").await;

    let mut stale = Scribe::begun(store).await;
    stale.write_events(7).await;
    let mut scribe = Scribe::new(store);
    scribe.id = stale.id;
    scribe.log = scribe.opening().chunks;
    for count in [5, 16, 16] {
        scribe.log.push(scribe.next(events(count), None));
    }
    // The writer has let go of its oldest events itself by now.
    scribe.log.drain(..2);
    let whole = scribe.rewriting();
    scribe.write(&whole).await;
    scribe.check("2. a log that has diverged is written again").await;
    scribe.log.push(scribe.next(Vec::new(), Some(EndStatus::Complete)));
    let whole = scribe.rewriting();
    scribe.write(&whole).await;
    scribe.check("2. a log is written again with its end").await;
}

async fn a_fence_stands<S: Store>(store: &S) {
    let mut scribe = Scribe::begun(store).await;
    scribe.write_events(3).await;
    let mut fence = scribe.ending(EndStatus::Interrupted);
    fence.chunks[0].writer = NodeId::random();
    promise(stored(scribe.send(&fence).await), true, "5. another node can end a stream");
    let fenced = Appended::Fenced(EndStatus::Interrupted);
    promise(scribe.send(&scribe.going_on(events(1))).await, fenced, "5. the writer finds the fence");
    promise(scribe.send(&scribe.ending(EndStatus::Interrupted)).await, fenced, "5. an end of one's own is another one");
    scribe.log.push(scribe.next(events(1), None));
    promise(scribe.send(&scribe.rewriting()).await, fenced, "5. a fence stands against a rewrite");
    scribe.log.push(scribe.next(Vec::new(), Some(EndStatus::Complete)));
    promise(scribe.send(&scribe.rewriting()).await, fenced, "5. a fence stands against a rewrite with an end");
    scribe.log.truncate(2);
    scribe.note(&fence);
    scribe.check("5. a fence stands").await;
}

async fn an_append_takes_effect_whole<S: Store>(store: &S) {
    for _ in 0..20 {
        let scribe = Scribe::begun(store).await;
        let ended = scribe.next(events(3), Some(EndStatus::Complete));
        let over = Some(snapshot(3, Some(EndStatus::Complete)));
        let append = Append { snapshot: over.clone(), ..scribe.append(Onto::Seq(0), vec![ended]) };
        let reader = async {
            loop {
                let end = scribe.tail().await.and_then(|tail| tail.end);
                let shown = scribe.snapshot().await;
                if end.is_some() {
                    promise(shown, over.clone(), "2. who sees the end sees its snapshot");
                    return;
                }
                if shown.is_some() {
                    let end = scribe.tail().await.and_then(|tail| tail.end);
                    promise(end, Some(EndStatus::Complete), "2. who sees an end's snapshot sees the end");
                }
                tokio::task::yield_now().await;
            }
        };
        let (appended, ()) = tokio::join!(scribe.send(&append), reader);
        promise(stored(appended), true, "2. an end goes in with its snapshot");
    }
}

async fn a_dropped_append_is_done_or_not_begun<S: Store>(store: &S) {
    let mut scribe = Scribe::begun(store).await;
    for wait in 0..40_u64 {
        let append = scribe.going_on(events(2));
        // Dropped once it has been polled, and at later times.
        let sending = store.append(append.clone());
        if wait == 0 {
            drop(poll_immediate(sending).await);
        } else {
            drop(timeout(Duration::from_micros(wait * 20), sending).await);
        }
        let tail = scribe.tail().await.map(|tail| tail.last);
        let known = tail == Some(scribe.last()) || tail == Some(scribe.last() + 2);
        assert!(known, "broken promise: a dropped append is done or not begun\n   found: {tail:?}");
        scribe.write(&append).await;
    }
    scribe.check("after appends that were dropped").await;
}
