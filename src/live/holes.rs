//! What a live log has let go of between the first event that it keeps and the last.
//!
//! The events that are kept lie one behind the other; a few stretches say which seqs are missing in between. With none,
//! as always where the oldest goes first, an event's place is a subtraction.

use super::{Limits, state::State};
use crate::{Event, Step};
use std::{cmp::Reverse, collections::BinaryHeap};

/// Events that follow one another and are gone.
#[derive(Debug)]
struct Hole {
    from: u64,
    to: u64,
    /// How many are missing up to here, those of earlier holes included.
    missing: u64,
    /// The step at `to`.
    step: Step,
}

/// The holes of a log, in order.
#[derive(Debug, Default)]
pub(super) struct Holes(Vec<Hole>);

impl Holes {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many events are missing.
    pub(super) fn missing(&self) -> u64 {
        self.0.last().map_or(0, |hole| hole.missing)
    }

    /// How many are missing before this seq, and the last seq of the hole that it is in.
    fn before(&self, seq: u64) -> (u64, Option<u64>) {
        if self.0.is_empty() {
            return (0, None);
        }
        let at = self.0.partition_point(|hole| hole.to < seq);
        let missing = at.checked_sub(1).and_then(|before| self.0.get(before)).map_or(0, |hole| hole.missing);
        (missing, self.0.get(at).filter(|hole| hole.from <= seq).map(|hole| hole.to))
    }

    /// The step at a hole's last event.
    pub(super) fn step_at(&self, seq: u64) -> Option<&Step> {
        let at = self.0.partition_point(|hole| hole.to < seq);
        self.0.get(at).filter(|hole| hole.to == seq).map(|hole| &hole.step)
    }

    /// The first seq of the first hole behind this seq.
    pub(super) fn next_from(&self, seq: u64) -> Option<u64> {
        let at = self.0.partition_point(|hole| hole.to < seq);
        self.0.get(at).map(|hole| hole.from)
    }

    /// The last seq of the last hole.
    pub(super) fn last_to(&self) -> Option<u64> {
        self.0.last().map(|hole| hole.to)
    }

    /// Events that are gone; no hole holds them yet.
    pub(super) fn add(&mut self, from: u64, to: u64, step: Step) {
        let at = self.0.partition_point(|hole| hole.to < from);
        let joins_before =
            at.checked_sub(1).filter(|before| self.0.get(*before).is_some_and(|hole| hole.to + 1 == from));
        let joins_behind = self.0.get(at).is_some_and(|hole| hole.from == to + 1);
        match (joins_before, joins_behind) {
            (Some(before), true) => {
                let behind = self.0.remove(at);
                if let Some(hole) = self.0.get_mut(before) {
                    (hole.to, hole.step) = (behind.to, behind.step);
                }
            }
            (Some(before), false) => {
                if let Some(hole) = self.0.get_mut(before) {
                    (hole.to, hole.step) = (to, step);
                }
            }
            (None, true) => {
                if let Some(hole) = self.0.get_mut(at) {
                    hole.from = from;
                }
            }
            (None, false) => self.0.insert(at, Hole { from, to, missing: 0, step }),
        }
        self.count();
    }

    /// The log begins with `first` now. Where that is in a hole, that one goes: it is in front, and its last step with it.
    pub(super) fn begin_at(&mut self, first: u64) -> Option<(u64, Step)> {
        let hole = self.0.first().filter(|hole| hole.from <= first)?;
        let begin = (hole.to + 1, hole.step.clone());
        self.0.remove(0);
        self.count();
        Some(begin)
    }

    fn count(&mut self) {
        let mut missing = 0;
        for hole in &mut self.0 {
            missing += hole.to + 1 - hole.from;
            hole.missing = missing;
        }
    }
}

impl State {
    /// Where this event is in the log, or else the next one that is kept.
    pub(super) fn place_of(&self, seq: u64) -> usize {
        let (missing, hole) = self.holes.before(seq);
        let seq = hole.map_or(seq, |to| to + 1);
        let missing = if hole.is_some() { self.holes.before(seq).0 } else { missing };
        usize::try_from(seq.saturating_sub(self.first + missing)).unwrap_or(usize::MAX)
    }

    /// The first event that is kept from this one on; one more than the last where there is none.
    pub(super) fn kept_from(&self, seq: u64) -> u64 {
        let seq = seq.max(self.first);
        self.holes.before(seq).1.map_or(seq, |to| to + 1).min(self.last() + 1)
    }

    /// The seq of the event at this place.
    pub(super) fn seq_at(&self, place: usize) -> u64 {
        let mut seq = self.first + place as u64;
        for hole in &self.holes.0 {
            if hole.from > seq {
                break;
            }
            seq += hole.to + 1 - hole.from;
        }
        seq
    }

    /// Lets go of the least precious that is over the limits, but of neither the newest nor what the furthest reader has
    /// yet to take; and of the oldest until so many bytes are free, as the store may hold that.
    pub(super) fn let_go_by_priority(&mut self, limits: Limits, to_free: usize) {
        let keep_from = self.furthest().map_or(u64::MAX, |cursor| cursor + 1);
        let mut free = 0;
        while self.events.len() > 1 && self.first < keep_from {
            let is_over = self.events.len() > limits.events || self.bytes > limits.bytes;
            let gone = match is_over {
                true => self.least(keep_from).and_then(|place| self.remove(place, true)),
                false if free < to_free => self.remove(0, self.first > self.stored),
                false => None,
            };
            let Some(size) = gone else { return };
            free += size;
        }
    }

    /// The place of the oldest of the least precious events, but for the newest and those from `keep_from` on.
    fn least(&self, keep_from: u64) -> Option<usize> {
        let may_go = self.place_of(keep_from.min(self.last()));
        let mut least: Option<(usize, u8)> = None;
        for (place, kept) in self.events.range(..may_go.min(self.events.len())).enumerate() {
            if least.is_none_or(|(_, priority)| kept.event.priority < priority) {
                least = Some((place, kept.event.priority));
                if kept.event.priority == 0 {
                    break;
                }
            }
        }
        least.map(|(place, _)| place)
    }

    /// Lets go of the event at this place; for good, or of what the store still holds. Its size.
    fn remove(&mut self, place: usize, for_good: bool) -> Option<usize> {
        let seq = self.seq_at(place);
        let is_thinned = self.first_kept() < self.first;
        let kept = self.events.remove(place)?;
        let size = kept.event.size();
        self.bytes -= size;
        if place == 0 {
            self.begin_behind(seq, kept.event.step);
        } else {
            self.holes.add(seq, seq, kept.event.step);
        }
        if for_good {
            let totals = &mut self.totals;
            totals.trimmed += 1;
            totals.trimmed_bytes += size as u64;
            let holes = totals.holes.unwrap_or(0);
            let in_front = place == 0 && !is_thinned;
            totals.holes = Some(if in_front { totals.trimmed.saturating_sub(self.first - 1) } else { holes + 1 });
        }
        Some(size)
    }

    /// The first event that is kept, here or in the store.
    pub(super) fn first_kept(&self) -> u64 {
        self.totals.trimmed.saturating_sub(self.totals.holes.unwrap_or(0)) + 1
    }

    /// What of these limits is left for what the furthest reader has yet to take, which stays whatever its priority: so
    /// much less as precious events take that it has got already, or these would have to go. But never less than an
    /// eighth, so that the source goes on.
    pub(super) fn beside_the_precious(&self, limits: Limits) -> Limits {
        if self.totals.holes.is_none() {
            return limits;
        }
        let taken = self.furthest().map_or(0, |cursor| self.place_of(cursor + 1));
        let precious = self.events.range(..taken.min(self.events.len())).filter(|kept| kept.event.priority > 0);
        let (events, bytes) = precious.fold((0, 0), |(events, bytes), kept| (events + 1, bytes + kept.event.size()));
        let left = |limit: usize, taken: usize| limit.saturating_sub(taken).max(limit / 8).max(1);
        Limits { events: left(limits.events, events), bytes: left(limits.bytes, bytes) }
    }

    /// One more than the last event that is gone once these are added, should all go that can.
    pub(super) fn hole_with(&self, more: &[Event], limits: Limits, to_free: usize) -> u64 {
        let gone = self.holes.last_to().unwrap_or(self.first - 1);
        let mut events = self.events.len() + more.len();
        let mut bytes = self.bytes + more.iter().map(Event::size).sum::<usize>();
        let is_over = |events, bytes| events > limits.events || bytes > limits.bytes;
        if !is_over(events, bytes) && to_free == 0 {
            return gone + 1;
        }
        // The newest stays. Few go of many: they are not sorted all.
        let all = self.events.iter().map(|kept| &kept.event).chain(more).take(events.saturating_sub(1)).enumerate();
        let mut going: BinaryHeap<_> =
            all.map(|(place, event)| Reverse((event.priority, place, event.size()))).collect();
        let (mut free, mut last) = (0, None);
        while is_over(events, bytes)
            && let Some(Reverse((_, place, size))) = going.pop()
        {
            (events, bytes, free) = (events - 1, bytes - size, free + size);
            last = last.max(Some(place));
        }
        if free < to_free {
            let mut rest: Vec<_> = going.into_iter().map(|Reverse((_, place, size))| (place, size)).collect();
            rest.sort_unstable();
            for (place, size) in rest {
                if free >= to_free {
                    break;
                }
                free += size;
                last = last.max(Some(place));
            }
        }
        let last = last.map(|place| match place.checked_sub(self.events.len()) {
            None => self.seq_at(place),
            Some(new) => self.last() + 1 + new as u64,
        });
        gone.max(last.unwrap_or(0)) + 1
    }

    /// The log's first event, this one, has gone.
    pub(super) fn begin_behind(&mut self, seq: u64, step: Step) {
        (self.first, self.step_before) = (seq + 1, step);
        if !self.holes.is_empty()
            && let Some((first, step)) = self.holes.begin_at(seq + 1)
        {
            (self.first, self.step_before) = (first, step);
        }
    }
}
