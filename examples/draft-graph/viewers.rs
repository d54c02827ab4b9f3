//! Who looks at which stream over which connection, so that the page can cut its own. For the page, on loopback: a public
//! service has no use for it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;
use tower::ServiceExt as _;
use tower_resume::ResumeEndpoint;

use crate::cable::Cutter;
use crate::error::{BAD_INPUT, ErrorV1, NOT_FOUND, bad_input, error_v1};
use crate::query::{parameter, whole_number};

/// Where the page has its connection cut: by `POST`, with its token, and with `viewer` in the query.
pub(crate) const CUT_PATH: &str = "/page/cut";
/// The query parameter by which a viewer is known: anything that nobody else has.
const VIEWER: &str = "viewer";
/// The header that a token comes in.
const X_RESUME_TOKEN: HeaderName = HeaderName::from_static("x-resume-token");
/// Longest name of a viewer: a UUID has 36.
const MAX_VIEWER_CHARS: usize = 64;
/// Longest outage that can be asked for.
const MAX_DARK: Duration = Duration::from_secs(60);
/// Most viewers that are kept count of. One more is served like all, but can't be cut.
const MAX_VIEWERS: usize = 1_000;

/// The viewers of one process.
#[derive(Clone, Default)]
struct Viewers(Arc<Mutex<Book>>);

#[derive(Default)]
struct Book {
    connected: HashMap<String, Connection>,
    /// Viewers that are offline, and until when.
    dark: HashMap<String, Instant>,
    /// Numbers the connections.
    count: u64,
}

struct Connection {
    number: u64,
    stream: HeaderValue,
    cutter: Cutter,
}

impl Viewers {
    fn book<T>(&self, read: impl FnOnce(&mut Book) -> T) -> T {
        read(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_dark(&self, viewer: &str) -> bool {
        self.book(|book| book.dark.get(viewer).is_some_and(|until| Instant::now() < *until))
    }

    /// Notes a connection, until what is returned is dropped.
    fn note(&self, viewer: &str, stream: HeaderValue, cutter: Cutter) -> Option<Noted> {
        self.book(|book| {
            if book.connected.len() >= MAX_VIEWERS && !book.connected.contains_key(viewer) {
                return None;
            }
            book.count += 1;
            let number = book.count;
            book.connected.insert(viewer.to_owned(), Connection { number, stream, cutter });
            Some(Noted { viewers: self.clone(), viewer: viewer.to_owned(), number })
        })
    }

    /// Cuts a viewer's connection to this stream, and each new one for as long as it is to be offline. `false` where there
    /// is no such viewer.
    fn cut(&self, viewer: &str, stream: &str, dark: Duration) -> bool {
        let now = Instant::now();
        self.book(|book| {
            let is_there = match book.connected.get(viewer) {
                Some(connection) if connection.stream.as_bytes() == stream.as_bytes() => {
                    connection.cutter.cut();
                    true
                }
                Some(_) => return false,
                None => false,
            };
            book.dark.retain(|_, until| now < *until);
            if !dark.is_zero() && book.dark.len() < MAX_VIEWERS {
                book.dark.insert(viewer.to_owned(), now + dark);
            }
            is_there || !dark.is_zero()
        })
    }
}

/// A connection is in the book for as long as this lives.
struct Noted {
    viewers: Viewers,
    viewer: String,
    number: u64,
}

impl Drop for Noted {
    fn drop(&mut self) {
        self.viewers.book(|book| {
            if book.connected.get(&self.viewer).is_some_and(|connection| connection.number == self.number) {
                book.connected.remove(&self.viewer);
            }
        });
    }
}

/// The application with its viewers noted, and the route that cuts them.
pub(crate) fn cuttable(app: Router, endpoint: ResumeEndpoint) -> Router {
    let viewers = Viewers::default();
    let route = Router::new().route(CUT_PATH, post(cut)).with_state((viewers.clone(), endpoint));
    app.layer(axum::middleware::from_fn_with_state(viewers, note)).merge(route)
}

async fn note(State(viewers): State<Viewers>, request: Request, next: Next) -> Response {
    let viewer = parameter(request.uri(), VIEWER).filter(|viewer| is_sane(viewer));
    let cutter = request.extensions().get::<ConnectInfo<Cutter>>().map(|info| info.0.clone());
    let (Some(viewer), Some(cutter)) = (viewer, cutter) else {
        return next.run(request).await;
    };
    if viewers.is_dark(&viewer) {
        cutter.cut();
        // No answer can reach it any more: this goes away together with the connection.
        return pending().await;
    }
    let response = next.run(request).await;
    let stream = response.headers().get("x-resume-stream").cloned();
    let Some(noted) = stream.and_then(|stream| viewers.note(&viewer, stream, cutter)) else {
        return response;
    };
    response.map(|body| {
        Body::from_stream(body.into_data_stream().map(move |piece| {
            let _until_the_end = &noted;
            piece
        }))
    })
}

fn is_sane(viewer: &str) -> bool {
    !viewer.is_empty() && viewer.len() <= MAX_VIEWER_CHARS
}

type Cutting = (Viewers, ResumeEndpoint);

async fn cut(State((viewers, endpoint)): State<Cutting>, parts: Parts) -> Response {
    let Some(viewer) = parameter(&parts.uri, VIEWER).filter(|viewer| is_sane(viewer)) else {
        return refuse(StatusCode::BAD_REQUEST, error_v1(BAD_INPUT, "viewer is missing, or too long", None));
    };
    let dark = match whole_number(&parts.uri, "dark_ms", MAX_DARK) {
        Ok(dark) => dark.unwrap_or_default(),
        Err(error) => return refuse(StatusCode::BAD_REQUEST, error),
    };
    let stream = match stream_of(endpoint, &parts).await {
        Ok(stream) => stream,
        Err(refusal) => return refusal,
    };
    if viewers.cut(&viewer, &stream, dark) {
        StatusCode::NO_CONTENT.into_response()
    } else {
        let error = error_v1(NOT_FOUND, "This viewer has no connection to this stream", None);
        refuse(StatusCode::NOT_FOUND, error)
    }
}

/// The stream that the request's token is of: whoever cuts has to be allowed to read. The layer judges that, not we.
async fn stream_of(endpoint: ResumeEndpoint, parts: &Parts) -> Result<String, Response> {
    #[derive(Deserialize)]
    struct Status {
        request_id: String,
    }
    let mut ask = Request::new(Body::empty());
    ask.headers_mut().extend(parts.headers.get("x-resume-token").map(|token| (X_RESUME_TOKEN, token.clone())));
    ask.headers_mut().insert("x-resume-mode", HeaderValue::from_static("status"));
    let answer = endpoint.oneshot(ask).await.unwrap_or_else(|never: Infallible| match never {});
    if !answer.status().is_success() {
        return Err(answer.map(Body::new));
    }
    let body = answer.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    match serde_json::from_slice::<Status>(&body) {
        Ok(status) => Ok(status.request_id),
        Err(_) => {
            let error = bad_input("The stream could not be looked up", json!({}));
            Err(refuse(StatusCode::BAD_GATEWAY, error))
        }
    }
}

fn refuse(status: StatusCode, error: ErrorV1) -> Response {
    (status, Json(error)).into_response()
}

#[cfg(test)]
#[path = "viewers_tests.rs"]
mod tests;
