//! The live log: the last events of one stream on this node, and who waits for them.
//!
//! A recorder (where the handler runs) or a follower (elsewhere) feeds it; readers take from it, each by its own
//! cursor. It knows nothing of stores: what it has let go, a reader looks for there.
//!
//! One `Mutex`, short sections, nothing awaited inside; wakers are woken after it is released.

use crate::{
    EndStatus, Eol, Event, RequestId, Step,
    node::Usage,
    store::{Snapshot, StreamHead, Tail, Totals},
};
use bytes::Bytes;
use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

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

/// What a reader finds behind its cursor.
#[derive(Debug)]
pub(crate) enum Found {
    /// Events were put into the batch, in order; the first one follows the cursor.
    Events,
    /// For the first client only: goes out now.
    Passing(Passing),
    /// The log begins behind the cursor's next event, with this one.
    Behind(u64),
    /// All that there was is read, and the stream is over.
    End(EndStatus),
    /// The source has given up without an end: the client has to come again.
    Abandoned,
}

struct Kept {
    event: Event,
    /// The bytes of the whole stream up to here: what lies between two events is a subtraction.
    upto: u64,
}

struct Slot {
    cursor: u64,
    waker: Option<Waker>,
    /// Has read since the source was first held back, or last asked.
    moved: bool,
    /// Does not hold the source back any more, until it reads again.
    let_go: bool,
}

/// What the store was last known to hold, where this log has not got there yet.
struct Newest {
    last: u64,
    bytes: u64,
    step: Step,
    end: Option<EndStatus>,
}

#[derive(Default)]
struct State {
    first: u64,
    newest: Option<Newest>,
    events: VecDeque<Kept>,
    bytes: usize,
    totals: Totals,
    step_before: Step,
    updated_at: u64,
    end: Option<EndStatus>,
    abandoned: bool,
    snapshot: Option<Arc<Snapshot>>,
    slots: Vec<Option<Slot>>,
    readers: usize,
    /// The slot of the first client, while it is connected and takes what passes.
    first_client: Option<usize>,
    passing: VecDeque<(u64, Passing)>,
    passing_bytes: usize,
    source: Option<Waker>,
    /// The source waits for a reader to move.
    held_back: bool,
    /// Counts what the source has been asked to look at.
    kicks: u32,
    resumes: u64,
    recovered: u64,
}

impl State {
    fn last(&self) -> u64 {
        self.first + self.events.len() as u64 - 1
    }

    /// The bytes of the stream up to `seq`, as far as they are known.
    fn upto(&self, seq: u64) -> u64 {
        let before = self.totals.bytes - self.bytes as u64;
        match seq.checked_sub(self.first) {
            Some(at) => {
                self.events.get(usize::try_from(at).unwrap_or(usize::MAX)).map_or(self.totals.bytes, |kept| kept.upto)
            }
            None => before,
        }
    }

    /// The cursor of the furthest reader that moves.
    fn furthest(&self) -> Option<u64> {
        self.slots.iter().flatten().filter(|slot| !slot.let_go).map(|slot| slot.cursor).max()
    }

    /// How far the source may go on ahead of the furthest reader that moves; any way where there is none.
    fn room(&self, limits: Limits) -> Limits {
        let (events, bytes) = match self.furthest() {
            Some(cursor) if cursor < self.last() => (self.last() - cursor, self.totals.bytes - self.upto(cursor)),
            Some(_) => (0, 0),
            None => return Limits { events: usize::MAX, bytes: usize::MAX },
        };
        let less = |limit: usize, taken: u64| limit.saturating_sub(usize::try_from(taken).unwrap_or(usize::MAX));
        let bytes = less(limits.bytes, bytes.max(self.passing_bytes as u64));
        Limits { events: less(limits.events, events), bytes }
    }

    fn drop_passing(&mut self) {
        self.first_client = None;
        self.passing = VecDeque::new();
        self.passing_bytes = 0;
    }

    fn wakers(&mut self) -> Vec<Waker> {
        self.slots.iter_mut().flatten().filter_map(|slot| slot.waker.take()).collect()
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
    pub(crate) resumes: u64,
    pub(crate) recovered: u64,
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
    /// Whether a recorder feeds it: then no store holds more than this does.
    pub(crate) recorded: bool,
    limits: Limits,
    usage: Arc<Usage>,
    /// The node needs the memory: whoever keeps this log only for safety's sake lets it go.
    released: AtomicBool,
    /// It is all in the store.
    safe: AtomicBool,
    state: Mutex<State>,
}

impl fmt::Debug for LiveLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveLog").field("id", &self.id).field("recorded", &self.recorded).finish_non_exhaustive()
    }
}

impl LiveLog {
    /// An empty log for a stream that begins here.
    pub(crate) fn begin(id: RequestId, head: StreamHead, limits: Limits, usage: Arc<Usage>) -> Self {
        let state = State { first: 1, updated_at: head.started_at, ..State::default() };
        let (released, safe) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { id, head, recorded: true, limits, usage, released, safe, state: Mutex::new(state) }
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
        let (released, safe) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { id, head, recorded: false, limits, usage, released, safe, state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ---- the source's side ----

    /// Adds the next events, and lets the oldest go where the limits say so. Returns how many went.
    pub(crate) fn push(&self, events: impl Iterator<Item = Event>, now: u64) -> u64 {
        let mut state = self.lock();
        let mut added = 0;
        for event in events {
            let size = event.size();
            added += size;
            state.totals.bytes += size as u64;
            let upto = state.totals.bytes;
            state.events.push_back(Kept { event, upto });
        }
        state.bytes += added;
        state.updated_at = now;
        let mut gone = 0;
        let mut gone_bytes = 0;
        // What the furthest reader has yet to take stays, should one large event have overshot the limit.
        let keep_from = state.furthest().map_or(u64::MAX, |cursor| cursor + 1);
        while (state.events.len() > self.limits.events || state.bytes > self.limits.bytes)
            && state.events.len() > 1
            && state.first < keep_from
        {
            let Some(Kept { event, .. }) = state.events.pop_front() else { break };
            let size = event.size();
            gone += 1;
            gone_bytes += size;
            state.bytes -= size;
            state.first += 1;
            state.step_before = event.step;
        }
        if self.recorded {
            state.totals.trimmed += gone;
            state.totals.trimmed_bytes += gone_bytes as u64;
        }
        let wakers = state.wakers();
        drop(state);
        self.usage.change(added, gone_bytes);
        wakers.into_iter().for_each(Waker::wake);
        gone
    }

    /// The first event that is left once these are added, should all go that is over the limits.
    pub(crate) fn first_with(&self, more: &[Event]) -> u64 {
        let state = self.lock();
        let sizes = || more.iter().map(Event::size);
        let (mut events, mut bytes) = (state.events.len() + more.len(), state.bytes + sizes().sum::<usize>());
        let mut first = state.first;
        for size in state.events.iter().map(|kept| kept.event.size()).chain(sizes()) {
            if events <= 1 || (events <= self.limits.events && bytes <= self.limits.bytes) {
                break;
            }
            (events, bytes, first) = (events - 1, bytes - size, first + 1);
        }
        first
    }

    /// For a follower: what lies between is not to be had. The next event is `first`.
    pub(crate) fn skip_to(&self, first: u64, step: Step, totals: Totals) {
        let mut state = self.lock();
        let gone = std::mem::take(&mut state.bytes);
        state.events.clear();
        state.first = first;
        state.step_before = step;
        state.totals = totals;
        let wakers = state.wakers();
        drop(state);
        self.usage.change(0, gone);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// For a follower: what the store says was let go in all. (What this log lets go does not count there.)
    pub(crate) fn set_trimmed(&self, totals: Totals) {
        let mut state = self.lock();
        if totals.trimmed >= state.totals.trimmed {
            state.totals.trimmed = totals.trimmed;
            state.totals.trimmed_bytes = totals.trimmed_bytes;
        }
    }

    /// The first event in this log itself.
    pub(crate) fn first(&self) -> u64 {
        self.lock().first
    }

    /// The last event in this log itself, whatever the store may hold behind it.
    pub(crate) fn last(&self) -> u64 {
        self.lock().last()
    }

    /// Hands something to the first client, in its place behind the newest event; to nobody once that one has gone.
    pub(crate) fn pass(&self, passing: Passing) {
        let mut state = self.lock();
        if state.first_client.is_none() {
            return;
        }
        let after = state.last();
        state.passing_bytes += passing.size();
        state.passing.push_back((after, passing));
        let wakers = state.wakers();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// The stream is over. The first end counts.
    pub(crate) fn finish(&self, status: EndStatus, now: u64) {
        let mut state = self.lock();
        if state.end.is_none() {
            state.end = Some(status);
            state.updated_at = now;
        }
        let wakers = state.wakers();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// The source is gone, and the stream's end with it: readers end abruptly, so that their clients come again.
    pub(crate) fn abandon(&self) {
        let mut state = self.lock();
        state.abandoned = true;
        let wakers = state.wakers();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn set_snapshot(&self, snapshot: Arc<Snapshot>) {
        self.lock().snapshot = Some(snapshot);
    }

    /// Ready with how much the source may add: it is within the limits of the furthest reader, or there is none.
    pub(crate) fn poll_room(&self, cx: &Context<'_>) -> Poll<Limits> {
        let mut state = self.lock();
        let room = state.room(self.limits);
        let was_held_back = std::mem::replace(&mut state.held_back, room.is_none());
        if state.held_back {
            if !was_held_back {
                state.slots.iter_mut().flatten().for_each(|slot| slot.moved = false);
            }
            state.source = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(room)
    }

    /// Ready with the number of kicks once it differs from `seen`: somebody came, went, or asked the source to look.
    pub(crate) fn poll_kick(&self, seen: u32, cx: &Context<'_>) -> Poll<u32> {
        let mut state = self.lock();
        if state.kicks != seen {
            return Poll::Ready(state.kicks);
        }
        match &mut state.source {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Makes the source look at what has changed around it.
    pub(crate) fn kick(&self) {
        let mut state = self.lock();
        state.kicks = state.kicks.wrapping_add(1);
        let source = state.source.take();
        drop(state);
        if let Some(waker) = source {
            waker.wake();
        }
    }

    /// Lets those readers go that have not moved since the source was held back, or since the last call; they no
    /// longer hold it back.
    /// The first client, let go in the middle of what passes, loses that.
    pub(crate) fn let_stalled_go(&self) -> usize {
        let mut state = self.lock();
        let mut stalled = 0;
        let first_client = state.first_client;
        let mut drop_passing = false;
        for (at, slot) in state.slots.iter_mut().enumerate() {
            let Some(slot) = slot else { continue };
            if !std::mem::take(&mut slot.moved) && !slot.let_go {
                slot.let_go = true;
                stalled += 1;
                drop_passing |= first_client == Some(at);
            }
        }
        if drop_passing {
            state.drop_passing();
        }
        stalled
    }

    /// Up to `events` events (and some `bytes`) behind `after`, for the store.
    pub(crate) fn copy_after(&self, after: u64, events: usize, bytes: usize) -> Stretch {
        let state = self.lock();
        let first = state.first.max(after + 1);
        let at = usize::try_from(first - state.first).unwrap_or(usize::MAX);
        let (step_before, bytes_before) = match at.checked_sub(1).and_then(|before| state.events.get(before)) {
            Some(kept) => (kept.event.step.clone(), kept.upto),
            None => (state.step_before.clone(), state.totals.bytes - state.bytes as u64),
        };
        let mut room = bytes;
        let mut taken = Vec::new();
        for Kept { event, .. } in state.events.iter().skip(at).take(events) {
            let size = event.size();
            if size > room && !taken.is_empty() {
                break;
            }
            room = room.saturating_sub(size);
            taken.push(event.clone());
        }
        Stretch { first, step_before, bytes_before, events: taken }
    }

    pub(crate) fn set_safe(&self) {
        self.safe.store(true, Ordering::Relaxed);
    }

    /// Asks for the memory of a log that is over and in the store.
    pub(crate) fn release(&self) {
        if self.safe.load(Ordering::Relaxed) && !self.released.swap(true, Ordering::Relaxed) {
            self.kick();
        }
    }

    pub(crate) fn is_released(&self) -> bool {
        self.released.load(Ordering::Relaxed)
    }

    // ---- the readers' side ----

    /// Takes a place behind `cursor`; the first client's also gets what passes. `None`: there are `max` already.
    pub(crate) fn attach(self: &Arc<Self>, cursor: u64, first_client: bool, max: usize) -> Option<Place> {
        let mut state = self.lock();
        if state.readers >= max {
            return None;
        }
        let slot = Some(Slot { cursor, waker: None, moved: true, let_go: false });
        let at = match state.slots.iter().position(Option::is_none) {
            Some(at) => {
                if let Some(free) = state.slots.get_mut(at) {
                    *free = slot;
                }
                at
            }
            None => {
                state.slots.push(slot);
                state.slots.len() - 1
            }
        };
        state.readers += 1;
        if first_client {
            state.first_client = Some(at);
        }
        drop(state);
        self.kick();
        Some(Place { log: Arc::clone(self), at })
    }

    pub(crate) fn readers(&self) -> usize {
        self.lock().readers
    }

    /// Whether its source has given up before the stream's end.
    pub(crate) fn is_abandoned(&self) -> bool {
        let state = self.lock();
        state.abandoned && state.end.is_none()
    }

    /// The step at `seq`, where this log knows it.
    pub(crate) fn step_at(&self, seq: u64) -> Option<Step> {
        let state = self.lock();
        match seq.checked_sub(state.first) {
            Some(at) => state.events.get(usize::try_from(at).ok()?).map(|kept| kept.event.step.clone()),
            None if seq + 1 == state.first => Some(state.step_before.clone()),
            None => None,
        }
    }

    pub(crate) fn count_resume(&self) {
        self.lock().resumes += 1;
    }

    pub(crate) fn count_recovered(&self, events: u64) {
        self.lock().recovered += events;
    }

    pub(crate) fn summary(&self) -> Summary {
        let state = self.lock();
        let mut last = state.last();
        let mut bytes = state.totals.bytes;
        let mut step = state.events.back().map_or(&state.step_before, |kept| &kept.event.step);
        if let Some(newest) = state.newest.as_ref().filter(|newest| newest.last >= last) {
            (last, bytes, step) = (newest.last, newest.bytes, &newest.step);
        }
        Summary {
            first: (state.totals.trimmed + 1).min(last + 1),
            last,
            bytes: bytes.saturating_sub(state.totals.trimmed_bytes),
            trimmed: state.totals.trimmed,
            step: step.clone(),
            updated_at: state.updated_at,
            end: state.end.or_else(|| state.newest.as_ref()?.end),
            snapshot: state.snapshot.clone(),
            resumes: state.resumes,
            recovered: state.recovered,
        }
    }
}

impl Drop for LiveLog {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.usage.change(0, state.bytes);
    }
}

/// A reader's place in a log, given up when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    log: Arc<LiveLog>,
    at: usize,
}

/// The most that a reader takes at a time: enough to make one write of it, little enough to share a core.
pub(crate) const BATCH_EVENTS: usize = 128;
const BATCH_BYTES: usize = 64 * 1024;

impl Place {
    pub(crate) fn log(&self) -> &Arc<LiveLog> {
        &self.log
    }

    /// What lies behind `cursor`. Pending: nothing yet, and this task is woken when there is.
    ///
    /// `batch` is filled only for [`Found::Events`].
    pub(crate) fn poll_read(&self, cursor: u64, batch: &mut Vec<Event>, cx: &Context<'_>) -> Poll<Found> {
        let mut state = self.log.lock();
        let state = &mut *state;
        let found = Self::find(state, self.at, cursor, batch);
        let Some(slot) = state.slots.get_mut(self.at).and_then(Option::as_mut) else {
            return Poll::Ready(Found::Abandoned);
        };
        let cursor = cursor + batch.len() as u64;
        if cursor != slot.cursor || matches!(found, Some(Found::Passing(_))) {
            slot.cursor = cursor;
            slot.moved = true;
            slot.let_go = false;
        }
        match &found {
            Some(_) => {}
            None => match &mut slot.waker {
                Some(waker) => waker.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            },
        }
        // Only once the reader is well behind the limit, so that the source goes on with a whole batch, not an event.
        if state.held_back && !state.room(half(self.log.limits)).is_none() {
            state.held_back = false;
            if let Some(source) = state.source.take() {
                source.wake();
            }
        }
        found.map_or(Poll::Pending, Poll::Ready)
    }

    fn find(state: &mut State, at: usize, cursor: u64, batch: &mut Vec<Event>) -> Option<Found> {
        let mut room = BATCH_EVENTS;
        if state.first_client == Some(at) {
            while let Some((after, _)) = state.passing.front() {
                if *after > cursor {
                    room = room.min(usize::try_from(*after - cursor).unwrap_or(room));
                    break;
                }
                let Some((after, passing)) = state.passing.pop_front() else { break };
                state.passing_bytes -= passing.size();
                if after == cursor {
                    return Some(Found::Passing(passing));
                }
            }
        }
        if cursor + 1 < state.first {
            return Some(Found::Behind(state.first));
        }
        let skip = usize::try_from(cursor + 1 - state.first).unwrap_or(usize::MAX);
        if skip < state.events.len() {
            let mut bytes = 0;
            for Kept { event, .. } in state.events.range(skip..).take(room) {
                bytes += event.size();
                batch.push(event.clone());
                if bytes >= BATCH_BYTES {
                    break;
                }
            }
            return Some(Found::Events);
        }
        match state.end {
            Some(status) => Some(Found::End(status)),
            None if state.abandoned => Some(Found::Abandoned),
            None => None,
        }
    }
}

const fn half(limits: Limits) -> Limits {
    let events = limits.events / 2;
    let bytes = limits.bytes / 2;
    Limits { events: if events == 0 { 1 } else { events }, bytes: if bytes == 0 { 1 } else { bytes } }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.log.lock();
        if let Some(slot) = state.slots.get_mut(self.at) {
            *slot = None;
        }
        state.readers -= 1;
        if state.first_client == Some(self.at) {
            state.drop_passing();
        }
        drop(state);
        self.log.kick();
    }
}
