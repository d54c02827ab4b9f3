//! What the layer tells those who operate it: one enum of events, each a `tracing` event with typed fields.
//!
//! No field ever holds a token, a secret or a payload.

use crate::{Drained, EndStatus, NodeId, RequestId, Step, control::GapReason, store::StoreError};
use std::{
    error::Error,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use tracing::{debug, info, warn};

/// The target of every event.
pub const TARGET: &str = "tower_resume";

/// Every event that the layer reports, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Name {
    /// A stream began, and its client has its first token.
    ResumeIssued,
    /// A client came back with a good token.
    ResumeAttempt,
    /// All that was buffered for it was sent.
    ResumeSuccess,
    /// A token was past its time, or its stream gone.
    ResumeExpired,
    /// A step did not fit.
    ResumeIncompatible,
    /// How many events a resume brought back.
    ResumeReplayCount,
    /// A snapshot stood in for events that were gone.
    PartialRecovery,
    /// Events were let go to stay within the limits.
    BufferTrimmed,
    /// A snapshot was made.
    SnapshotCreated,
    /// A client goes on live after its replay.
    ResumeLiveStart,
    /// A response has ended, with or without the stream's end.
    ResumeLiveEnd,
    /// A resume was refused, by the error's code.
    ResumeRefused,
    /// A client with the right to cancels a stream.
    CancelAttempt,
    /// Whether the stream is over, or was asked to end.
    CancelResult,
    /// A client was told of events that it will never get.
    Gap,
    /// An event was too large to keep.
    EventOversized,
    /// A handler's body ended in the middle of an event.
    UnfinishedBlock,
    /// A stream goes on without something that the layer is there for.
    DegradedMode,
    /// The store did not do what it was asked.
    StoreFailed,
    /// The store was lost or has come back.
    StoreHealth,
    /// A log that the store had lost was written again.
    LogHealed,
    /// Somebody else has ended a stream of this node's.
    StreamFenced,
    /// The node that ran a stream is dead, and the stream was ended in its place.
    WriterDead,
    /// A reader took nothing for so long that the stream goes on without waiting for it.
    ReaderStalled,
    /// The node is drained: clients are sent away, where they can go on elsewhere.
    DrainBegan,
    /// A client was sent away.
    ReaderSentAway,
    /// The drain is done, with what is left.
    DrainDone,
    /// A handler's body failed or panicked.
    HandlerFailed,
    /// A stream is over.
    StreamEnded,
    /// A request with an idempotency key has joined the stream of an earlier one.
    KeyJoined,
    /// The claim of a request with a key was taken over: its node is dead, or its stream gone.
    ClaimTaken,
    /// A name that a stream had belongs to another one now.
    NameLost,
    /// A handler has attached its caller to a stream by name.
    Attached,
}

impl Name {
    /// Every name, in order.
    pub const ALL: [Self; 33] = [
        Self::ResumeIssued,
        Self::ResumeAttempt,
        Self::ResumeSuccess,
        Self::ResumeExpired,
        Self::ResumeIncompatible,
        Self::ResumeReplayCount,
        Self::PartialRecovery,
        Self::BufferTrimmed,
        Self::SnapshotCreated,
        Self::ResumeLiveStart,
        Self::ResumeLiveEnd,
        Self::ResumeRefused,
        Self::CancelAttempt,
        Self::CancelResult,
        Self::Gap,
        Self::EventOversized,
        Self::UnfinishedBlock,
        Self::DegradedMode,
        Self::StoreFailed,
        Self::StoreHealth,
        Self::LogHealed,
        Self::StreamFenced,
        Self::WriterDead,
        Self::ReaderStalled,
        Self::DrainBegan,
        Self::ReaderSentAway,
        Self::DrainDone,
        Self::HandlerFailed,
        Self::StreamEnded,
        Self::KeyJoined,
        Self::ClaimTaken,
        Self::NameLost,
        Self::Attached,
    ];

    /// The name as it is logged, in the field `event`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ResumeIssued => "resume_issued",
            Self::ResumeAttempt => "resume_attempt",
            Self::ResumeSuccess => "resume_success",
            Self::ResumeExpired => "resume_expired",
            Self::ResumeIncompatible => "resume_incompatible",
            Self::ResumeReplayCount => "resume_replay_count",
            Self::PartialRecovery => "partial_recovery",
            Self::BufferTrimmed => "buffer_trimmed",
            Self::SnapshotCreated => "snapshot_created",
            Self::ResumeLiveStart => "resume_live_start",
            Self::ResumeLiveEnd => "resume_live_end",
            Self::ResumeRefused => "resume_refused",
            Self::CancelAttempt => "cancel_attempt",
            Self::CancelResult => "cancel_result",
            Self::Gap => "gap",
            Self::EventOversized => "event_oversized",
            Self::UnfinishedBlock => "unfinished_block",
            Self::DegradedMode => "degraded_mode",
            Self::StoreFailed => "store_failed",
            Self::StoreHealth => "store_health",
            Self::LogHealed => "log_healed",
            Self::StreamFenced => "stream_fenced",
            Self::WriterDead => "writer_dead",
            Self::ReaderStalled => "reader_stalled",
            Self::DrainBegan => "drain_began",
            Self::ReaderSentAway => "reader_sent_away",
            Self::DrainDone => "drain_done",
            Self::HandlerFailed => "handler_failed",
            Self::StreamEnded => "stream_ended",
            Self::KeyJoined => "key_joined",
            Self::ClaimTaken => "claim_taken",
            Self::NameLost => "name_lost",
            Self::Attached => "attached",
        }
    }
}

macro_rules! report {
    ($level:ident, $name:ident, $($field:tt)*) => {
        $level!(target: "tower_resume", event = Name::$name.as_str(), $($field)*)
    };
}

/// Reports what happens on one node.
#[derive(Debug, Default)]
pub(crate) struct Telemetry {
    warned_encoded: AtomicBool,
}

impl Telemetry {
    pub(crate) fn resume_issued(&self, request_id: RequestId, seq: u64, step: &Step) {
        report!(debug, ResumeIssued, %request_id, seq, step = step.as_str());
    }

    pub(crate) fn resume_attempt(&self, request_id: RequestId, from_seq: u64, step: &Step, mode: &'static str) {
        report!(debug, ResumeAttempt, %request_id, from_seq, step = step.as_str(), mode);
    }

    pub(crate) fn resume_success(&self, request_id: RequestId, replayed_count: u64, from_seq: u64, to_seq: u64) {
        report!(debug, ResumeSuccess, %request_id, replayed_count, from_seq, to_seq);
        report!(debug, ResumeReplayCount, %request_id, count = replayed_count);
    }

    pub(crate) fn resume_expired(&self, request_id: Option<RequestId>, reason: &'static str) {
        let request_id = request_id.map(tracing::field::display);
        report!(debug, ResumeExpired, request_id, reason);
    }

    pub(crate) fn resume_incompatible(&self, request_id: RequestId, expected_step: &Step, actual_step: &Step) {
        let (expected_step, actual_step) = (expected_step.as_str(), actual_step.as_str());
        report!(debug, ResumeIncompatible, %request_id, expected_step, actual_step);
    }

    pub(crate) fn resume_refused(&self, code: &'static str) {
        report!(debug, ResumeRefused, code);
    }

    pub(crate) fn cancel_attempt(&self, request_id: RequestId) {
        report!(debug, CancelAttempt, %request_id);
    }

    pub(crate) fn cancel_result(&self, request_id: RequestId, result: &'static str) {
        report!(debug, CancelResult, %request_id, result);
    }

    pub(crate) fn partial_recovery(&self, request_id: RequestId, recovery_type: &'static str) {
        report!(debug, PartialRecovery, %request_id, recovery_type);
    }

    pub(crate) fn buffer_trimmed(&self, request_id: RequestId, trimmed: u64) {
        report!(debug, BufferTrimmed, %request_id, trimmed);
    }

    pub(crate) fn snapshot_created(&self, request_id: RequestId, seq: u64, status: Option<EndStatus>) {
        report!(debug, SnapshotCreated, %request_id, seq, status = status.map_or("running", EndStatus::as_str));
    }

    pub(crate) fn live_start(&self, request_id: RequestId, from_seq: u64) {
        report!(debug, ResumeLiveStart, %request_id, from_seq);
    }

    pub(crate) fn reader_left(&self, request_id: RequestId, seq: u64, ended: bool, after: Duration) {
        let (state, duration_ms) = (if ended { "ended" } else { "gone" }, crate::clock::millis(after));
        report!(debug, ResumeLiveEnd, %request_id, seq, state, duration_ms);
    }

    pub(crate) fn gap(&self, request_id: RequestId, from: u64, to: u64, reason: GapReason) {
        report!(debug, Gap, %request_id, from, to, reason = ?reason);
    }

    pub(crate) fn oversized(&self, request_id: RequestId, seq: u64, bytes: usize) {
        report!(warn, EventOversized, %request_id, seq, bytes);
    }

    pub(crate) fn unfinished_block(&self, request_id: RequestId) {
        report!(warn, UnfinishedBlock, %request_id, "the handler's body ended within an event, which was dropped");
    }

    pub(crate) fn degraded(&self, kind: &'static str) {
        report!(debug, DegradedMode, kind);
    }

    pub(crate) fn store_failed(&self, request_id: RequestId, error: &StoreError) {
        let cause = error.source().map(tracing::field::display);
        report!(warn, StoreFailed, %request_id, kind = ?error.kind(), error = %error, cause);
    }

    pub(crate) fn store_health(&self, up: bool) {
        report!(warn, StoreHealth, up);
    }

    pub(crate) fn healed(&self, request_id: RequestId, events: u64) {
        report!(debug, LogHealed, %request_id, events);
    }

    pub(crate) fn fenced(&self, request_id: RequestId, status: EndStatus) {
        report!(warn, StreamFenced, %request_id, status = status.as_str());
    }

    pub(crate) fn writer_dead(&self, request_id: RequestId, node: NodeId, ended: Option<EndStatus>) {
        let status = ended.map_or("gone", EndStatus::as_str);
        report!(warn, WriterDead, %request_id, %node, status);
    }

    pub(crate) fn reader_stalled(&self, request_id: RequestId, readers: usize) {
        report!(debug, ReaderStalled, %request_id, readers);
    }

    pub(crate) fn drain_began(&self, streams: usize, readers: usize) {
        report!(info, DrainBegan, streams, readers);
    }

    pub(crate) fn reader_sent_away(&self, request_id: RequestId, seq: u64) {
        report!(debug, ReaderSentAway, %request_id, seq);
    }

    pub(crate) fn drain_done(&self, drained: Drained) {
        let Drained { interrupted, unstored, open } = drained;
        report!(info, DrainDone, interrupted, unstored, open);
    }

    pub(crate) fn handler_failed(&self, request_id: RequestId, error: &(dyn Error + Send + Sync + 'static)) {
        // The error's own words may hold what the handler was sent.
        report!(warn, HandlerFailed, %request_id, "the handler's body failed");
        tracing::trace!(target: "tower_resume", %request_id, %error, "the handler's body failed");
    }

    pub(crate) fn stream_ended(&self, request_id: RequestId, status: EndStatus, events: u64) {
        report!(debug, StreamEnded, %request_id, status = status.as_str(), events);
    }

    pub(crate) fn key_joined(&self, request_id: RequestId) {
        report!(debug, KeyJoined, %request_id);
    }

    pub(crate) fn claim_taken(&self, request_id: RequestId, before: RequestId, node: NodeId) {
        report!(debug, ClaimTaken, %request_id, %before, %node);
    }

    pub(crate) fn name_lost(&self, request_id: RequestId) {
        report!(debug, NameLost, %request_id);
    }

    pub(crate) fn attached(&self, request_id: RequestId) {
        report!(debug, Attached, %request_id);
    }

    /// An encoded event stream passes unrecorded; said once.
    pub(crate) fn encoded(&self) {
        if !self.warned_encoded.swap(true, Ordering::Relaxed) {
            warn!(
                target: "tower_resume",
                "an event stream with a Content-Encoding passes unrecorded: put the compression layer outside of \
                 ResumeLayer (in axum, add it after)"
            );
        }
    }
}

/// Said once a layer: the likeliest mistake of all.
pub(crate) fn warn_no_secret() {
    warn!(
        target: "tower_resume",
        "no secret is configured: streams pass as they are and cannot be resumed. Give ResumeLayer its Keys, or set \
         SSE_RESUME_SECRET where it is made by from_env"
    );
}

/// Said once a layer that looks at nobody's key.
pub(crate) fn warn_keys_of_nobody() {
    warn!(
        target: "tower_resume",
        "idempotency is on, but nothing says whose a key is, so no Idempotency-Key is looked at: set \
         ResumeLayer::principal_with or ResumeLayer::authorize_with, or Idempotency::shared_keys if whoever brings a key \
         may join its stream"
    );
}

/// Said once a layer: what it means that nobody is asked who they are.
pub(crate) fn warn_no_principal() {
    warn!(
        target: "tower_resume",
        "no principal rule and no authorisation hook: whoever holds a stream's token can read that stream until the \
         token expires. Set ResumeLayer::principal_with or ResumeLayer::authorize_with, or \
         ResumeLayer::tokens_are_enough if that is what you want"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_frozen() {
        let names = Name::ALL.map(Name::as_str);
        assert_eq!(
            names,
            [
                "resume_issued",
                "resume_attempt",
                "resume_success",
                "resume_expired",
                "resume_incompatible",
                "resume_replay_count",
                "partial_recovery",
                "buffer_trimmed",
                "snapshot_created",
                "resume_live_start",
                "resume_live_end",
                "resume_refused",
                "cancel_attempt",
                "cancel_result",
                "gap",
                "event_oversized",
                "unfinished_block",
                "degraded_mode",
                "store_failed",
                "store_health",
                "log_healed",
                "stream_fenced",
                "writer_dead",
                "reader_stalled",
                "drain_began",
                "reader_sent_away",
                "drain_done",
                "handler_failed",
                "stream_ended",
                "key_joined",
                "claim_taken",
                "name_lost",
                "attached",
            ]
        );
    }
}
