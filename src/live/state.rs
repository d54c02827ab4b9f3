//! What a live log holds, behind its lock.

use super::{Limits, Passing, hold::Hold, holes::Holes, pause::Pause};
use crate::{
    EndStatus, Event, Step,
    store::{Snapshot, Totals},
    tally::Tally,
};
use std::{collections::VecDeque, sync::Arc, task::Waker};

pub(super) struct Kept {
    pub(super) event: Event,
    /// The bytes of the whole stream up to here: what lies between two events is a subtraction.
    pub(super) upto: u64,
}

impl Kept {
    /// The bytes of the whole stream before it.
    pub(super) fn before(&self) -> u64 {
        self.upto - self.event.size() as u64
    }
}

pub(super) struct Slot {
    pub(super) cursor: u64,
    pub(super) waker: Option<Waker>,
    /// Has read since the source was first held back, or last asked.
    pub(super) moved: bool,
    /// Does not hold the source back any more, until it reads again.
    pub(super) let_go: bool,
    /// Was told that the stream does not wait for the store just now.
    pub(super) told_lifted: bool,
}

/// What the store was last known to hold, where this log has not got there yet.
pub(super) struct Newest {
    pub(super) last: u64,
    pub(super) bytes: u64,
    pub(super) step: Step,
    pub(super) end: Option<EndStatus>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) first: u64,
    pub(super) newest: Option<Newest>,
    pub(super) events: VecDeque<Kept>,
    /// What is missing between the first of them and the last.
    pub(super) holes: Holes,
    pub(super) bytes: usize,
    /// What the node counts for this log, and whether it counts the log itself.
    pub(super) counted: usize,
    pub(super) admitted: bool,
    /// The last event that the store has.
    pub(super) stored: u64,
    pub(super) totals: Totals,
    pub(super) step_before: Step,
    pub(super) updated_at: u64,
    pub(super) end: Option<EndStatus>,
    pub(super) hold: Hold,
    pub(super) pause: Pause,
    pub(super) abandoned: bool,
    pub(super) snapshot: Option<Arc<Snapshot>>,
    pub(super) slots: Vec<Option<Slot>>,
    pub(super) readers: usize,
    /// The slot of the first client, while it is connected and takes what passes.
    pub(super) first_client: Option<usize>,
    pub(super) passing: VecDeque<(u64, Passing)>,
    pub(super) passing_bytes: usize,
    pub(super) source: Option<Waker>,
    /// The source waits for a reader to move.
    pub(super) held_back: bool,
    /// Counts what the source has been asked to look at.
    pub(super) kicks: u32,
    pub(super) orders: Orders,
    pub(super) tally: Tally,
}

/// What others have asked of the source, until it takes it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Orders {
    /// Stop the handler.
    pub(crate) cancel: bool,
    /// The log in the store is gone, or has a hole.
    pub(crate) amiss: bool,
}

impl State {
    pub(super) fn last(&self) -> u64 {
        self.first + self.events.len() as u64 + self.holes.missing() - 1
    }

    /// The bytes of the stream up to `seq`, as far as they are known: a hole counts with what is before it.
    pub(super) fn upto(&self, seq: u64) -> u64 {
        match self.events.get(self.place_of(seq + 1)) {
            Some(next) => next.before(),
            None => self.totals.bytes,
        }
    }

    /// The step at `seq`, where this log knows it.
    pub(super) fn step_at(&self, seq: u64) -> Option<&Step> {
        if seq < self.first {
            return (seq + 1 == self.first).then_some(&self.step_before);
        }
        if seq != self.kept_from(seq) {
            return self.holes.step_at(seq);
        }
        self.events.get(self.place_of(seq)).map(|kept| &kept.event.step)
    }

    /// What the source stays near to: the cursor of the furthest reader that moves, or all of the log where the source
    /// pauses for want of readers; and no further than what the store has, where readers wait for it.
    pub(super) fn furthest(&self) -> Option<u64> {
        let reader = self.slots.iter().flatten().filter(|slot| !slot.let_go).map(|slot| slot.cursor).max();
        let reader = reader.or_else(|| self.paused_at());
        match self.acked() {
            Some(acked) => Some(reader.map_or(acked, |cursor| cursor.min(acked))),
            None => reader,
        }
    }

    /// How far the source may go on ahead of that; any way where there is nothing of the kind.
    pub(super) fn room(&self, limits: Limits) -> Limits {
        let (events, bytes) = match self.furthest() {
            Some(cursor) if cursor < self.last() => {
                (self.last() - cursor, self.totals.bytes.saturating_sub(self.upto(cursor)))
            }
            Some(_) => (0, 0),
            None => return Limits { events: usize::MAX, bytes: usize::MAX },
        };
        let limits = self.beside_the_precious(limits);
        let less = |limit: usize, taken: u64| limit.saturating_sub(usize::try_from(taken).unwrap_or(usize::MAX));
        let bytes = less(limits.bytes, bytes.max(self.passing_bytes as u64));
        Limits { events: less(limits.events, events), bytes }
    }

    /// Whether there is something that the reader at this place could take.
    pub(super) fn has_for(&self, at: usize, cursor: u64) -> bool {
        let passes = |(after, passing): &(u64, Passing)| *after <= cursor && self.may_pass(*after, passing);
        cursor < self.shown() || (self.first_client == Some(at) && self.passing.front().is_some_and(passes))
    }

    pub(super) fn drop_passing(&mut self) {
        self.first_client = None;
        self.passing = VecDeque::new();
        self.passing_bytes = 0;
    }

    pub(super) fn wakers(&mut self) -> Vec<Waker> {
        self.slots.iter_mut().flatten().filter_map(|slot| slot.waker.take()).collect()
    }
}
