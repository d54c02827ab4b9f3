//! The bytes that came in last, and what is kept of the block in progress.

use super::arena::Arena;
use bytes::Bytes;
use std::{mem, ops::Range};

/// An assembly buffer up to this size is kept for the next event that comes in pieces.
pub(super) const REUSED_BYTES: usize = 1024;

#[derive(Debug)]
pub(super) struct Buffer {
    /// How much of a block is held at most, the last input aside.
    limit: usize,
    /// What came in last.
    input: Bytes,
    /// How far that is read.
    at: usize,
    /// A stretch of it that belongs to the block in progress, behind what `carried` holds.
    kept: Range<usize>,
    /// What the block in progress holds of earlier input, or of before a line that was taken out.
    carried: Vec<u8>,
    arena: Arena,
}

impl Buffer {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, input: Bytes::new(), at: 0, kept: 0..0, carried: Vec::new(), arena: Arena::default() }
    }

    pub(super) fn push(&mut self, input: Bytes) {
        let unread = self.input.slice(self.at..);
        self.carry();
        self.input = if unread.is_empty() { input } else { [unread, input].concat().into() };
        self.at = 0;
    }

    /// What is not read yet.
    pub(super) fn rest(&self) -> &[u8] {
        self.input.get(self.at..).unwrap_or_default()
    }

    /// All is read: lets go of the input.
    pub(super) fn release(&mut self) {
        self.carry();
        self.input = Bytes::new();
        self.at = 0;
    }

    /// Reads on, past bytes that are no part of the block.
    pub(super) const fn skip(&mut self, len: usize) {
        self.at += len;
    }

    /// Reads on, over bytes that are a part of the block.
    pub(super) fn keep(&mut self, len: usize) {
        if self.kept.end != self.at {
            self.carry();
        }
        if self.kept.is_empty() {
            self.kept.start = self.at;
        }
        self.at += len;
        self.kept.end = self.at;
    }

    /// Adds to the block what is not in the input, or is no longer.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.carry();
        self.carried.extend_from_slice(bytes);
    }

    /// How much of the block is here.
    pub(super) fn pending(&self) -> usize {
        self.carried.len() + self.kept.len()
    }

    /// What is here of the block, in a buffer that is not much larger than that.
    pub(super) fn take(&mut self) -> Bytes {
        if !self.carried.is_empty() {
            self.carry();
            return self.take_carried();
        }
        let kept = mem::take(&mut self.kept);
        if let Some(copy) = self.input.get(kept.clone()).and_then(|kept| self.arena.copy(kept)) {
            return copy;
        }
        if kept.len() < self.input.len().div_ceil(2) {
            return Bytes::copy_from_slice(self.input.get(kept).unwrap_or_default());
        }
        if kept.start == 0 && self.at == self.input.len() {
            // The common case of an event that fills its input: no reference is counted.
            let mut bytes = mem::take(&mut self.input);
            self.at = 0;
            bytes.truncate(kept.end);
            return bytes;
        }
        self.input.slice(kept)
    }

    fn take_carried(&mut self) -> Bytes {
        if self.carried.capacity() - self.carried.len() <= self.carried.len() / 4 {
            return mem::take(&mut self.carried).into();
        }
        let bytes = Bytes::copy_from_slice(&self.carried);
        self.carried.clear();
        if self.carried.capacity() > REUSED_BYTES {
            self.carried = Vec::new();
        }
        bytes
    }

    /// Puts what is kept of the input with what is carried. The input is not needed for it any longer.
    fn carry(&mut self) {
        let kept = mem::take(&mut self.kept);
        let needed = self.carried.len() + kept.len();
        if needed > self.carried.capacity() {
            // Doubled, as a `Vec` does by itself, but not past what will ever be held.
            let room = self.carried.capacity().saturating_mul(2).min(self.limit).max(needed);
            self.carried.reserve_exact(room - self.carried.len());
        }
        self.carried.extend_from_slice(self.input.get(kept).unwrap_or_default());
    }

    /// What was there is taken, and nothing more for the moment.
    pub(super) fn turn_over(&mut self) {
        self.arena.turn_over();
    }

    pub(super) fn carried_capacity(&self) -> usize {
        self.carried.capacity()
    }
}
