//! How a stream is doing.

use std::fmt;

/// What a stream is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// Nothing has been asked of it yet.
    Idle,
    /// A request is on its way.
    Connecting,
    /// A response is being read.
    Open,
    /// The connection was lost, or refused. It comes back by itself, after a while.
    Waiting,
    /// The stream is over.
    Ended,
    /// It has yielded an error, and is over for this client.
    Failed,
}

impl State {
    /// The word for it, the same in all clients.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Connecting => "connecting",
            Self::Open => "open",
            Self::Waiting => "waiting",
            Self::Ended => "ended",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a stream has been through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Events that came and were yielded.
    pub received: u64,
    /// Events that came again and were dropped.
    pub duplicates: u64,
    /// How many times it set out to come back.
    pub reconnects: u64,
    /// Events that are gone, by the gaps that were announced.
    pub missed: u64,
}
