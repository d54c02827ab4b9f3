//! The memory that a node's streams take, over all of them, against what they may.

use crate::telemetry::Dial;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that are held for streams: events, what passes, snapshots, pages on their way to a reader, and what each event
/// and each stream takes besides.
#[derive(Debug)]
pub(crate) struct Usage {
    bytes: AtomicUsize,
    max: usize,
    dial: Dial,
}

impl Usage {
    pub(crate) const fn new(max: usize, dial: Dial) -> Self {
        Self { bytes: AtomicUsize::new(0), max, dial }
    }

    pub(crate) fn change(&self, added: usize, gone: usize) {
        if added >= gone {
            self.bytes.fetch_add(added - gone, Ordering::Relaxed);
            self.dial.raise(added - gone);
        } else {
            self.bytes.fetch_sub(gone - added, Ordering::Relaxed);
            self.dial.lower(gone - added);
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) >= self.max
    }
}
