//! The live log: the last events of one stream on this node, and who waits for them.
//!
//! A recorder (where the handler runs) or a follower (elsewhere) feeds it; readers take from it, each by its own
//! cursor. It knows nothing of stores: what it has let go, a reader looks for there.
//!
//! One `Mutex`, short sections, nothing awaited inside; wakers are woken after it is released.

mod hold;
mod holes;
mod pause;
mod place;
mod source;
mod state;
mod weight;

pub(crate) use place::{Found, Place};
pub(crate) use state::Orders;

use crate::{
    EndStatus, Eol, Event, Eviction, RequestId, Step,
    store::{Counts, Snapshot, StreamHead, Tail, Totals},
    tally::Tally,
    usage::Usage,
};
use bytes::Bytes;
use state::{Newest, State};
use std::{
    fmt,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, atomic::AtomicBool},
};
use tokio::sync::Notify;
use tracing::{Span, span};

/// How much of a stream is held, and how far its source may run ahead of its readers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) events: usize,
    pub(crate) bytes: usize,
}

impl Limits {
    const fn is_none(self) -> bool {
        self.events == 0 || self.bytes == 0
    }
}

/// What goes to the first client alone, in its place, and is not kept.
#[derive(Clone, Debug)]
pub(crate) enum Passing {
    /// A block of comments.
    Comment(Bytes),
    /// A piece of an event that is too large to keep.
    Part(Bytes),
    /// The end of such an event.
    PartEnd { eol: Eol, has_id: bool },
    /// What began to pass will never be whole.
    BrokenOff,
}

impl Passing {
    /// What it takes of the memory, so that many small ones count as well.
    fn size(&self) -> usize {
        let bytes = match self {
            Self::Comment(bytes) | Self::Part(bytes) => bytes.len(),
            Self::PartEnd { .. } | Self::BrokenOff => 0,
        };
        bytes + size_of::<Self>()
    }
}

/// A summary for `status`, `replay` and the checks before a response's head.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    /// The first event that is kept, here or in the store.
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// The bytes that are kept.
    pub(crate) bytes: u64,
    /// The events that were let go.
    pub(crate) trimmed: u64,
    pub(crate) step: Step,
    pub(crate) updated_at: u64,
    pub(crate) end: Option<EndStatus>,
    pub(crate) snapshot: Option<Arc<Snapshot>>,
    pub(crate) counts: Counts,
}

/// Events that follow one another.
#[derive(Debug)]
pub(crate) struct Stretch {
    pub(crate) first: u64,
    pub(crate) step_before: Step,
    /// The bytes of all the stream's events before the first.
    pub(crate) bytes_before: u64,
    pub(crate) events: Vec<Event>,
}

/// One stream, as this node holds it.
pub(crate) struct LiveLog {
    pub(crate) id: RequestId,
    pub(crate) head: StreamHead,
    /// Whether a recorder feeds it: then a store holds no more than this does, or has let go for want of memory.
    pub(crate) recorded: bool,
    limits: Limits,
    /// Whether the least precious goes first, and not the oldest.
    by_priority: bool,
    usage: Arc<Usage>,
    /// The node needs the memory: whoever keeps this log only for safety's sake lets it go.
    released: AtomicBool,
    /// It is all in the store.
    safe: AtomicBool,
    /// What was last written has reached the store.
    reaches_store: AtomicBool,
    /// What it is recorded in, where that is traced.
    span: OnceLock<span::Id>,
    /// Held by whoever tells the store what is counted: one at a time.
    pub(crate) counting: tokio::sync::Mutex<()>,
    /// The stream is over.
    over: Notify,
    state: Mutex<State>,
}

impl fmt::Debug for LiveLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveLog").field("id", &self.id).field("recorded", &self.recorded).finish_non_exhaustive()
    }
}

impl LiveLog {
    /// An empty log for a stream that begins here.
    pub(crate) fn begin(
        id: RequestId,
        head: StreamHead,
        limits: Limits,
        eviction: Eviction,
        usage: Arc<Usage>,
    ) -> Self {
        let by_priority = eviction == Eviction::Priority;
        let totals = Totals { holes: by_priority.then_some(0), ..Totals::default() };
        let state = State { first: 1, totals, updated_at: head.started_at, ..State::default() };
        let [released, safe, reaches_store] = [const { AtomicBool::new(false) }; 3];
        Self {
            id,
            head,
            recorded: true,
            limits,
            by_priority,
            usage,
            released,
            safe,
            reaches_store,
            span: OnceLock::new(),
            counting: tokio::sync::Mutex::default(),
            over: Notify::new(),
            state: Mutex::new(state),
        }
    }

    /// A log that begins where `begin` does, for a stream of which the store's newest is `tail`.
    pub(crate) fn follow(
        id: RequestId,
        head: StreamHead,
        begin: Stretch,
        tail: &Tail,
        limits: Limits,
        usage: Arc<Usage>,
    ) -> Self {
        let Stretch { first, step_before, bytes_before, .. } = begin;
        let totals = Totals { bytes: bytes_before, ..tail.totals };
        let newest = Newest { last: tail.last, bytes: tail.totals.bytes, step: tail.step.clone(), end: tail.end };
        let state = State { first, step_before, updated_at: tail.at, totals, newest: Some(newest), ..State::default() };
        let [released, safe, reaches_store] = [const { AtomicBool::new(false) }; 3];
        Self {
            id,
            head,
            recorded: false,
            limits,
            by_priority: false,
            usage,
            released,
            safe,
            reaches_store,
            span: OnceLock::new(),
            counting: tokio::sync::Mutex::default(),
            over: Notify::new(),
            state: Mutex::new(state),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The span that the stream is recorded in.
    pub(crate) fn recorded_in(&self, span: &Span) {
        if let Some(id) = span.id() {
            let _ = self.span.set(id);
        }
    }

    /// Notes that what happens in this span follows from the recording, where that goes on here.
    pub(crate) fn leads_to(&self, span: &Span) {
        if !self.is_safe() {
            span.follows_from(self.span.get().cloned());
        }
    }

    pub(crate) fn readers(&self) -> usize {
        self.lock().readers
    }

    /// Whether its source has given up before the stream's end.
    pub(crate) fn is_abandoned(&self) -> bool {
        let state = self.lock();
        state.abandoned && state.shown_end().is_none()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.lock().end.is_some()
    }

    /// Ready once the stream is over.
    pub(crate) async fn ended(&self) {
        let mut over = pin!(self.over.notified());
        over.as_mut().enable();
        if !self.is_over() {
            over.await;
        }
    }

    /// The step at `seq`, where this log knows it.
    pub(crate) fn step_at(&self, seq: u64) -> Option<Step> {
        self.lock().step_at(seq).cloned()
    }

    /// The first event that is kept here from this one on; one more than the last where there is none.
    pub(crate) fn kept_from(&self, seq: u64) -> u64 {
        self.lock().kept_from(seq)
    }

    /// Whether an event behind this cursor was let go, as far as this log knows.
    pub(crate) fn misses_after(&self, cursor: u64) -> bool {
        let state = self.lock();
        let may_miss = cursor + 1 < state.first && state.totals.holes.is_some_and(|holes| holes > 0);
        cursor + 1 < state.first_kept() || may_miss || state.holes.last_to().is_some_and(|to| to > cursor)
    }

    /// Looks at, or changes, what is counted of the clients that came back.
    pub(crate) fn tally<T>(&self, with: impl FnOnce(&mut Tally) -> T) -> T {
        with(&mut self.lock().tally)
    }

    pub(crate) fn summary(&self) -> Summary {
        let state = self.lock();
        let mut last = state.last();
        let mut bytes = state.totals.bytes;
        let mut step = state.events.back().map_or(&state.step_before, |kept| &kept.event.step);
        if let Some(newest) = state.newest.as_ref().filter(|newest| newest.last >= last) {
            (last, bytes, step) = (newest.last, newest.bytes, &newest.step);
        }
        let shown = state.shown();
        if shown < state.last() {
            (last, bytes, step) = (shown, state.upto(shown), state.step_at(shown).unwrap_or(step));
        }
        Summary {
            first: state.first_kept().min(last + 1),
            last,
            bytes: bytes.saturating_sub(state.totals.trimmed_bytes),
            trimmed: state.totals.trimmed,
            step: step.clone(),
            updated_at: state.updated_at,
            end: state.shown_end().or_else(|| state.newest.as_ref()?.end),
            snapshot: state.snapshot.clone(),
            counts: state.tally.total(),
        }
    }
}

impl Drop for LiveLog {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.usage.change(0, state.counted);
    }
}

#[cfg(test)]
mod tests;
