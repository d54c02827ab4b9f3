//! Small events of a busy stream, copied side by side into shared blocks.
//!
//! Events that come one by one from a handler each have an allocation of their own, which then lives as long as the event
//! is kept: many small ones, spread over memory. Side by side they cost one allocation for many, and what the handler
//! allocated is free again while it is still in the cache.

use bytes::{Bytes, BytesMut};

/// A larger event is worth an allocation of its own.
const SMALL_BYTES: usize = 2 * 1024;
/// What an event can keep alive at most besides itself: its neighbours, which are let go at about the same time.
const MAX_BLOCK: usize = 16 * 1024;

#[derive(Debug, Default)]
pub(super) struct Arena {
    block: BytesMut,
    /// Bytes of events in this turn, and in the one before.
    taken: usize,
    expected: usize,
}

impl Arena {
    /// A copy of `bytes` next to other events'. `None` where it is better left alone: it is large, or hardly any other
    /// is expected to come with it.
    pub(super) fn copy(&mut self, bytes: &[u8]) -> Option<Bytes> {
        let len = bytes.len();
        let before = self.taken;
        self.taken += len;
        if len > SMALL_BYTES || len == 0 {
            return None;
        }
        if self.block.capacity() < len {
            let room = self.expected.saturating_sub(before).max(before).min(MAX_BLOCK);
            if room < 4 * len {
                return None;
            }
            self.block = BytesMut::with_capacity(room);
        }
        self.block.extend_from_slice(bytes);
        Some(self.block.split().freeze())
    }

    /// What was there is taken. The next turn is expected to be like this one; until then, no room is held.
    pub(super) fn turn_over(&mut self) {
        self.expected = std::mem::take(&mut self.taken);
        self.block = BytesMut::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_stream_shares_nothing() {
        let mut arena = Arena::default();
        for _ in 0..10 {
            assert!(arena.copy(&[b'x'; 100]).is_none(), "one event a turn has nobody to share with");
            arena.turn_over();
        }
    }

    #[test]
    fn a_busy_stream_shares_blocks_of_a_bounded_size() {
        let mut arena = Arena::default();
        let mut shared = Vec::new();
        for turn in 0..4 {
            for event in 0_u8..200 {
                let bytes = [event; 100];
                if let Some(copy) = arena.copy(&bytes) {
                    assert_eq!(&copy[..], bytes);
                    shared.push(copy);
                } else {
                    assert!(turn == 0 && event < 8, "turn {turn}, event {event}");
                }
            }
            arena.turn_over();
            assert_eq!(arena.block.capacity(), 0);
        }
        let blocks = shared.windows(2).filter(|pair| pair[0].as_ptr_range().end != pair[1].as_ptr()).count() + 1;
        assert!(blocks < 20, "{blocks} blocks for 80,000 bytes");
        assert!(arena.copy(&[0; SMALL_BYTES + 1]).is_none(), "a large event is left alone");
    }
}
