//! What a metric is, and the values that several of them share.

use super::Name;

/// One metric that the layer keeps.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Metric {
    /// Its name as the recorder gets it, with the unit at the end.
    pub name: &'static str,
    /// What kind of metric it is.
    pub kind: MetricKind,
    /// What it is told apart by, where it is.
    pub label: Option<Label>,
    /// The event of the log that it belongs to, where it does.
    pub event: Option<Name>,
    /// For a histogram: the upper bounds of buckets that suit it, for exporters that want to be told. Else empty.
    pub buckets: &'static [f64],
    /// What it says, in a sentence.
    pub help: &'static str,
}

/// The kinds of [`Metric`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MetricKind {
    /// Only ever grows, from 0 at the process's start.
    Counter,
    /// How things stand now. Several layers of one process add up.
    Gauge,
    /// How values are spread.
    Histogram,
}

impl MetricKind {
    /// The kind in a word, in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// What a [`Metric`] is told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Label {
    /// The label's name.
    pub name: &'static str,
    /// All the values that it can have, each of which is there from the start. None for `store`: its value is the kind
    /// of the layer's store, [`ResumeLayer::store_kind`](crate::ResumeLayer::store_kind).
    pub values: &'static [&'static str],
}

/// Bounds for what a client waits for, in seconds.
pub(super) const WAITS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Bounds for round trips to a store, in seconds.
pub(super) const TRIPS: &[f64] =
    &[0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
/// Bounds for how long streams and responses last, in seconds.
pub(super) const LIVES: &[f64] = &[0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0];
/// Bounds for numbers of events.
pub(super) const EVENTS: &[f64] =
    &[0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0, 8192.0];

/// How streams end, in the words of [`EndStatus`](crate::EndStatus).
pub(super) const ENDS: &[&str] = &["complete", "error", "interrupted", "cancelled"];
/// Why events are missing.
pub(super) const GAPS: &[&str] = &["trimmed", "oversize", "lost"];

/// The codes of [`ResumeError`](crate::ResumeError).
pub(super) const REFUSALS: &[&str] = &[
    "missing_token",
    "malformed_token",
    "bad_cursor",
    "bad_mode",
    "invalid_signature",
    "token_expired",
    "not_allowed",
    "resume_disabled",
    "stream_expired",
    "step_incompatible",
    "too_many_readers",
    "store_unavailable",
    "bad_idempotency_key",
    "in_progress",
    "key_reused",
    "no_runtime",
];
