//! How a stream ends.

use serde::Serialize;
use std::fmt;

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum EndStatus {
    /// The handler's body ended by itself.
    Complete,
    /// The handler's body failed or panicked, or the application's classifier called the result an error.
    Error,
    /// The node that ran the handler went away, or the stream outlived a limit.
    Interrupted,
    /// Somebody with the right to cancelled it.
    Cancelled,
}

impl EndStatus {
    /// The word that goes over the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Error => "error",
            Self::Interrupted => "interrupted",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for EndStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
