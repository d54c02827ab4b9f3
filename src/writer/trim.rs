//! What of a stream's log in the store is let go of: whole chunks, the oldest, or the oldest of the least precious.

use super::Writer;
use crate::{Eviction, store::Totals};

/// A chunk that the store holds.
pub(super) struct Held {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) bytes: u64,
    pub(super) priority: u8,
}

impl Writer {
    pub(super) fn by_priority(&self) -> bool {
        self.node.settings.eviction == Eviction::Priority
    }

    /// Lets chunks go that are over the limits, and notes in the new ones what went.
    pub(super) fn trim(&mut self) {
        let settings = &self.node.settings;
        let (max_events, max_bytes) = (settings.max_events as u64, settings.max_bytes as u64);
        while (self.held_events > max_events || self.held_bytes > max_bytes) && self.held.len() > 1 {
            let place = if self.by_priority() { self.least() } else { 0 };
            let Some(gone) = self.held.remove(place) else { break };
            self.held_events -= gone.last + 1 - gone.first;
            self.held_bytes -= gone.bytes;
            if place > 0 {
                self.let_go.push(gone.last);
            }
        }
        let (let_go, held) = (&self.let_go, &self.held);
        if !let_go.is_empty() {
            // What goes before it was ever written need not be.
            self.sent.retain(|chunk| chunk.events.is_empty() || !let_go.contains(&chunk.last()));
        }
        let Some((front, last)) = held.front().zip(self.sent.last()) else { return };
        let trimmed = last.last().saturating_sub(self.held_events);
        let trimmed_bytes = last.totals.bytes.saturating_sub(self.held_bytes);
        let holes = self.by_priority().then(|| trimmed.saturating_sub(front.first - 1));
        for chunk in &mut self.sent {
            let bytes = chunk.totals.bytes;
            chunk.totals = Totals { bytes, trimmed, trimmed_bytes, holes };
        }
        self.log.trimmed_in_store(Totals { trimmed, trimmed_bytes, holes, ..Totals::default() });
    }

    /// The place of the oldest of the least precious chunks, but for the newest.
    fn least(&self) -> usize {
        let but_newest = self.held.iter().take(self.held.len().saturating_sub(1)).enumerate();
        but_newest.min_by_key(|(_, held)| held.priority).map_or(0, |(place, _)| place)
    }
}
