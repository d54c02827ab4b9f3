//! The layer's spans. A stream is one, a resume is one, and so is each question to the store.
//!
//! None is above `debug`, and what happens for each batch of events is at `trace`.

use crate::RequestId;
use tracing::{Span, debug_span, field::Empty, trace_span};

/// A stream, as a child of its first request's span.
pub(crate) fn record(request_id: RequestId, correlation_id: Option<&str>) -> Span {
    debug_span!(target: "tower_resume", "resume.record", %request_id, correlation_id, status = Empty, events = Empty)
}

/// A resume, as a child of its own request's span.
pub(crate) fn replay(request_id: RequestId, from_seq: u64, mode: &'static str) -> Span {
    debug_span!(
        target: "tower_resume",
        "resume.replay",
        %request_id,
        from_seq,
        mode,
        correlation_id = Empty,
        replayed = Empty,
        to_seq = Empty,
    )
}

/// A question about a stream.
pub(crate) fn store(op: &'static str, store: &'static str, request_id: RequestId) -> Span {
    debug_span!(target: "tower_resume", "resume.store", op, store, %request_id)
}

/// A question about a stream, of those that are asked all the time.
pub(crate) fn store_often(op: &'static str, store: &'static str, request_id: RequestId) -> Span {
    trace_span!(target: "tower_resume", "resume.store", op, store, %request_id)
}

/// A question about no stream in particular.
pub(crate) fn store_at_large(op: &'static str, store: &'static str) -> Span {
    trace_span!(target: "tower_resume", "resume.store", op, store)
}
