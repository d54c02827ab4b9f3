//! A reader's place in a live log.

use super::{
    Limits, LiveLog, Passing,
    state::{Kept, Slot, State},
};
use crate::{EndStatus, Event};
use std::{
    sync::Arc,
    task::{Context, Poll},
};

/// What a reader finds behind its cursor.
#[derive(Debug)]
pub(crate) enum Found {
    /// Events were put into the batch, in order; the first one follows the cursor.
    Events,
    /// For the first client only: goes out now.
    Passing(Passing),
    /// The cursor's next event is gone; the first one behind it that is kept is this.
    Behind(u64),
    /// All that there was is read, and the stream is over.
    End(EndStatus),
    /// The source has given up without an end: the client has to come again.
    Abandoned,
    /// To be told: whether the stream goes on without waiting for the store (`true`), or waits for it again.
    Lifted(bool),
}
impl LiveLog {
    /// Takes a place behind `cursor`; the first client's also gets what passes. `None`: there are `max` already.
    pub(crate) fn attach(self: &Arc<Self>, cursor: u64, first_client: bool, max: usize) -> Option<Place> {
        let mut state = self.lock();
        if state.readers >= max {
            return None;
        }
        let slot = Some(Slot { cursor, waker: None, moved: true, let_go: false, told_lifted: false });
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

    /// Whether it gets what passes: the first client does, until it is let go for stalling.
    pub(crate) fn takes_passing(&self) -> bool {
        self.log.lock().first_client == Some(self.at)
    }

    /// What lies behind `cursor`. Pending: nothing yet, and this task is woken when there is.
    ///
    /// `batch` is filled only for [`Found::Events`].
    pub(crate) fn poll_read(&self, cursor: u64, batch: &mut Vec<Event>, cx: &Context<'_>) -> Poll<Found> {
        let mut state = self.log.lock();
        let state = &mut *state;
        let lifted = state.is_lifted();
        if let Some(slot) = state.slots.get_mut(self.at).and_then(Option::as_mut)
            && std::mem::replace(&mut slot.told_lifted, lifted) != lifted
        {
            return Poll::Ready(Found::Lifted(lifted));
        }
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
        if matches!(found, Some(Found::Passing(_))) {
            self.log.weigh(state);
        }
        // Only once the reader is well behind the limit, so that the source goes on with a whole batch, not an event.
        if state.held_back && !state.room(half(self.log.limits_now())).is_none() {
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
                if state.passing.front().is_some_and(|(after, passing)| !state.may_pass(*after, passing)) {
                    return None;
                }
                let Some((after, passing)) = state.passing.pop_front() else { break };
                state.passing_bytes -= passing.size();
                if after == cursor {
                    return Some(Found::Passing(passing));
                }
            }
        }
        let next = state.kept_from(cursor + 1);
        if cursor + 1 < next {
            return if state.awaits_snapshot(next) { None } else { Some(Found::Behind(next)) };
        }
        if let Some(ahead @ 1..) = state.shown().checked_sub(cursor) {
            let skip = state.place_of(next);
            let ahead = state.holes.next_from(next).map_or(ahead, |hole| ahead.min(hole - next));
            room = room.min(usize::try_from(ahead).unwrap_or(usize::MAX));
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
        match state.shown_end() {
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
            self.log.weigh(&mut state);
        }
        drop(state);
        self.log.kick();
    }
}
