//! The application's own routes. Nothing here knows of resuming: a stream is written once, from its start to its end.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::StreamExt;
use serde_json::json;
use tokio::time::{Instant, sleep_until};

use crate::correlation::{X_CORRELATION_ID, correlation_id};
use crate::draft::{draft, ground};
use crate::error::{BAD_INPUT, ErrorV1, NOT_FOUND, bad_input, error_v1};
use crate::grounding::Document;
use crate::input::{self, DraftGraphInput};
use crate::limits;
use crate::output::Diagnostics;
use crate::pace::{Due, Pace, timeline};
use crate::progress;
use crate::query::{self, MAX_PACE};
use crate::wire::frame;

/// Where drafts are streamed.
pub(crate) const STREAM_PATH: &str = "/assist/draft-graph/stream";
/// Where drafts are answered in one piece.
pub(crate) const JSON_PATH: &str = "/assist/draft-graph";

/// What the operator can set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) pace: Pace,
    pub(crate) body_limit: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { pace: Pace::default(), body_limit: limits::BODY_LIMIT_BYTES }
    }
}

/// All routes of the application, without any layer.
pub(crate) fn router(settings: Settings) -> Router {
    Router::new()
        .route(STREAM_PATH, get(stream_draft_of_query).post(stream_draft))
        .route(JSON_PATH, post(json_draft))
        .route("/healthz", get(health))
        .route("/v1/limits", get(tell_limits))
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(settings.body_limit))
        .with_state(Arc::new(settings))
}

type Sent = Result<Bytes, BytesRejection>;

async fn stream_draft(State(settings): State<Arc<Settings>>, parts: Parts, body: Sent) -> Response {
    stream(&settings, &parts, body)
}

/// The same for a browser's `EventSource`, which can send neither a body nor a header: `?brief=…` is all that can be asked.
/// The brief is part of the address then, and so of logs: a client that can `POST` should.
async fn stream_draft_of_query(State(settings): State<Arc<Settings>>, parts: Parts) -> Response {
    stream(&settings, &parts, Ok(query::as_body(&parts.uri).into()))
}

fn stream(settings: &Settings, parts: &Parts, body: Sent) -> Response {
    let id = correlation_id(parts);
    let asked = query::whole_number(&parts.uri, "pace_ms", MAX_PACE).map_err(|error| (StatusCode::BAD_REQUEST, error));
    let read = read(body, settings).and_then(|read| Ok((read, asked?)));
    let ((input, documents), asked) = match read {
        Ok(read) => read,
        Err((status, error)) => {
            // As the original answered: the status says it, and so does a stream, to clients that only look there.
            let events = [progress::STARTED.to_owned(), progress::refused(&error)];
            let body: String = events.iter().map(|data| frame(data)).collect();
            return event_stream(status, &id, Body::from(body));
        }
    };
    let draft = draft(&input, &documents);
    let pace = asked.map_or(settings.pace, |each| settings.pace.with_each(each));
    let events = timeline(&draft, pace, Diagnostics::whole(&id));
    event_stream(StatusCode::OK, &id, paced(events))
}

/// Sends each event when it is due. Dropping the body stops it.
fn paced(events: Vec<Due>) -> Body {
    let start = Instant::now();
    let frames = futures_util::stream::iter(events).then(move |due| async move {
        if !due.at.is_zero() {
            sleep_until(start + due.at).await;
        }
        Ok::<_, Infallible>(frame(&due.data))
    });
    Body::from_stream(frames)
}

async fn json_draft(State(settings): State<Arc<Settings>>, parts: Parts, body: Sent) -> Response {
    let id = correlation_id(&parts);
    let answer = if accepts_only_events(&parts.headers) {
        Err((StatusCode::UPGRADE_REQUIRED, use_the_stream()))
    } else {
        read(body, &settings).and_then(|(input, documents)| {
            draft(&input, &documents).result.map_err(|error| (StatusCode::BAD_REQUEST, error))
        })
    };
    let mut response = match answer {
        Ok(output) => {
            let body = progress::whole(&output, Diagnostics::whole(&id));
            ([(header::CONTENT_TYPE, "application/json")], body).into_response()
        }
        Err((status, error)) => (status, Json(error)).into_response(),
    };
    if response.status() == StatusCode::UPGRADE_REQUIRED {
        // RFC 9110 wants a 426 to say what to upgrade to.
        let sse = HeaderValue::from_static("sse");
        response.headers_mut().insert(header::UPGRADE, sse);
    }
    set_correlation_id(&mut response, &id);
    response
}

/// The input and its documents; or the status and the error to answer with.
fn read(body: Sent, settings: &Settings) -> Result<(DraftGraphInput, Vec<Document>), (StatusCode, ErrorV1)> {
    let body = body.map_err(|rejection| {
        let details = json!({ "max_bytes": settings.body_limit });
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                (StatusCode::PAYLOAD_TOO_LARGE, bad_input("Request body is too large", details))
            }
            _ => (StatusCode::BAD_REQUEST, error_v1(BAD_INPUT, "Request body could not be read", None)),
        }
    })?;
    let refuse = |error| (StatusCode::BAD_REQUEST, error);
    let input = input::parse(&body).map_err(refuse)?;
    let documents = ground(&input).map_err(refuse)?;
    Ok((input, documents))
}

async fn health(State(settings): State<Arc<Settings>>) -> Response {
    Json(json!({
        "ok": true,
        "service": "draft-graph",
        "version": env!("CARGO_PKG_VERSION"),
        "body_limit_bytes": settings.body_limit,
    }))
    .into_response()
}

async fn tell_limits(State(settings): State<Arc<Settings>>) -> Response {
    // Both namings of the caps: clients of the original look at either.
    Json(json!({
        "schema": "limits.v1",
        "graph_max_nodes": limits::MAX_NODES,
        "graph_max_edges": limits::MAX_EDGES,
        "max_nodes": limits::MAX_NODES,
        "max_edges": limits::MAX_EDGES,
        "body_limit_bytes": settings.body_limit,
        "brief_min_chars": limits::BRIEF_MIN_CHARS,
        "brief_max_chars": limits::BRIEF_MAX_CHARS,
        "attachment_max_chars": limits::ATTACHMENT_MAX_CHARS,
        "attachments_total_max_chars": limits::ATTACHMENTS_TOTAL_MAX_CHARS,
    }))
    .into_response()
}

async fn not_found(parts: Parts) -> Response {
    let error = error_v1(NOT_FOUND, "No such path", None);
    let mut response = (StatusCode::NOT_FOUND, Json(error)).into_response();
    set_correlation_id(&mut response, &correlation_id(&parts));
    response
}

async fn wrong_method(parts: Parts) -> Response {
    let error = error_v1(BAD_INPUT, "This path does not take this method", None);
    let mut response = (StatusCode::METHOD_NOT_ALLOWED, Json(error)).into_response();
    set_correlation_id(&mut response, &correlation_id(&parts));
    response
}

fn use_the_stream() -> ErrorV1 {
    bad_input(
        format!("This path answers JSON. For events use POST {STREAM_PATH}"),
        json!({
            "recommended_endpoint": STREAM_PATH,
            "migration_guide": format!(
                "Send the same body by POST to {STREAM_PATH}; no Accept header is needed there"
            ),
        }),
    )
}

/// Whether a client wants events and nothing else. One that takes JSON too gets JSON.
fn accepts_only_events(headers: &HeaderMap) -> bool {
    let accepted: Vec<String> = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|range| range.split(';').next().unwrap_or(range))
        .map(|range| range.trim().to_ascii_lowercase())
        .collect();
    let has = |range: &str| accepted.iter().any(|accepted| accepted == range);
    has("text/event-stream") && !["application/json", "application/*", "*/*"].into_iter().any(has)
}

fn event_stream(status: StatusCode, correlation_id: &str, body: Body) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
    let mut response = (status, headers, body).into_response();
    set_correlation_id(&mut response, correlation_id);
    response
}

fn set_correlation_id(response: &mut Response, id: &str) {
    if let Ok(value) = HeaderValue::from_str(id) {
        response.headers_mut().insert(X_CORRELATION_ID, value);
    }
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
