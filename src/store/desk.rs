//! What other nodes may ask of the node that runs a stream, and how often its clients have come back.

use crate::RequestId;
use std::{
    fmt,
    sync::{Mutex, PoisonError, Weak},
};

/// What one node asks another about a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ask {
    /// Do you run this stream, or look after it still?
    Known,
    /// The same, and: its log is gone or has a hole. Look after it.
    Amiss,
    /// The same, and: stop its handler. Whether that was done is seen in the log, by its end.
    Cancel,
}

/// Who on a node is asked about the streams that it runs. The layer is; a store only passes questions on.
pub trait Desk: Send + Sync {
    /// Whether the stream is run or still looked after here. It has to answer at once.
    fn asked(&self, id: RequestId, ask: Ask) -> bool;
}

/// How often clients have come back to a stream, on all nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Resumed responses.
    pub resumes: u64,
    /// The events that these brought back.
    pub recovered: u64,
}

impl Counts {
    /// The larger of each.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self { resumes: self.resumes.max(other.resumes), recovered: self.recovered.max(other.recovered) }
    }
}

impl std::ops::Add for Counts {
    type Output = Self;

    fn add(self, more: Self) -> Self {
        Self { resumes: self.resumes + more.resumes, recovered: self.recovered + more.recovered }
    }
}

/// The desks of one store: its layers'.
#[derive(Default)]
pub(super) struct Desks(Mutex<Vec<Weak<dyn Desk>>>);

impl Desks {
    pub(super) fn add(&self, desk: Weak<dyn Desk>) {
        let mut desks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        desks.retain(|desk| desk.strong_count() > 0);
        desks.push(desk);
    }

    /// Whether one of them knows the stream.
    pub(super) fn asked(&self, id: RequestId, ask: Ask) -> bool {
        let desks = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        desks.iter().filter_map(Weak::upgrade).any(|desk| desk.asked(id, ask))
    }
}

impl fmt::Debug for Desks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Desks")
    }
}
