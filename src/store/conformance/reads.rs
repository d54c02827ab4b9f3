//! What comes back of what was written (promises 1, 3 and 4).

use super::{
    promise,
    scribe::{LONG, Scribe, event, events, snapshot},
};
use crate::store::{Append, CHUNK_MAX_EVENTS, Chunk, Onto, Store};
use crate::{EndStatus, Eol, Event, RequestId, Step};

/// The largest event that the layer keeps by default.
const LARGE: usize = 1024 * 1024;

pub(super) async fn check<S: Store>(store: &S) {
    an_unknown_stream_is_none(store).await;
    an_event_comes_back_as_it_went_in(store).await;
    a_large_event_comes_back(store).await;
    pages_join(store).await;
    what_is_trimmed_is_gone_in_front_and_nowhere_else(store).await;
    what_is_let_go_in_the_midst_leaves_a_hole_there(store).await;
    streams_do_not_mix(store).await;
    a_snapshot_is_replaced_by_a_newer_one(store).await;
    what_never_changes_is_told(store);
}

async fn an_unknown_stream_is_none<S: Store>(store: &S) {
    let nobody = Scribe::new(store);
    assert!(nobody.open(0).await.is_none(), "broken promise: open finds no log where there is none");
    assert!(nobody.page(0).await.is_none(), "broken promise: page finds no log where there is none");
    promise(nobody.tail().await, None, "tail finds no log where there is none");
    promise(nobody.snapshot().await, None, "there is no snapshot where there is no stream");
    promise(nobody.touch(LONG).await, false, "touch says that a log is gone");
    promise(nobody.tail().await, None, "touch begins no log");
}

async fn an_event_comes_back_as_it_went_in<S: Store>(store: &S) {
    let every_byte: Vec<u8> = (0..=u8::MAX).chain(*b"\n").collect();
    let of_text = |text: &str| event(text.as_bytes());
    let kinds = [
        event(&every_byte),
        of_text("data: a\r\ndata: b\r\n"),
        Event { eol: Eol::Cr, ..of_text("data: a\rdata: b\r") },
        Event { eol: Eol::CrLf, has_id: true, ..of_text("id: 7\r\ndata\r\n") },
        Event { oversize: true, ..Event::default() },
        Event { eol: Eol::CrLf, oversize: true, ..Event::default() },
        Event::default(),
        Event { priority: 1, step: Step::new("DRAFTING"), ..of_text("data: 1\n") },
        Event { priority: u8::MAX, step: Step::new("DRAFTING"), ..of_text("data: 2\n") },
        Event { step: Step::new(&"é".repeat(24)), ..of_text("data: 3\n") },
        Event { step: Step::NONE, ..of_text("data: 4\n") },
        Event { step: Step::new(" \n\0:{}*"), ..of_text(": only a comment\n") },
    ];
    let mut scribe = Scribe::begun(store).await;
    for kind in &kinds {
        let append = scribe.going_on(vec![kind.clone()]);
        scribe.write(&append).await;
    }
    let append = scribe.going_on(kinds.to_vec());
    scribe.write(&append).await;
    scribe.check("3. events of every kind").await;
}

async fn a_large_event_comes_back<S: Store>(store: &S) {
    let mut scribe = Scribe::begun(store).await;
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..3 {
        let lines: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(LARGE).collect();
        let append = scribe.going_on(vec![event(&lines)]);
        scribe.write(&append).await;
        scribe.write_events(2).await;
    }
    scribe.check("3. events of 1 MiB").await;
}

async fn pages_join<S: Store>(store: &S) {
    for (chunks, events_each, size) in [(300, 1, 20), (100, CHUNK_MAX_EVENTS, 100), (60, 1, 20_000)] {
        let mut scribe = Scribe::begun(store).await;
        for _ in 0..chunks {
            let append = scribe.going_on(vec![event(&vec![b'x'; size]); events_each]);
            scribe.write(&append).await;
        }
        let context = format!("4. {chunks} chunks of {events_each} events of {size} bytes");
        scribe.check(&context).await;
        let ending = scribe.ending(EndStatus::Complete);
        scribe.write(&ending).await;
        scribe.check(&context).await;
        let inside = scribe.last() - 1;
        let first = scribe.read_all(inside).await.first().map(|chunk| chunk.first <= inside + 1);
        promise(first, Some(true), "4. the event right behind a cursor inside a chunk comes");
        let beyond = scribe.read_all(scribe.last() + 9).await;
        promise(beyond.len(), 1, "a cursor beyond the log gets the end, and nothing else");
    }
    let running = Scribe::begun(store).await;
    promise(running.read_all(5).await, Vec::new(), "a cursor beyond a running log gets nothing");
}

async fn what_is_trimmed_is_gone_in_front_and_nowhere_else<S: Store>(store: &S) {
    let mut scribe = Scribe::begun(store).await;
    for count in [4, 4, 4] {
        scribe.write_events(count).await;
    }
    // Below the first event, inside the first chunk, at its last event, right behind it, inside the next but one.
    for (below, first) in [(1, 1), (3, 1), (4, 1), (5, 5), (11, 9)] {
        let append = Append { trim_below: below, ..scribe.going_on(events(4)) };
        scribe.write(&append).await;
        promise(
            scribe.open(0).await.map(|opened| opened.first),
            Some(first),
            &format!("chunks below {below} are let go"),
        );
        scribe.check(&format!("trimmed below {below}")).await;
    }
    let last = scribe.next(events(2), Some(EndStatus::Complete));
    let ending = Append { trim_below: last.first, ..scribe.append(Onto::Seq(scribe.last()), vec![last]) };
    scribe.write(&ending).await;
    scribe.check("all but the last chunk trimmed").await;

    let mut scribe = Scribe::begun(store).await;
    scribe.write_events(4).await;
    let ending = Append { trim_below: 5, ..scribe.ending(EndStatus::Complete) };
    scribe.write(&ending).await;
    promise(
        scribe.open(0).await.map(|opened| opened.first),
        Some(5),
        "first is one more than the last with no event kept",
    );
    scribe.check("the end is kept with every event trimmed").await;
}

async fn what_is_let_go_in_the_midst_leaves_a_hole_there<S: Store>(store: &S) {
    let mut scribe = Scribe::begun(store).await;
    for count in [4, 1, 16, 2] {
        scribe.write_events(count).await;
    }
    // Events 1 to 4, 5, 6 to 21, 22 and 23. One of them, one that is not there, the same again, two at once, the newest.
    for (let_go, left) in [
        (vec![5], vec![1, 6, 22, 24]),
        (vec![7, 20], vec![1, 6, 22, 24, 28]),
        (vec![5], vec![1, 6, 22, 24, 28, 32]),
        (vec![21, 27], vec![1, 22, 28, 32, 36]),
        (vec![43, 40, 31], vec![1, 22, 32, 36, 40]),
    ] {
        let newest = scribe.last() + 4;
        let append = Append { let_go: let_go.clone(), ..scribe.going_on(events(4)) };
        scribe.write(&append).await;
        let read = scribe.read_all(0).await;
        let left: Vec<u64> = left.into_iter().filter(|first| *first <= newest).collect();
        promise(
            read.iter().map(|chunk| chunk.first).collect::<Vec<_>>(),
            left,
            &format!("the chunks that end with {let_go:?} are let go, but not the newest"),
        );
        scribe.check(&format!("with {let_go:?} let go")).await;
    }
    let chunk = scribe.behind_a_hole(scribe.next(events(3), None), 100);
    let append = scribe.append(Onto::Seq(scribe.last()), vec![chunk]);
    scribe.write(&append).await;
    scribe.check("4. behind events that were let go before they were written").await;
    let ending = Append { let_go: vec![scribe.last()], ..scribe.ending(EndStatus::Complete) };
    scribe.write(&ending).await;
    let whole = scribe.rewriting();
    scribe.write(&whole).await;
    scribe.check("2. a log with holes is written again").await;
}

async fn streams_do_not_mix<S: Store>(store: &S) {
    let mut one = Scribe::begun(store).await;
    let mut other = Scribe::begun(store).await;
    let mut bytes = *one.id.as_bytes();
    bytes[15] ^= 1;
    let mut near = Scribe::new(store);
    near.id = RequestId::from_bytes(bytes);
    near.begin().await;
    for round in 1..=3 {
        one.write_events(round).await;
        other.write_events(16).await;
        near.write_events(1).await;
    }
    let ending = Append { snapshot: Some(snapshot(6, Some(EndStatus::Error))), ..one.ending(EndStatus::Error) };
    one.write(&ending).await;
    other.write_events(1).await;
    for scribe in [&one, &other, &near] {
        scribe.check("streams do not mix").await;
    }
    promise(other.snapshot().await, None, "snapshots of streams do not mix");
}

async fn a_snapshot_is_replaced_by_a_newer_one<S: Store>(store: &S) {
    let mut scribe = Scribe::begun(store).await;
    promise(scribe.snapshot().await, None, "there is no snapshot before the first");
    for round in 1..=3 {
        let append = Append { snapshot: Some(snapshot(round, None)), ..scribe.going_on(events(1)) };
        scribe.write(&append).await;
        promise(scribe.snapshot().await, Some(snapshot(round, None)), "1. a running stream's newest snapshot is seen");
    }
    scribe.write_events(1).await;
    promise(scribe.snapshot().await, Some(snapshot(3, None)), "a snapshot stays until the next");
    let over = snapshot(4, Some(EndStatus::Complete));
    let ending = Append { snapshot: Some(over.clone()), ..scribe.ending(EndStatus::Complete) };
    scribe.write(&ending).await;
    promise(scribe.snapshot().await, Some(over), "2. a snapshot comes with its end");
    promise(
        scribe.read_all(scribe.last()).await.last().and_then(|chunk: &Chunk| chunk.end),
        Some(EndStatus::Complete),
        "2. an end comes with its snapshot",
    );
}

fn what_never_changes_is_told<S: Store>(store: &S) {
    promise(store.node(), store.node(), "a store's node is the same for as long as the store lives");
    assert!(!store.kind().is_empty(), "broken promise: a store has a name");
    assert!(store.health().borrow().up, "broken promise: a store that answers is up");
}
