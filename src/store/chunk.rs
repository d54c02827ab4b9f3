//! The unit in which a log is written: a few events with what a reader has to know of them.

use crate::{EndStatus, Event, NodeId, Step};
use std::{fmt, sync::Arc};

/// The most events that one chunk holds. Small enough that trimming by chunks stays close to the limit,
/// large enough that a store's cost an event is that of a sixteenth of an entry.
pub const CHUNK_MAX_EVENTS: usize = 16;

/// The bytes of events at which a chunk is full; a larger event has a chunk of its own.
pub const CHUNK_MAX_BYTES: usize = 16 * 1024;

/// What was written to a stream's log up to some point, trimmed or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// The bytes of all events.
    pub bytes: u64,
    /// The events that were let go.
    pub trimmed: u64,
    /// The bytes of the events that were let go.
    pub trimmed_bytes: u64,
    /// Of the events that were let go, those behind the first one that is kept; `None` for a log that lets go of its
    /// oldest only, so that a hole in it is damage.
    pub holes: Option<u64>,
}

/// 1 to 16 events of up to 16 KiB, or one larger event; or none, at a log's begin and with its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The seq of the first event; one more than the last one before where there is none.
    pub first: u64,
    /// The node that wrote it.
    pub writer: NodeId,
    /// When it was written, in milliseconds since the epoch.
    pub at: u64,
    /// The step in force before the first event.
    pub step_before: Step,
    /// What was written in all, this chunk included.
    pub totals: Totals,
    /// The events.
    pub events: Arc<[Event]>,
    /// How the stream ended, in its last chunk.
    pub end: Option<EndStatus>,
}

impl Chunk {
    /// The seq of the last event; of the one before the chunk where there is none in it.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.first + self.events.len() as u64 - 1
    }

    /// The step at the last event.
    #[must_use]
    pub fn step_after(&self) -> Step {
        self.events.last().map_or(&self.step_before, |event| &event.step).clone()
    }
}

/// Bytes that are not a chunk which this version of the crate can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError(pub(crate) &'static str);

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a chunk: {}", self.0)
    }
}

impl std::error::Error for DecodeError {}
