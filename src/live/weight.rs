//! What a log weighs on its node, and what a node without room for more makes of it.
//!
//! The node refuses new streams then and cuts none that runs. So each of these has to make do with what it holds: it lets
//! go of as much as it adds, the oldest first, and is read no further ahead of its clients than by a batch. What it lets
//! go of in this way the store may still hold; readers look for it there.

use super::{
    Limits, LiveLog,
    state::{Kept, State},
};
use crate::store::Totals;

/// How far a source may be ahead of its readers on a node that is full: a batch.
const PRESSED: Limits = Limits { events: 64, bytes: 64 * 1024 };

/// What an event takes besides its bytes.
const EVENT_BYTES: usize = size_of::<Kept>();

/// What a stream takes besides its events: the log, its source's task, and the reader of its first client.
const LOG_BYTES: usize = 4 * 1024;

impl State {
    /// What all of this takes.
    fn weight(&self) -> usize {
        let log = if self.admitted { LOG_BYTES } else { 0 };
        let snapshots = [self.snapshot.as_ref(), self.coming_snapshot()].into_iter().flatten();
        let snapshots: usize = snapshots.map(|snapshot| snapshot.data.len()).sum();
        log + self.bytes + self.events.len() * EVENT_BYTES + self.passing_bytes + snapshots
    }

    /// How many of the oldest events go for good, of these sizes: those over the limits, but never the last. And how
    /// many go in all, so that this many bytes become free.
    pub(super) fn going(
        sizes: impl Iterator<Item = usize>,
        mut held: Limits,
        limits: Limits,
        to_free: usize,
    ) -> (u64, u64) {
        let (mut over, mut going, mut free) = (0, 0, 0);
        for size in sizes {
            let is_over = held.events > limits.events || held.bytes > limits.bytes;
            if held.events <= 1 || !(is_over || free < to_free) {
                break;
            }
            going += 1;
            if is_over {
                over = going;
            }
            held = Limits { events: held.events - 1, bytes: held.bytes - size };
            free += size;
        }
        (over, going)
    }
}

impl LiveLog {
    /// Tells the node what the log weighs now.
    pub(super) fn weigh(&self, state: &mut State) {
        let weight = state.weight();
        self.usage.change(weight, std::mem::replace(&mut state.counted, weight));
    }

    /// The node has taken the log in.
    pub(crate) fn admitted(&self) {
        let mut state = self.lock();
        state.admitted = true;
        self.weigh(&mut state);
    }

    /// How far its source may be ahead of its readers, now.
    pub(super) fn limits_now(&self) -> Limits {
        let Limits { events, bytes } = self.limits;
        if self.usage.is_full() {
            Limits { events: events.min(PRESSED.events), bytes: bytes.min(PRESSED.bytes) }
        } else {
            self.limits
        }
    }

    /// The store holds the stream up to here.
    pub(crate) fn acknowledged(&self, seq: u64) {
        self.lock().stored = seq;
    }

    /// The store has let go of this, which the log may have done for want of memory before.
    pub(crate) fn trimmed_in_store(&self, totals: Totals) {
        let mut state = self.lock();
        let news = if totals.holes.is_some() {
            state.first_kept() < state.first
        } else {
            totals.trimmed > state.totals.trimmed && totals.trimmed < state.first
        };
        if news {
            state.totals = Totals { bytes: state.totals.bytes, ..totals };
        }
    }

    /// What this log holds takes the place of all that the store does.
    pub(crate) fn replaces_store(&self) {
        let mut state = self.lock();
        state.stored = 0;
        let missing = state.holes.missing();
        state.totals.trimmed = state.first - 1 + missing;
        state.totals.trimmed_bytes = state.totals.bytes - state.bytes as u64;
        state.totals.holes = self.by_priority.then_some(missing);
    }

    /// Whether some of what lies behind this cursor is in the store alone, although the stream runs here.
    pub(crate) fn is_thinned_behind(&self, cursor: u64) -> bool {
        let state = self.lock();
        self.recorded && (cursor + 1).max(state.first_kept()) < state.first
    }
}
