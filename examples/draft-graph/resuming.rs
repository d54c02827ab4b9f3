//! All that makes the application resumable: the layer, and what it is told of this application's events.

use std::error::Error;

use axum::Router;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Response, StatusCode};
use axum::routing::get;
use serde::Serialize;
use tower_resume::store::AnyStore;
use tower_resume::{Class, EventView, Idempotent, Keys, ResumeError, ResumeLayer, SnapshotFold};

use crate::correlation::X_CORRELATION_ID;
use crate::once;
use crate::watch::{self, WATCH_PATH};
use crate::wire;

/// Where streams are resumed.
pub(crate) const RESUME_PATH: &str = "/assist/draft-graph/resume";
/// The query parameter that takes a token where no header can be sent.
const QUERY_PARAM: &str = "resume";

/// The layer as the environment says. Where no secret is set, one is made for this process alone: the second value.
pub(crate) fn layer() -> Result<(ResumeLayer<AnyStore, Idempotent>, bool), Box<dyn Error>> {
    let layer = ResumeLayer::from_env()?;
    let made = !layer.has_keys();
    let layer = if made { layer.keys(Keys::new(development_secret()?)?) } else { layer };
    Ok((configure(layer), made))
}

/// What the layer is told of this application.
fn configure(layer: ResumeLayer<AnyStore>) -> ResumeLayer<AnyStore, Idempotent> {
    layer
        .scope("draft-graph")
        // Nobody logs in here; whoever has a draft's token may see that draft.
        .tokens_are_enough()
        .classify_with(classify)
        .snapshot_with(|_| WholeDraft::default())
        .render_error_with(render_error)
        // For the page's `EventSource` after a reload. Nobody else should want it: tokens in addresses end up in logs.
        .query_param(QUERY_PARAM)
        .idempotency(once::keys())
}

/// The application under the layer, with the resume endpoint beside it.
pub(crate) fn resumable(app: Router, layer: ResumeLayer<AnyStore, Idempotent>) -> Router {
    let endpoint = layer.endpoint();
    app.route(WATCH_PATH, get(watch::watch))
        .layer(axum::middleware::from_fn(watch::name))
        .layer(layer)
        .layer(axum::middleware::from_fn(once::note_body))
        .route_service(RESUME_PATH, endpoint)
        .layer(axum::middleware::map_response(correlate))
}

/// A resumed response names its stream as the first one did.
async fn correlate(mut response: axum::response::Response) -> axum::response::Response {
    let headers = response.headers_mut();
    if let Some(id) = headers.get("x-resume-stream").cloned() {
        headers.entry(X_CORRELATION_ID).or_insert(id);
    }
    response
}

/// Good for one process on one machine, whose tokens nobody else has to honour.
fn development_secret() -> Result<[u8; 32], getrandom::Error> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)?;
    Ok(secret)
}

fn classify(event: &EventView<'_>) -> Class {
    let data = event.data();
    let data = std::str::from_utf8(&data).unwrap_or_default();
    let class = match wire::step_of(data) {
        Some(step) if event.name() == wire::STAGE => Class::new().step(step.as_str()),
        _ => Class::new(),
    };
    if wire::is_complete(event.name(), data) && wire::is_error(data) { class.failed() } else { class }
}

/// The whole result is the payload of COMPLETE: a late client gets it as `event: complete`, without the stage around it.
#[derive(Default)]
struct WholeDraft(Option<Bytes>);

impl SnapshotFold for WholeDraft {
    fn event(&mut self, event: &EventView<'_>) {
        let data = event.data();
        let data = std::str::from_utf8(&data).unwrap_or_default();
        if wire::is_complete(event.name(), data) {
            self.0 = wire::snapshot_payload(data).map(Bytes::from);
        }
    }

    fn snapshot(&self) -> Option<Bytes> {
        self.0.clone()
    }
}

/// Errors of the layer in the application's own envelope, `error.v1`; it holds what RFC 9457 asks for as well.
#[derive(Serialize)]
struct ResumeErrorV1 {
    schema: &'static str,
    code: &'static str,
    message: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    detail: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    upgrade: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details>,
}

#[derive(Serialize)]
struct Details {
    upgrade: &'static str,
}

fn render_error(error: ResumeError, status: StatusCode) -> Response<Bytes> {
    let upgrade = error.is_gone().then_some("resume=unsupported");
    let body = ResumeErrorV1 {
        schema: "error.v1",
        code: error.code(),
        message: error.title(),
        kind: "about:blank",
        title: error.title(),
        status: status.as_u16(),
        detail: error.detail(),
        upgrade,
        details: upgrade.map(|upgrade| Details { upgrade }),
    };
    let mut response = Response::new(Bytes::from(serde_json::to_vec(&body).unwrap_or_default()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response
}

#[cfg(test)]
#[path = "resuming_tests.rs"]
pub(crate) mod tests;
