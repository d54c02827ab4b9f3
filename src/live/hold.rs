//! What readers may not see yet: where durability is `Stored`, all that the store has not acknowledged.
//!
//! The log holds it, readers do not find it, and the source stays within its limits ahead of what is acknowledged. So
//! nothing is let go that is neither stored nor sent.

use super::{LiveLog, Passing, state::State};
use crate::{EndStatus, store::Snapshot};
use std::{sync::Arc, task::Waker};
use tokio::time::Instant;

/// Whether readers wait for the store.
#[derive(Default)]
pub(super) enum Hold {
    /// Never: durability is relaxed, or the store is where the log comes from.
    #[default]
    Never,
    /// They do.
    On(Held),
    /// They would, but the store has been out for too long.
    Lifted,
}

#[derive(Default)]
pub(super) struct Held {
    /// The last event that the store has acknowledged.
    acked: u64,
    end_acked: bool,
    /// The newest snapshot, until all that it stands for is acknowledged.
    snapshot: Option<Arc<Snapshot>>,
    /// Since when the store has owed its next answer; `None` while nothing waits for it.
    since: Option<Instant>,
}

impl State {
    /// The last event that the store has acknowledged, where that counts.
    pub(super) const fn acked(&self) -> Option<u64> {
        match &self.hold {
            Hold::On(held) => Some(held.acked),
            Hold::Never | Hold::Lifted => None,
        }
    }

    /// The last event that readers may see.
    pub(super) fn shown(&self) -> u64 {
        let last = self.last();
        self.acked().map_or(last, |acked| acked.max(self.first - 1).min(last))
    }

    /// The stream's end, once readers may see it.
    pub(super) fn shown_end(&self) -> Option<EndStatus> {
        match &self.hold {
            Hold::On(held) if !held.end_acked => None,
            _ => self.end,
        }
    }

    /// Whether this may pass: what closes an event that is not kept waits for that one's place in the store.
    pub(super) fn may_pass(&self, after: u64, passing: &Passing) -> bool {
        !matches!(passing, Passing::PartEnd { .. }) || self.acked().is_none_or(|acked| acked > after)
    }

    /// Whether a snapshot that stands in for what the log has let go before `first` is on its way to the store.
    pub(super) fn awaits_snapshot(&self, first: u64) -> bool {
        let reaches = |snapshot: &Arc<Snapshot>| snapshot.seq + 1 >= first;
        let Hold::On(Held { snapshot: Some(coming), .. }) = &self.hold else { return false };
        reaches(coming) && !self.snapshot.as_ref().is_some_and(reaches)
    }

    /// A snapshot that readers do not see yet.
    pub(super) const fn coming_snapshot(&self) -> Option<&Arc<Snapshot>> {
        match &self.hold {
            Hold::On(held) => held.snapshot.as_ref(),
            Hold::Never | Hold::Lifted => None,
        }
    }

    pub(super) const fn is_lifted(&self) -> bool {
        matches!(self.hold, Hold::Lifted)
    }

    /// Something was added. Whether readers see it at once.
    pub(super) fn waits_for_store(&mut self) -> bool {
        let Hold::On(held) = &mut self.hold else { return false };
        held.since.get_or_insert_with(Instant::now);
        true
    }

    fn hides_something(&self) -> bool {
        match &self.hold {
            Hold::On(held) => held.acked < self.last() || (self.end.is_some() && !held.end_acked),
            Hold::Never | Hold::Lifted => false,
        }
    }
}

impl LiveLog {
    /// From now on, readers see only what the store has acknowledged.
    pub(crate) fn hold(&self) {
        self.lock().hold = Hold::On(Held::default());
    }

    /// The store holds the stream up to `acked`, and its end where `ended` says so. What was seen stays seen, should
    /// the store have lost it and have got only a part of it again.
    pub(crate) fn stored(&self, acked: u64, ended: bool) {
        let mut guard = self.lock();
        let state = &mut *guard;
        if state.is_lifted() && state.end.is_none() && acked + 1 >= state.first {
            state.hold = Hold::On(Held::default());
        }
        let last = state.last();
        let Hold::On(held) = &mut state.hold else { return };
        for slot in state.slots.iter_mut().flatten() {
            // It had nothing to take until now, so it did not stall.
            slot.moved |= slot.cursor >= held.acked;
        }
        held.acked = held.acked.max(acked);
        held.end_acked |= ended;
        let is_whole =
            |snapshot: &Arc<Snapshot>| snapshot.seq <= held.acked && (snapshot.status.is_none() || held.end_acked);
        if held.snapshot.as_ref().is_some_and(is_whole) {
            state.snapshot = held.snapshot.take();
        }
        let more = held.acked < last || (state.end.is_some() && !held.end_acked);
        held.since = more.then(Instant::now);
        self.weigh(state);
        let wakers = state.wakers();
        drop(guard);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// The store has been out for too long: readers see everything, until it takes events again. Whether they did not
    /// before.
    pub(crate) fn relax(&self) -> bool {
        let mut state = self.lock();
        let Hold::On(held) = &mut state.hold else { return false };
        if let Some(snapshot) = held.snapshot.take() {
            state.snapshot = Some(snapshot);
        }
        state.hold = Hold::Lifted;
        self.weigh(&mut state);
        let wakers = state.wakers();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        self.kick();
        true
    }

    /// Since when the store has kept readers waiting, if it does.
    pub(crate) fn waiting_since(&self) -> Option<Instant> {
        let state = self.lock();
        let Hold::On(held) = &state.hold else { return None };
        held.since.filter(|_| state.hides_something())
    }

    pub(crate) fn set_snapshot(&self, snapshot: Arc<Snapshot>) {
        let mut state = self.lock();
        match &mut state.hold {
            Hold::On(held) => held.snapshot = Some(snapshot),
            Hold::Never | Hold::Lifted => state.snapshot = Some(snapshot),
        }
        self.weigh(&mut state);
    }

    /// The last event that a snapshot stands in for, be it shown already or not.
    pub(crate) fn snapshot_reaches(&self) -> Option<u64> {
        let state = self.lock();
        state.coming_snapshot().or(state.snapshot.as_ref()).map(|snapshot| snapshot.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Event, Eviction, NodeId, RequestId,
        live::{Found, Limits, Place},
        store::StreamHead,
        usage::Usage,
    };
    use std::task::{Context, Poll};

    fn held() -> (Arc<LiveLog>, Place) {
        let head = StreamHead { node: NodeId::random(), started_at: 0, correlation_id: None, comments: false };
        let limits = Limits { events: 4, bytes: 1000 };
        let log = Arc::new(LiveLog::begin(
            RequestId::random(),
            head,
            limits,
            Eviction::Fifo,
            Arc::new(Usage::new(1 << 20, Default::default())),
        ));
        log.hold();
        let place = log.attach(0, true, 1).unwrap();
        (log, place)
    }

    fn say(log: &LiveLog, events: usize) {
        log.push(std::iter::repeat_n(Event { lines: "data: x\n".into(), ..Event::default() }, events), 0, false);
    }

    /// What a reader finds behind its cursor.
    fn found(place: &Place, cursor: u64) -> String {
        let mut batch = Vec::new();
        match place.poll_read(cursor, &mut batch, &Context::from_waker(Waker::noop())) {
            Poll::Ready(Found::Events) => format!("{} events", batch.len()),
            Poll::Ready(other) => format!("{other:?}"),
            Poll::Pending => "nothing".to_owned(),
        }
    }

    fn room(log: &LiveLog) -> Option<usize> {
        match log.poll_room(&Context::from_waker(Waker::noop())) {
            Poll::Ready(room) => Some(room.events),
            Poll::Pending => None,
        }
    }

    #[tokio::test]
    async fn a_log_ends_for_its_readers_where_the_store_does() {
        let (log, place) = held();
        say(&log, 3);
        assert_eq!(found(&place, 0), "nothing");
        assert_eq!((log.summary().last, log.last()), (0, 3));
        log.stored(2, false);
        assert_eq!(found(&place, 0), "2 events");
        log.stored(1, false);
        assert_eq!(log.summary().last, 2, "what was seen stays seen");
        log.finish(EndStatus::Complete, 0);
        log.stored(3, false);
        assert_eq!((&*found(&place, 2), log.summary().end), ("1 events", None));
        assert!(log.waiting_since().is_some());
        log.stored(3, true);
        assert_eq!(found(&place, 3), "End(Complete)");
        assert!(log.waiting_since().is_none());
    }

    #[tokio::test]
    async fn a_source_stays_near_to_the_store_and_nothing_goes_that_it_does_not_have() {
        let (log, place) = held();
        say(&log, 4);
        assert_eq!(room(&log), None);
        drop(place);
        assert_eq!(room(&log), None, "with nobody there, too");
        say(&log, 2);
        assert_eq!(log.first(), 1, "should it overshoot, the log does");
        log.stored(4, false);
        assert_eq!(room(&log), Some(2));
    }

    #[tokio::test]
    async fn where_the_hold_is_lifted_all_is_seen_and_said_so_once_each_way() {
        let (log, place) = held();
        say(&log, 2);
        assert!(log.relax());
        assert!(!log.relax(), "it is already");
        assert_eq!(found(&place, 0), "Lifted(true)");
        assert_eq!(found(&place, 0), "2 events");
        log.stored(1, false);
        assert_eq!(found(&place, 2), "Lifted(false)");
        say(&log, 1);
        assert_eq!(found(&place, 2), "nothing");
        log.stored(3, false);
        assert_eq!(found(&place, 2), "1 events");
    }
}
