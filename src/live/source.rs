//! The source's side of a live log: a recorder's, where the handler runs; a follower's, elsewhere.

use super::{
    Limits, LiveLog, Passing, Stretch,
    state::{Kept, Orders, State},
};
use crate::{EndStatus, Event, Step, store::Totals};
use std::{
    sync::atomic::Ordering,
    task::{Context, Poll, Waker},
};

impl LiveLog {
    /// Adds the next events, and lets the oldest go where the limits say so. Returns how many went for good.
    ///
    /// On a node that is full, as much goes as was added.
    pub(crate) fn push(&self, events: impl Iterator<Item = Event>, now: u64, is_full: bool) -> u64 {
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
        let trimmed_before = state.totals.trimmed;
        self.let_go(&mut state, if is_full { added } else { 0 });
        let trimmed = state.totals.trimmed - trimmed_before;
        self.weigh(&mut state);
        let wakers = if state.waits_for_store() { Vec::new() } else { state.wakers() };
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        trimmed
    }

    fn let_go(&self, state: &mut State, to_free: usize) {
        if self.by_priority {
            return state.let_go_by_priority(self.limits, to_free);
        }
        let held = Limits { events: state.events.len(), bytes: state.bytes };
        let sizes = state.events.iter().map(|kept| kept.event.size());
        let (over, going) = State::going(sizes, held, self.limits, to_free);
        // What the furthest reader has yet to take, or the store to acknowledge, stays, should one large event have
        // overshot the limit.
        let free = state.furthest().map_or(u64::MAX, |cursor| state.place_of(cursor + 1) as u64);
        let going = going.min(free);
        if going == 0 {
            return;
        }
        // For good: what is over the limits, as the store lets go of it as well; and all of it where some is not stored.
        let for_good = if state.seq_at(going as usize - 1) > state.stored { going } else { over };
        for place in 0..going {
            let Some(Kept { event, upto }) = state.events.pop_front() else { break };
            state.bytes -= event.size();
            let seq = state.first;
            if self.recorded && place < for_good {
                state.totals.trimmed = seq;
                state.totals.trimmed_bytes = upto;
            }
            state.begin_behind(seq, event.step);
        }
    }

    /// One more than the last event that is gone once these are added, should all go that can.
    pub(crate) fn first_with(&self, more: &[Event], is_full: bool) -> u64 {
        let state = self.lock();
        let added: usize = more.iter().map(Event::size).sum();
        if self.by_priority {
            return state.hole_with(more, self.limits, if is_full { added } else { 0 });
        }
        let held = Limits { events: state.events.len() + more.len(), bytes: state.bytes + added };
        let sizes = state.events.iter().map(|kept| kept.event.size()).chain(more.iter().map(Event::size));
        let (_, going) = State::going(sizes, held, self.limits, if is_full { added } else { 0 });
        state.first + going
    }

    /// For a follower: what lies between is not to be had. The next event is `first`, behind so many bytes of the stream.
    /// What is here already stays for those who have yet to take it.
    pub(crate) fn skip_to(&self, first: u64, step: Step, bytes_before: u64) {
        let mut state = self.lock();
        let last = state.last();
        if state.events.is_empty() {
            (state.first, state.step_before) = (first, step);
        } else if first > last + 1 {
            state.holes.add(last + 1, first - 1, step);
        }
        state.totals.bytes = bytes_before;
        self.weigh(&mut state);
        let wakers = state.wakers();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// For a follower: what the store says was let go in all. (What this log lets go does not count there.)
    pub(crate) fn set_trimmed(&self, totals: Totals) {
        let mut state = self.lock();
        if totals.trimmed >= state.totals.trimmed {
            state.totals.trimmed = totals.trimmed;
            state.totals.trimmed_bytes = totals.trimmed_bytes;
            state.totals.holes = totals.holes;
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
        self.weigh(&mut state);
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
        let wakers = if state.waits_for_store() { Vec::new() } else { state.wakers() };
        drop(state);
        self.over.notify_waiters();
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

    /// Ready with how much the source may add: it is within the limits of the furthest reader, or there is none.
    pub(crate) fn poll_room(&self, cx: &Context<'_>) -> Poll<Limits> {
        let mut state = self.lock();
        let room = state.room(self.limits_now());
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

    /// Makes the source and the readers look at what has changed around them.
    pub(crate) fn look_up(&self) {
        let wakers = self.lock().wakers();
        wakers.into_iter().for_each(Waker::wake);
        self.kick();
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

    /// Asks something of the source.
    pub(crate) fn order(&self, orders: Orders) {
        let mut state = self.lock();
        state.orders.cancel |= orders.cancel;
        state.orders.amiss |= orders.amiss;
        drop(state);
        self.kick();
    }

    /// What the source has been asked since it last looked.
    pub(crate) fn take_orders(&self) -> Orders {
        std::mem::take(&mut self.lock().orders)
    }

    /// Lets those readers go that have not moved since the source was held back, or since the last call; they no
    /// longer hold it back.
    /// The first client, let go in the middle of what passes, loses that.
    pub(crate) fn let_stalled_go(&self) -> usize {
        let mut state = self.lock();
        let mut stalled = 0;
        let first_client = state.first_client;
        let mut drop_passing = false;
        for at in 0..state.slots.len() {
            // One that waits for the store does not stall.
            let cursor = state.slots.get(at).and_then(Option::as_ref).map_or(0, |slot| slot.cursor);
            let has_something = state.has_for(at, cursor);
            let Some(Some(slot)) = state.slots.get_mut(at) else { continue };
            if !std::mem::take(&mut slot.moved) && !slot.let_go && has_something {
                slot.let_go = true;
                stalled += 1;
                drop_passing |= first_client == Some(at);
            }
        }
        if drop_passing {
            state.drop_passing();
            self.weigh(&mut state);
        }
        stalled
    }

    /// Up to `events` events (and some `bytes`) behind `after`, for the store: such that follow one another, and of one
    /// priority where that decides what goes.
    pub(crate) fn copy_after(&self, after: u64, events: usize, bytes: usize) -> Stretch {
        let state = self.lock();
        let first = state.kept_from(after + 1);
        let at = state.place_of(first);
        let bytes_before = state.events.get(at).map_or(state.totals.bytes, Kept::before);
        let step_before = state.step_at(first - 1).unwrap_or(&state.step_before).clone();
        let holes_at = state.holes.next_from(first).map_or(usize::MAX, |from| (from - first) as usize);
        let alike = state.events.get(at).map(|kept| kept.event.priority).filter(|_| self.by_priority);
        let mut room = bytes;
        let mut taken = Vec::new();
        for Kept { event, .. } in state.events.iter().skip(at).take(events.min(holes_at)) {
            let size = event.size();
            let other = alike.is_some_and(|priority| event.priority != priority);
            if other || (size > room && !taken.is_empty()) {
                break;
            }
            room = room.saturating_sub(size);
            taken.push(event.clone());
        }
        Stretch { first, step_before, bytes_before, events: taken }
    }

    /// Whether the stream is over and in the store.
    pub(crate) fn is_safe(&self) -> bool {
        self.safe.load(Ordering::Relaxed)
    }

    /// Notes whether what was last written has reached the store.
    pub(crate) fn set_reaches_store(&self, reaches: bool) {
        self.reaches_store.store(reaches, Ordering::Relaxed);
    }

    pub(crate) fn reaches_store(&self) -> bool {
        self.reaches_store.load(Ordering::Relaxed)
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
}
