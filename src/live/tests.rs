//! What a live log keeps, and what its readers find, against a list.

use super::*;
use crate::{NodeId, store::Totals};
use proptest::{collection::vec, prelude::*};
use std::task::{Context, Poll, Waker};

const LIMITS: Limits = Limits { events: 8, bytes: 400 };

fn head() -> StreamHead {
    StreamHead { node: NodeId::random(), started_at: 1, correlation_id: None, comments: false }
}

fn usage() -> Arc<Usage> {
    Arc::new(Usage::new(1 << 30, Default::default()))
}

/// One of the list: seq, priority, size, and the step that it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Listed {
    seq: u64,
    event: Event,
}

/// What the rule says, word by word: over the limits the oldest of the least precious goes, but for the newest; then the
/// oldest, until so many bytes are free.
fn keep(list: &mut Vec<Listed>, by_priority: bool, to_free: usize) -> Vec<Listed> {
    let mut gone = Vec::new();
    let is_over = |list: &[Listed]| {
        list.len() > LIMITS.events || list.iter().map(|listed| listed.event.size()).sum::<usize>() > LIMITS.bytes
    };
    while is_over(list) && list.len() > 1 {
        let but_newest = &list[..list.len() - 1];
        let least = but_newest.iter().map(|listed| if by_priority { listed.event.priority } else { 0 }).min().unwrap();
        let at = but_newest.iter().position(|listed| !by_priority || listed.event.priority == least).unwrap();
        gone.push(list.remove(at));
    }
    while gone.iter().map(|listed| listed.event.size()).sum::<usize>() < to_free && list.len() > 1 {
        gone.push(list.remove(0));
    }
    gone
}

fn event(priority: u8, size: usize, step: u8) -> Event {
    let step = if step == 0 { Step::NONE } else { Step::new(&format!("S{step}")) };
    Event { lines: vec![b'x'; size].into(), priority, step, ..Event::default() }
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let sizes = prop_oneof![4 => 1..40_usize, 1 => 200..600_usize];
    let one = (prop_oneof![3 => Just(0_u8), 1 => 1..3_u8], sizes, 0..3_u8);
    vec(one.prop_map(|(priority, size, step)| event(priority, size, step)), 1..6)
}

/// Reads all that there is behind a cursor: the events, and the gaps before them.
fn read(log: &Arc<LiveLog>, mut cursor: u64) -> Vec<Listed> {
    let place = log.attach(cursor, false, 1000).unwrap();
    let cx = Context::from_waker(Waker::noop());
    let mut seen = Vec::new();
    loop {
        let mut batch = Vec::new();
        match place.poll_read(cursor, &mut batch, &cx) {
            Poll::Ready(Found::Events) => {
                for event in batch {
                    cursor += 1;
                    seen.push(Listed { seq: cursor, event });
                }
            }
            Poll::Ready(Found::Behind(first)) => {
                assert!(first > cursor + 1, "a gap holds something");
                cursor = first - 1;
            }
            Poll::Pending => return seen,
            Poll::Ready(other) => panic!("{other:?}"),
        }
    }
}

fn check(log: &Arc<LiveLog>, kept: &[Listed], last: u64, steps: &[Step]) {
    assert_eq!(log.last(), last);
    assert_eq!(log.first(), kept.first().map_or(last + 1, |listed| listed.seq));
    for cursor in 0..=last {
        let behind: Vec<Listed> = kept.iter().filter(|listed| listed.seq > cursor).cloned().collect();
        assert_eq!(read(log, cursor), behind, "behind {cursor}");
        let next = behind.first().map_or(last + 1, |listed| listed.seq);
        assert_eq!(log.kept_from(cursor + 1), next);
        assert_eq!(log.misses_after(cursor), (cursor + 1..=last).any(|seq| behind.iter().all(|kept| kept.seq != seq)));
        // The step that a gap before the next event ends with.
        if let Some(at) = usize::try_from(next - 1).unwrap().checked_sub(1) {
            assert_eq!(log.step_at(next - 1), steps.get(at).cloned(), "the step at {}", next - 1);
        }
        let stretch = log.copy_after(cursor, 4, 100);
        assert_eq!(stretch.first, next);
        let follow = behind.iter().enumerate().take_while(|(at, listed)| listed.seq == next + *at as u64);
        let copied: Vec<Event> = follow.map(|(_, listed)| listed.event.clone()).take(stretch.events.len()).collect();
        assert_eq!(stretch.events, copied, "what is copied follows one another");
        assert!(stretch.events.is_empty() == behind.is_empty());
    }
}

proptest! {
    #[test]
    fn a_log_keeps_what_the_rule_says_and_readers_see_the_rest_as_gaps(
        batches in vec((events(), prop::bool::weighted(0.2)), 1..14),
        by_priority in any::<bool>(),
    ) {
        let eviction = if by_priority { Eviction::Priority } else { Eviction::Fifo };
        let log = Arc::new(LiveLog::begin(RequestId::random(), head(), LIMITS, eviction, usage()));
        let (mut kept, mut gone, mut steps): (Vec<Listed>, Vec<Listed>, Vec<Step>) = Default::default();
        let mut last = 0;
        for (batch, is_full) in batches {
            let would_reach = log.first_with(&batch, is_full);
            let added: usize = batch.iter().map(Event::size).sum();
            let before = gone.len();
            for event in &batch {
                last += 1;
                steps.push(event.step.clone());
                kept.push(Listed { seq: last, event: event.clone() });
            }
            log.push(batch.clone().into_iter(), 1, is_full);
            // Nobody reads, so that all of the batch goes in before anything goes out.
            gone.extend(keep(&mut kept, by_priority, if is_full { added } else { 0 }));
            check(&log, &kept, last, &steps);
            let reached = gone.iter().map(|listed| listed.seq).max().unwrap_or(0) + 1;
            prop_assert_eq!(would_reach, reached, "what a snapshot has to reach");
            let summary = log.summary();
            let size = |list: &[Listed]| list.iter().map(|listed| listed.event.size() as u64).sum::<u64>();
            prop_assert_eq!((summary.first, summary.last), (kept[0].seq, last));
            prop_assert_eq!((summary.trimmed, summary.bytes), (gone.len() as u64, size(&kept)));
            let chunk = log.copy_after(last - batch.len() as u64, 16, 1 << 20);
            let bytes_before = gone.iter().chain(&kept).filter(|listed| listed.seq < chunk.first);
            prop_assert_eq!(chunk.bytes_before, bytes_before.map(|listed| listed.event.size() as u64).sum::<u64>());
            prop_assert!(gone.len() >= before);
        }
        if !by_priority {
            prop_assert!(kept.windows(2).all(|two| two[0].seq + 1 == two[1].seq), "only the oldest goes");
        }
    }

    #[test]
    fn what_a_follower_skips_leaves_what_is_there_for_those_who_have_yet_to_take_it(
        batches in vec((0..5_u64, events()), 1..14),
    ) {
        let tail = Tail {
            last: 0,
            writer: NodeId::random(),
            totals: Totals::default(),
            step: Step::NONE,
            at: 1,
            end: None,
        };
        let begin = Stretch { first: 1, step_before: Step::NONE, bytes_before: 0, events: Vec::new() };
        let log = Arc::new(LiveLog::follow(RequestId::random(), head(), begin, &tail, LIMITS, usage()));
        let (mut kept, mut steps): (Vec<Listed>, Vec<Step>) = Default::default();
        let (mut last, mut bytes) = (0, 0);
        for (skipped, batch) in batches {
            if skipped > 0 {
                for _ in 0..skipped {
                    last += 1;
                    steps.push(Step::new("SKIPPED"));
                }
                bytes += 10 * skipped;
                log.skip_to(last + 1, Step::new("SKIPPED"), bytes);
            }
            for event in &batch {
                last += 1;
                bytes += event.size() as u64;
                steps.push(event.step.clone());
                kept.push(Listed { seq: last, event: event.clone() });
            }
            log.push(batch.into_iter(), 1, false);
            keep(&mut kept, false, 0);
            prop_assert_eq!(log.first(), kept[0].seq);
            for cursor in 0..=last {
                let behind: Vec<Listed> = kept.iter().filter(|listed| listed.seq > cursor).cloned().collect();
                prop_assert_eq!(read(&log, cursor), behind);
            }
        }
    }
}

#[test]
fn the_newest_event_stays_whatever_its_class_and_what_a_reader_has_yet_to_take_stays_too() {
    let log = Arc::new(LiveLog::begin(RequestId::random(), head(), LIMITS, Eviction::Priority, usage()));
    log.push((0..8).map(|_| event(1, 9, 0)), 1, false);
    log.push([event(0, 9, 0)].into_iter(), 1, false);
    let seqs = |log: &Arc<LiveLog>| read(log, 0).iter().map(|listed| listed.seq).collect::<Vec<_>>();
    assert_eq!(seqs(&log), [2, 3, 4, 5, 6, 7, 8, 9], "one place is the newest one's");
    log.push([event(0, 9, 0)].into_iter(), 1, false);
    assert_eq!(seqs(&log), [2, 3, 4, 5, 6, 7, 8, 10], "then the least precious goes");
    let reader = log.attach(10, false, 10).unwrap();
    log.push([event(0, 500, 0), event(0, 9, 0)].into_iter(), 1, false);
    assert_eq!(seqs(&log), [11, 12], "the reader is at 10, and takes both");
    drop(reader);
    log.push([event(0, 9, 0)].into_iter(), 1, false);
    assert_eq!(seqs(&log), [12, 13]);
}

#[test]
fn what_goes_for_want_of_memory_alone_is_kept_in_the_store() {
    for eviction in [Eviction::Fifo, Eviction::Priority] {
        let log = Arc::new(LiveLog::begin(RequestId::random(), head(), LIMITS, eviction, usage()));
        log.push((0..6).map(|_| event(1, 9, 0)), 1, false);
        log.acknowledged(6);
        log.push([event(0, 9, 0), event(0, 9, 0)].into_iter(), 1, true);
        let kept = |log: &LiveLog| (log.summary().first, log.summary().trimmed, log.first(), log.last());
        assert_eq!(kept(&log), (1, 0, 3, 8), "the store still has the first two");
        assert!(log.is_thinned_behind(0) && log.is_thinned_behind(1) && !log.is_thinned_behind(2));
        let holes = (eviction == Eviction::Priority).then_some(0);
        log.trimmed_in_store(Totals { bytes: 0, trimmed: 1, trimmed_bytes: 10, holes });
        assert_eq!(kept(&log), (2, 1, 3, 8), "until it lets go of them, too");
        log.replaces_store();
        assert_eq!(kept(&log), (3, 2, 3, 8));
    }
}
