//! Every metric of the layer, in one table: what there is, what it counts, and by what.
//!
//! A counter that belongs to an event has that event's name: `gap` in the log is `tower_resume_gap_total` here (and
//! `resume_attempt` is `tower_resume_attempt_total`). The exceptions are events that say how long or how many: those are
//! histograms, whose count is the event's.

#[cfg(feature = "metrics")]
use super::{
    Name,
    metric::{ENDS, EVENTS, GAPS, LIVES, Label, Metric, MetricKind, REFUSALS, TRIPS, WAITS},
};

macro_rules! table {
    (label) => { None };
    (label $label:ident $values:expr) => { Some(Label { name: stringify!($label), values: $values }) };
    (event) => { None };
    (event $event:ident) => { Some(Name::$event) };
    (buckets) => { &[] };
    (buckets $buckets:ident) => { $buckets };
    ($(
        $id:ident: $kind:ident $name:literal $(by $label:ident $values:expr)?, $(of $event:ident,)? $(in $buckets:ident,)?
        $help:literal;
    )*) => {
        /// A metric, for this crate's own use.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Id {
            $($id),*
        }

        /// Every metric that the layer keeps, with the feature `metrics`: for dashboards, alerts, and exporters that want
        /// to know more than the `metrics` facade tells them, such as buckets.
        ///
        /// ```
        /// use tower_resume::telemetry::{METRICS, MetricKind};
        ///
        /// for metric in METRICS.iter().filter(|metric| metric.kind == MetricKind::Histogram) {
        ///     // With metrics-exporter-prometheus: `set_buckets_for_metric(Matcher::Full(metric.name.into()), …)`.
        ///     println!("{}: {:?}", metric.name, metric.buckets);
        /// }
        /// ```
        #[cfg(feature = "metrics")]
        #[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
        pub const METRICS: &[Metric] = &[$(
            Metric {
                name: $name,
                kind: MetricKind::$kind,
                label: table!(label $($label $values)?),
                event: table!(event $($event)?),
                buckets: table!(buckets $($buckets)?),
                help: $help,
            }
        ),*];
    };
}

table! {
    Issued: Counter "tower_resume_issued_total", of ResumeIssued,
        "Streams that began, each with its client's first token.";
    Attempt: Counter "tower_resume_attempt_total" by mode &["live", "replay", "status"], of ResumeAttempt,
        "Clients that came back with a good token.";
    Success: Counter "tower_resume_success_total", of ResumeSuccess,
        "Resumes that brought all that was buffered.";
    Expired: Counter "tower_resume_expired_total" by reason &["token", "stream"], of ResumeExpired,
        "Resumes that came too late: the token was past its time, or the stream gone.";
    Incompatible: Counter "tower_resume_incompatible_total", of ResumeIncompatible,
        "Resumes whose step did not fit the stream's.";
    ReplayEvents: Histogram "tower_resume_replay_events", of ResumeReplayCount, in EVENTS,
        "Events that a resume brought before it went on live.";
    PartialRecovery: Counter "tower_resume_partial_recovery_total" by kind &["snapshot", "state"], of PartialRecovery,
        "Snapshots that stood in for events that were gone: of a stream that is over, or of one that still runs.";
    BufferTrimmed: Counter "tower_resume_buffer_trimmed_total", of BufferTrimmed,
        "Events let go for good, to stay within a stream's limits or the node's.";
    SnapshotCreated: Counter "tower_resume_snapshot_created_total", of SnapshotCreated,
        "Snapshots that were made.";
    LiveStart: Counter "tower_resume_live_start_total", of ResumeLiveStart,
        "Resumed clients that went on live after their replay.";
    Response: Histogram "tower_resume_response_seconds" by state &["ended", "gone"], of ResumeLiveEnd, in LIVES,
        "How long responses lasted: to the stream's end, or until the client was gone before it.";
    Refused: Counter "tower_resume_refused_total" by code REFUSALS, of ResumeRefused,
        "Requests that the layer refused, by the error's code.";
    CancelAttempt: Counter "tower_resume_cancel_attempt_total", of CancelAttempt,
        "Cancels by clients with the right to.";
    CancelResult: Counter "tower_resume_cancel_result_total" by result &["ended", "asked"], of CancelResult,
        "Cancels after which the stream was over, or asked to end.";
    Gap: Counter "tower_resume_gap_total" by reason GAPS, of Gap,
        "Times that a client was told of events that it will never get.";
    GapEvents: Counter "tower_resume_gap_events_total" by reason GAPS,
        "Events that clients were told they will never get; each client counts.";
    EventOversized: Counter "tower_resume_event_oversized_total", of EventOversized,
        "Events too large to keep.";
    UnfinishedBlock: Counter "tower_resume_unfinished_block_total", of UnfinishedBlock,
        "Handlers whose body ended within an event, which was dropped.";
    DegradedMode: Counter "tower_resume_degraded_mode_total" by kind &["no-secret", "store", "capacity", "relaxed"],
        of DegradedMode,
        "Streams that go on without something the layer is there for.";
    StoreFailed: Counter "tower_resume_store_failed_total" by kind &["unavailable", "refused", "corrupt"],
        of StoreFailed,
        "Times that the store began to fail a stream; the tries that follow do not count again.";
    StoreHealth: Counter "tower_resume_store_health_total" by state &["up", "down"], of StoreHealth,
        "Times that the store was lost, or came back.";
    LogHealed: Counter "tower_resume_log_healed_total", of LogHealed,
        "Logs that the store had lost and that were written again.";
    StreamFenced: Counter "tower_resume_stream_fenced_total"
        by status ENDS, of StreamFenced,
        "Streams of this node that somebody else has ended, and how.";
    WriterDead: Counter "tower_resume_writer_dead_total"
        by status &["complete", "error", "interrupted", "cancelled", "gone"], of WriterDead,
        "Streams of dead nodes that were ended in their place, and how they end.";
    ReaderStalled: Counter "tower_resume_reader_stalled_total", of ReaderStalled,
        "Readers that took nothing for so long that their stream goes on without waiting for them.";
    DrainBegan: Counter "tower_resume_drain_began_total", of DrainBegan,
        "Drains that began.";
    ReaderSentAway: Counter "tower_resume_reader_sent_away_total", of ReaderSentAway,
        "Clients that a drain sent away, to go on elsewhere.";
    DrainDone: Counter "tower_resume_drain_done_total", of DrainDone,
        "Drains that are done.";
    HandlerFailed: Counter "tower_resume_handler_failed_total", of HandlerFailed,
        "Handlers whose body failed or panicked.";
    StreamEnded: Counter "tower_resume_stream_ended_total"
        by status ENDS, of StreamEnded,
        "Streams that are over, and how they ended.";
    KeyJoined: Counter "tower_resume_key_joined_total", of KeyJoined,
        "Requests with an idempotency key that joined the stream of an earlier one.";
    ClaimTaken: Counter "tower_resume_claim_taken_total", of ClaimTaken,
        "Claims of idempotency keys that were taken over, as their node was dead or their stream gone.";
    NameLost: Counter "tower_resume_name_lost_total", of NameLost,
        "Names of streams that belong to another stream now.";
    Attached: Counter "tower_resume_attached_total", of Attached,
        "Callers that a handler attached to a stream by its name.";
    Events: Counter "tower_resume_events_total",
        "Events that were recorded.";
    EventBytes: Counter "tower_resume_event_bytes_total",
        "Bytes of the events that were recorded.";
    FirstEvent: Histogram "tower_resume_first_event_seconds", in WAITS,
        "From a request's arrival to the stream's first event on its way to the client.";
    Replay: Histogram "tower_resume_replay_seconds", in WAITS,
        "From a resume's arrival to the last of what was buffered on its way to the client.";
    Append: Histogram "tower_resume_append_seconds" by store &[], in TRIPS,
        "Round trips of appends to the store, failed ones included.";
    Stream: Histogram "tower_resume_stream_seconds", in LIVES,
        "How long streams ran, from their handler's response to their end.";
    OpenStreams: Gauge "tower_resume_open_streams",
        "Streams that run here.";
    Readers: Gauge "tower_resume_readers",
        "Responses that are being read here: first clients, resumed ones and followers.";
    BufferedBytes: Gauge "tower_resume_buffered_bytes",
        "Bytes of memory held for streams, against the node's limit.";
    Unacknowledged: Gauge "tower_resume_unacknowledged_events" by store &[],
        "Events that this node has taken in and its store has not acknowledged.";
    StoreDown: Gauge "tower_resume_store_down" by store &[],
        "Layers of this process whose store cannot be reached: 0 is healthy.";
    MaxStreams: Gauge "tower_resume_max_streams",
        "Streams that may run here at a time.";
    MaxReaders: Gauge "tower_resume_max_readers",
        "Responses that may be read here at a time.";
    MaxBufferedBytes: Gauge "tower_resume_max_buffered_bytes",
        "Bytes of memory that may be held for streams before new ones pass unrecorded.";
}

#[cfg(all(test, feature = "metrics"))]
mod tests {
    use super::*;
    use crate::ResumeError;
    use std::collections::BTreeSet;

    #[test]
    fn each_event_has_one_metric_and_a_counter_has_its_name() {
        for event in Name::ALL {
            let metrics: Vec<_> = METRICS.iter().filter(|metric| metric.event == Some(event)).collect();
            let [metric] = metrics[..] else { panic!("{event:?}: {metrics:?}") };
            let name = event.as_str();
            match metric.kind {
                MetricKind::Counter => {
                    let name = name.strip_prefix("resume_").unwrap_or(name);
                    assert_eq!(metric.name, format!("tower_resume_{name}_total"));
                }
                kind => assert_eq!(kind, MetricKind::Histogram, "{name}"),
            }
        }
    }

    #[test]
    fn names_say_the_kind_and_the_unit_and_labels_are_few() {
        let names: BTreeSet<_> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), METRICS.len());
        for metric in METRICS {
            let Metric { name, kind, label, buckets, help, .. } = *metric;
            assert!(name.starts_with("tower_resume_"), "{name}");
            assert_eq!(name.ends_with("_total"), kind == MetricKind::Counter, "{name}");
            if kind == MetricKind::Histogram {
                assert!(name.ends_with("_seconds") || name.ends_with("_events"), "{name}");
            }
            assert_eq!(buckets.is_empty(), kind != MetricKind::Histogram, "{name}");
            assert!(buckets.is_sorted_by(|a, b| a < b), "{name}: {buckets:?}");
            assert!(help.ends_with('.') && !help.contains('\n'), "{name}: {help}");
            if let Some(Label { values, .. }) = label {
                assert!(values.len() <= 16, "{name}");
                assert_eq!(values.iter().collect::<BTreeSet<_>>().len(), values.len(), "{name}");
            }
        }
    }

    /// What refuses a request, and is counted by its code: all of them. A new one does not compile here before it is in.
    #[test]
    fn every_refusal_is_in_the_table() {
        use ResumeError as E;
        let in_order = |error| match error {
            E::MissingToken => 0,
            E::MalformedToken => 1,
            E::BadCursor => 2,
            E::BadMode => 3,
            E::InvalidSignature => 4,
            E::TokenExpired => 5,
            E::NotAllowed => 6,
            E::ResumeDisabled => 7,
            E::StreamExpired => 8,
            E::StepIncompatible => 9,
            E::TooManyReaders => 10,
            E::StoreUnavailable => 11,
            E::BadIdempotencyKey => 12,
            E::InProgress => 13,
            E::KeyReused => 14,
            E::NoRuntime => 15,
        };
        let all = [
            E::MissingToken,
            E::MalformedToken,
            E::BadCursor,
            E::BadMode,
            E::InvalidSignature,
            E::TokenExpired,
            E::NotAllowed,
            E::ResumeDisabled,
            E::StreamExpired,
            E::StepIncompatible,
            E::TooManyReaders,
            E::StoreUnavailable,
            E::BadIdempotencyKey,
            E::InProgress,
            E::KeyReused,
            E::NoRuntime,
        ];
        assert_eq!(all.map(in_order).to_vec(), (0..all.len()).collect::<Vec<_>>());
        assert_eq!(all.map(ResumeError::code), REFUSALS);
    }
}
