//! A draft that others may look at: whoever starts it names it by a random id, and whoever is told that id follows the
//! draft from its start. They get tokens that only read.

use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::json;
use tower_resume::{Attach, StreamName};

use crate::error::{ErrorV1, bad_input};
use crate::query::parameter;

/// Where a shared draft is followed: `?share=` names it.
pub(crate) const WATCH_PATH: &str = "/assist/draft-graph/watch";

/// The id of a shared draft. To know it is to be allowed to look, so it has to be one that nobody guesses: a random UUID.
fn share(uri: &Uri) -> Option<Result<String, ErrorV1>> {
    let share = parameter(uri, "share")?;
    let is_uuid = share.len() == 36
        && share.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    let refused = || bad_input("invalid input", json!({ "parameter": "share", "expected": "a random UUID" }));
    Some(if is_uuid { Ok(share.to_ascii_lowercase()) } else { Err(refused()) })
}

fn refuse(error: ErrorV1) -> Response {
    (StatusCode::BAD_REQUEST, Json(error)).into_response()
}

/// Gives a draft that is started with `?share=` that name.
pub(crate) async fn name(request: Request, next: Next) -> Response {
    // Every other path has its own use of the id, or none.
    let share = if request.uri().path() == crate::http::STREAM_PATH { share(request.uri()) } else { None };
    match share {
        None => next.run(request).await,
        Some(Err(error)) => refuse(error),
        Some(Ok(share)) => {
            let mut response = next.run(request).await;
            response.extensions_mut().insert(StreamName::new(share));
            response
        }
    }
}

/// Answers with a shared draft, be it running or over; 204 where there is none.
pub(crate) async fn watch(parts: Parts) -> Response {
    match share(&parts.uri) {
        Some(Ok(share)) => Extension(Attach::to(share).include_finished(true)).into_response(),
        Some(Err(error)) => refuse(error),
        None => refuse(bad_input("invalid input", json!({ "parameter": "share", "expected": "a random UUID" }))),
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
