//! What a reader has fetched from the store and not written yet.

use crate::{store::Chunk, usage::Usage};
use std::{collections::VecDeque, sync::Arc};

/// Chunks, counted with all else that the node holds.
pub(super) struct Pages {
    chunks: VecDeque<(Chunk, usize)>,
    usage: Arc<Usage>,
}

impl Pages {
    pub(super) const fn new(usage: Arc<Usage>) -> Self {
        Self { chunks: VecDeque::new(), usage }
    }

    pub(super) fn put(&mut self, chunks: Vec<Chunk>) {
        self.clear();
        let sized = |chunk: Chunk| {
            let size = chunk.events.iter().map(crate::Event::size).sum();
            (chunk, size)
        };
        self.chunks = chunks.into_iter().map(sized).collect();
        self.usage.change(self.chunks.iter().map(|(_, size)| size).sum(), 0);
    }

    pub(super) fn pop(&mut self) -> Option<Chunk> {
        let (chunk, size) = self.chunks.pop_front()?;
        self.usage.change(0, size);
        Some(chunk)
    }

    /// Lets go of them on a node that is full: a client that takes nothing must not hold them for ever, and one that
    /// reads on has them fetched again.
    pub(super) fn yield_to_others(&mut self) {
        if !self.chunks.is_empty() && self.usage.is_full() {
            self.clear();
        }
    }

    /// One that was popped comes first again.
    pub(super) fn put_back(&mut self, chunk: Chunk) {
        let size = chunk.events.iter().map(crate::Event::size).sum();
        self.usage.change(size, 0);
        self.chunks.push_front((chunk, size));
    }

    pub(super) fn clear(&mut self) {
        self.usage.change(0, self.chunks.iter().map(|(_, size)| size).sum());
        self.chunks = VecDeque::new();
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.clear();
    }
}
