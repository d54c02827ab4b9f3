//! What a client's test says it has seen, and what it is answered.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One thing that a client yielded, in order; an error is what it threw.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum Seen {
    Event { seq: Option<u64>, event: String, data: String },
    Gap { from: u64, to: u64, reason: String },
    Snapshot { seq: u64, status: String, event: String, data: String },
    End { status: String, seq: u64 },
    Restart,
    Error { code: String, status: Option<u16> },
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Report {
    pub(crate) seen: Vec<Seen>,
    pub(crate) state: String,
    #[serde(default)]
    pub(crate) stats: Value,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Verdict {
    pub(crate) passed: bool,
    pub(crate) problems: Vec<String>,
    pub(crate) facts: Figures,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Figures {
    pub(crate) connections: u64,
    pub(crate) cuts: u64,
    pub(crate) requests: u64,
    pub(crate) bytes: u64,
}
