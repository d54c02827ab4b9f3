//! What a live log holds, behind its lock.

use super::{Limits, Passing};
use crate::{
    EndStatus, Event, Step,
    store::{Snapshot, Totals},
};
use std::{collections::VecDeque, sync::Arc, task::Waker};

pub(super) struct Kept {
    pub(super) event: Event,
    /// The bytes of the whole stream up to here: what lies between two events is a subtraction.
    pub(super) upto: u64,
}

pub(super) struct Slot {
    pub(super) cursor: u64,
    pub(super) waker: Option<Waker>,
    /// Has read since the source was first held back, or last asked.
    pub(super) moved: bool,
    /// Does not hold the source back any more, until it reads again.
    pub(super) let_go: bool,
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
    pub(super) bytes: usize,
    pub(super) totals: Totals,
    pub(super) step_before: Step,
    pub(super) updated_at: u64,
    pub(super) end: Option<EndStatus>,
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
    pub(super) resumes: u64,
    pub(super) recovered: u64,
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
        self.first + self.events.len() as u64 - 1
    }

    /// The bytes of the stream up to `seq`, as far as they are known.
    pub(super) fn upto(&self, seq: u64) -> u64 {
        let before = self.totals.bytes - self.bytes as u64;
        match seq.checked_sub(self.first) {
            Some(at) => {
                self.events.get(usize::try_from(at).unwrap_or(usize::MAX)).map_or(self.totals.bytes, |kept| kept.upto)
            }
            None => before,
        }
    }

    /// The cursor of the furthest reader that moves.
    pub(super) fn furthest(&self) -> Option<u64> {
        self.slots.iter().flatten().filter(|slot| !slot.let_go).map(|slot| slot.cursor).max()
    }

    /// How far the source may go on ahead of the furthest reader that moves; any way where there is none.
    pub(super) fn room(&self, limits: Limits) -> Limits {
        let (events, bytes) = match self.furthest() {
            Some(cursor) if cursor < self.last() => (self.last() - cursor, self.totals.bytes - self.upto(cursor)),
            Some(_) => (0, 0),
            None => return Limits { events: usize::MAX, bytes: usize::MAX },
        };
        let less = |limit: usize, taken: u64| limit.saturating_sub(usize::try_from(taken).unwrap_or(usize::MAX));
        let bytes = less(limits.bytes, bytes.max(self.passing_bytes as u64));
        Limits { events: less(limits.events, events), bytes }
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
