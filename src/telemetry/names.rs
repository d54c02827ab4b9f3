//! The names of the events, frozen.

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
