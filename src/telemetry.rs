//! What the layer tells those who operate it: one enum of events, each a `tracing` event with typed fields, and each
//! counted by a metric (feature `metrics`).
//!
//! No field ever holds a token, a secret or a payload, and no label an id.
//!
//! The metrics go to the recorder of the [`metrics`](https://docs.rs/metrics) facade that is installed when the layer
//! first wraps a service. Install yours before that: what was looked up without one counts nowhere.
//!
//! ```
//! # #[cfg(feature = "metrics")] {
//! use tower_resume::telemetry::{METRICS, MetricKind};
//!
//! // Exporters want to be told the buckets of a histogram: here they are, one list for each.
//! for metric in METRICS.iter().filter(|metric| metric.kind == MetricKind::Histogram) {
//!     println!("{}: {:?}", metric.name, metric.buckets);
//! }
//! # }
//! ```
//!
//! The log's side needs no more than a subscriber of `tracing`, with the [target](TARGET) at `info`, or at `debug` to see each
//! stream begin, resume and end.

#[cfg(feature = "metrics")]
mod meter;
#[cfg(feature = "metrics")]
mod metric;
mod names;
pub(crate) mod spans;
mod table;
#[cfg(not(feature = "metrics"))]
#[path = "telemetry/unmetered.rs"]
mod meter;
mod warnings;

#[cfg(feature = "metrics")]
pub use metric::{Label, Metric, MetricKind};
pub use names::Name;
#[cfg(feature = "metrics")]
pub use table::METRICS;

pub(crate) use meter::{Dial, Level, Stopwatch};
pub(crate) use table::Id;
pub(crate) use warnings::{warn_keys_of_nobody, warn_no_principal, warn_no_secret};

use crate::{
    Drained, EndStatus, Event, NodeId, RequestId, Step,
    control::GapReason,
    store::{StoreError, StoreErrorKind},
};
use meter::Meter;
use std::error::Error;
use tokio::time::Instant;
use tracing::{debug, info, warn};

/// The target of every event.
pub const TARGET: &str = "tower_resume";

macro_rules! report {
    ($level:ident, $name:ident, $($field:tt)*) => {
        $level!(target: "tower_resume", event = Name::$name.as_str(), $($field)*)
    };
}

/// Reports what happens on one node.
#[derive(Debug)]
pub(crate) struct Telemetry {
    meter: Meter,
    store: &'static str,
}

impl Telemetry {
    pub(crate) fn new(store: &'static str) -> Self {
        Self { meter: Meter::new(store), store }
    }

    /// A share of a gauge, 0 for now.
    pub(crate) fn level(&self, id: Id) -> Level {
        self.meter.level(id)
    }

    /// A gauge that many share.
    pub(crate) fn dial(&self, id: Id) -> Dial {
        self.meter.dial(id)
    }

    /// Not an event: it happens all the time.
    pub(crate) fn recorded(&self, batch: &[Event]) {
        self.meter.count(Id::Events, batch.len() as u64);
        self.meter.count(Id::EventBytes, batch.iter().map(|event| event.size() as u64).sum());
    }

    /// Not an event: the store has answered an append, or has failed to.
    pub(crate) fn append_answered(&self, since: Stopwatch) {
        self.meter.time_by(Id::Append, self.store, since);
    }

    /// Not an event: the stream's first event is on its way to its first client.
    pub(crate) fn first_event(&self, since: Stopwatch) {
        self.meter.time(Id::FirstEvent, since);
    }

    pub(crate) fn resume_issued(&self, request_id: RequestId, seq: u64, step: &Step) {
        report!(debug, ResumeIssued, %request_id, seq, step = step.as_str());
        self.meter.count(Id::Issued, 1);
    }

    pub(crate) fn resume_attempt(&self, request_id: RequestId, from_seq: u64, step: &Step, mode: &'static str) {
        report!(debug, ResumeAttempt, %request_id, from_seq, step = step.as_str(), mode);
        self.meter.count_by(Id::Attempt, mode, 1);
    }

    pub(crate) fn resume_success(&self, request_id: RequestId, replayed: Replayed) {
        let Replayed { events, from_seq, to_seq, since } = replayed;
        report!(debug, ResumeSuccess, %request_id, replayed_count = events, from_seq, to_seq);
        report!(debug, ResumeReplayCount, %request_id, count = events);
        self.meter.count(Id::Success, 1);
        self.meter.size(Id::ReplayEvents, events);
        self.meter.time(Id::Replay, since);
    }

    pub(crate) fn resume_expired(&self, request_id: Option<RequestId>, reason: &'static str) {
        let request_id = request_id.map(tracing::field::display);
        report!(debug, ResumeExpired, request_id, reason);
        self.meter.count_by(Id::Expired, reason, 1);
    }

    pub(crate) fn resume_incompatible(&self, request_id: RequestId, expected_step: &Step, actual_step: &Step) {
        let (expected_step, actual_step) = (expected_step.as_str(), actual_step.as_str());
        report!(debug, ResumeIncompatible, %request_id, expected_step, actual_step);
        self.meter.count(Id::Incompatible, 1);
    }

    pub(crate) fn resume_refused(&self, code: &'static str) {
        report!(debug, ResumeRefused, code);
        self.meter.count_by(Id::Refused, code, 1);
    }

    pub(crate) fn cancel_attempt(&self, request_id: RequestId) {
        report!(debug, CancelAttempt, %request_id);
        self.meter.count(Id::CancelAttempt, 1);
    }

    pub(crate) fn cancel_result(&self, request_id: RequestId, result: &'static str) {
        report!(debug, CancelResult, %request_id, result);
        self.meter.count_by(Id::CancelResult, result, 1);
    }

    pub(crate) fn partial_recovery(&self, request_id: RequestId, recovery_type: &'static str) {
        report!(debug, PartialRecovery, %request_id, recovery_type);
        self.meter.count_by(Id::PartialRecovery, recovery_type, 1);
    }

    pub(crate) fn buffer_trimmed(&self, request_id: RequestId, trimmed: u64) {
        report!(debug, BufferTrimmed, %request_id, trimmed);
        self.meter.count(Id::BufferTrimmed, trimmed);
    }

    pub(crate) fn snapshot_created(&self, request_id: RequestId, seq: u64, status: Option<EndStatus>) {
        report!(debug, SnapshotCreated, %request_id, seq, status = status.map_or("running", EndStatus::as_str));
        self.meter.count(Id::SnapshotCreated, 1);
    }

    pub(crate) fn live_start(&self, request_id: RequestId, from_seq: u64) {
        report!(debug, ResumeLiveStart, %request_id, from_seq);
        self.meter.count(Id::LiveStart, 1);
    }

    pub(crate) fn reader_left(&self, request_id: RequestId, seq: u64, ended: bool, since: Instant) {
        let (state, duration_ms) = (if ended { "ended" } else { "gone" }, crate::clock::millis(since.elapsed()));
        report!(debug, ResumeLiveEnd, %request_id, seq, state, duration_ms);
        self.meter.time_by(Id::Response, state, Stopwatch::from(since));
    }

    pub(crate) fn gap(&self, request_id: RequestId, from: u64, to: u64, reason: GapReason) {
        report!(debug, Gap, %request_id, from, to, reason = ?reason);
        self.meter.count_by(Id::Gap, reason.as_str(), 1);
        self.meter.count_by(Id::GapEvents, reason.as_str(), (to + 1).saturating_sub(from));
    }

    pub(crate) fn oversized(&self, request_id: RequestId, seq: u64, bytes: usize) {
        report!(warn, EventOversized, %request_id, seq, bytes);
        self.meter.count(Id::EventOversized, 1);
    }

    pub(crate) fn unfinished_block(&self, request_id: RequestId) {
        report!(warn, UnfinishedBlock, %request_id, "the handler's body ended within an event, which was dropped");
        self.meter.count(Id::UnfinishedBlock, 1);
    }

    pub(crate) fn degraded(&self, kind: &'static str) {
        report!(debug, DegradedMode, kind);
        self.meter.count_by(Id::DegradedMode, kind, 1);
    }

    pub(crate) fn store_failed(&self, request_id: RequestId, error: &StoreError) {
        let cause = error.source().map(tracing::field::display);
        report!(warn, StoreFailed, %request_id, kind = ?error.kind(), error = %error, cause);
        let kind = match error.kind() {
            StoreErrorKind::Unavailable => "unavailable",
            StoreErrorKind::Refused => "refused",
            StoreErrorKind::Corrupt => "corrupt",
        };
        self.meter.count_by(Id::StoreFailed, kind, 1);
    }

    pub(crate) fn store_health(&self, up: bool) {
        report!(warn, StoreHealth, up);
        self.meter.count_by(Id::StoreHealth, if up { "up" } else { "down" }, 1);
    }

    pub(crate) fn healed(&self, request_id: RequestId, events: u64) {
        report!(debug, LogHealed, %request_id, events);
        self.meter.count(Id::LogHealed, 1);
    }

    pub(crate) fn fenced(&self, request_id: RequestId, status: EndStatus) {
        report!(warn, StreamFenced, %request_id, status = status.as_str());
        self.meter.count_by(Id::StreamFenced, status.as_str(), 1);
    }

    pub(crate) fn writer_dead(&self, request_id: RequestId, node: NodeId, ended: Option<EndStatus>) {
        let status = ended.map_or("gone", EndStatus::as_str);
        report!(warn, WriterDead, %request_id, %node, status);
        self.meter.count_by(Id::WriterDead, status, 1);
    }

    pub(crate) fn reader_stalled(&self, request_id: RequestId, readers: usize) {
        report!(debug, ReaderStalled, %request_id, readers);
        self.meter.count(Id::ReaderStalled, readers as u64);
    }

    pub(crate) fn drain_began(&self, streams: usize, readers: usize) {
        report!(info, DrainBegan, streams, readers);
        self.meter.count(Id::DrainBegan, 1);
    }

    pub(crate) fn reader_sent_away(&self, request_id: RequestId, seq: u64) {
        report!(debug, ReaderSentAway, %request_id, seq);
        self.meter.count(Id::ReaderSentAway, 1);
    }

    pub(crate) fn drain_done(&self, drained: Drained) {
        let Drained { interrupted, unstored, open } = drained;
        report!(info, DrainDone, interrupted, unstored, open);
        self.meter.count(Id::DrainDone, 1);
    }

    pub(crate) fn handler_failed(&self, request_id: RequestId, error: &(dyn Error + Send + Sync + 'static)) {
        // The error's own words may hold what the handler was sent.
        report!(warn, HandlerFailed, %request_id, "the handler's body failed");
        tracing::trace!(target: "tower_resume", %request_id, %error, "the handler's body failed");
        self.meter.count(Id::HandlerFailed, 1);
    }

    pub(crate) fn stream_ended(&self, request_id: RequestId, status: EndStatus, events: u64, since: Stopwatch) {
        report!(debug, StreamEnded, %request_id, status = status.as_str(), events);
        self.meter.count_by(Id::StreamEnded, status.as_str(), 1);
        self.meter.time(Id::Stream, since);
    }

    pub(crate) fn key_joined(&self, request_id: RequestId) {
        report!(debug, KeyJoined, %request_id);
        self.meter.count(Id::KeyJoined, 1);
    }

    pub(crate) fn claim_taken(&self, request_id: RequestId, before: RequestId, node: NodeId) {
        report!(debug, ClaimTaken, %request_id, %before, %node);
        self.meter.count(Id::ClaimTaken, 1);
    }

    pub(crate) fn name_lost(&self, request_id: RequestId) {
        report!(debug, NameLost, %request_id);
        self.meter.count(Id::NameLost, 1);
    }

    pub(crate) fn attached(&self, request_id: RequestId) {
        report!(debug, Attached, %request_id);
        self.meter.count(Id::Attached, 1);
    }
}

/// What a resume has brought by the time it goes on live, or ends.
pub(crate) struct Replayed {
    pub(crate) events: u64,
    pub(crate) from_seq: u64,
    pub(crate) to_seq: u64,
    pub(crate) since: Stopwatch,
}
