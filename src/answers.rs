//! What the layer answers by itself that is not a stream: errors, 202, 204, 405, `wait`, status.

use crate::{
    RequestId, ResumeError,
    body::ResumeBody,
    clock::millis,
    control::{Control, Style, jittered},
    live::Summary,
    node::Node,
    response::{NO_STORE, Recorded, resumed_head, stream_headers},
    settings::EventIds,
    store::StreamHead,
    token::{Cursor, Signer},
};
use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode, Version,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE},
};
use serde::Serialize;

/// When a token that is made now expires.
pub(crate) fn expires_at(node: &Node) -> u64 {
    node.now() + millis(node.settings.token_ttl)
}

/// An error as a response of the layer's.
pub(crate) fn refuse<B>(node: &Node, error: ResumeError, version: Version) -> Response<ResumeBody<B>> {
    let status = if error.is_gone() { node.settings.gone_status } else { error.status() };
    refuse_with(node, error, status, version)
}

pub(crate) fn refuse_with<B>(
    node: &Node,
    error: ResumeError,
    status: StatusCode,
    version: Version,
) -> Response<ResumeBody<B>> {
    node.telemetry.resume_refused(error.code());
    let mut response = error.respond(status, version, node.settings.render_error.as_deref());
    response.extensions_mut().insert(Recorded);
    response.map(ResumeBody::whole)
}

/// 405, at the resume endpoint: a token allows to read and to cancel, by these methods.
pub(crate) fn method_not_allowed<B>() -> Response<ResumeBody<B>> {
    let mut response = Response::new(ResumeBody::whole(Bytes::new()));
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, POST, DELETE"));
    response.extensions_mut().insert(Recorded);
    response
}

/// 204: the stream is over. It stops an `EventSource`, and tells who cancels that nothing runs any more.
pub(crate) fn no_content<B>() -> Response<ResumeBody<B>> {
    let mut response = Response::new(ResumeBody::whole(Bytes::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(NO_STORE));
    response.extensions_mut().insert(Recorded);
    response
}

/// 202: a stream was asked to end, and has not yet.
pub(crate) fn accepted<B>() -> Response<ResumeBody<B>> {
    let mut response = no_content();
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

/// In place of a status that would make an `EventSource` give up for good: come back, with this cursor.
pub(crate) fn wait<B>(node: &Node, mut claims: Cursor, signer: &Signer, error: ResumeError) -> Response<ResumeBody<B>> {
    node.telemetry.resume_refused(error.code());
    claims.expires_at = expires_at(node);
    let token = signer.sign(&claims);
    let settings = &node.settings;
    let with_ids = settings.event_ids != EventIds::Off;
    let style = Style { name: &settings.control_name, as_comments: false, with_ids };
    let control = Control::Wait { token: token.as_str(), reason: error.code() };
    let mut out = Vec::new();
    style.write(&mut out, &control, token.as_bytes(), Some(jittered(settings.retry)));
    let mut response = Response::new(ResumeBody::cut(out.into()));
    resumed_head(response.headers_mut(), claims.request_id, &token);
    response.extensions_mut().insert(Recorded);
    response
}

/// The body of `status`; times in milliseconds since the epoch.
#[derive(Serialize)]
struct Status<'a> {
    request_id: RequestId,
    status: &'a str,
    step: &'a str,
    first: u64,
    last: u64,
    from: u64,
    behind: u64,
    buffered_events: u64,
    buffered_bytes: u64,
    trimmed: u64,
    snapshot: bool,
    started_at: u64,
    updated_at: u64,
    expires_at: u64,
}

pub(crate) fn status<B>(
    node: &Node,
    signer: &Signer,
    head: &StreamHead,
    summary: &Summary,
    mut claims: Cursor,
    snapshot: bool,
) -> Response<ResumeBody<B>> {
    let status = Status {
        request_id: claims.request_id,
        status: summary.end.map_or("running", crate::EndStatus::as_str),
        step: summary.step.as_str(),
        first: summary.first,
        last: summary.last,
        from: claims.seq,
        behind: summary.last.saturating_sub(claims.seq),
        buffered_events: summary.last.saturating_sub(summary.trimmed),
        buffered_bytes: summary.bytes,
        trimmed: summary.trimmed,
        snapshot,
        started_at: head.started_at,
        updated_at: summary.updated_at,
        expires_at: claims.expires_at,
    };
    let json = serde_json::to_vec(&status).unwrap_or_default();
    claims.expires_at = expires_at(node);
    let mut response = Response::new(ResumeBody::whole(json.into()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(NO_STORE));
    stream_headers(headers, claims.request_id, &signer.sign(&claims));
    response.extensions_mut().insert(Recorded);
    response
}
