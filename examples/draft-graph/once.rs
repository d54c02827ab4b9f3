//! A client that never saw an answer sends its brief again, with the same `Idempotency-Key`, and joins the draft that it has
//! started already.

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use futures_util::{StreamExt as _, stream};
use tower_resume::Idempotency;

use crate::limits::BODY_LIMIT_BYTES;

/// The body that a request with a key has brought. The layer sees heads only.
#[derive(Clone)]
struct Sent(Bytes);

/// Nobody logs in here: whoever has a draft's key may see that draft. A key that comes with another brief is refused.
pub(crate) fn keys() -> Idempotency {
    let sent = |head: &Parts| Some(head.extensions.get::<Sent>()?.0.to_vec());
    Idempotency::new().shared_keys().fingerprint_with(sent)
}

/// Reads the body of a request with a key, for the layer inside of this one to compare. One that is larger than the
/// handler takes goes on unread, for that to refuse.
pub(crate) async fn note_body(request: Request, next: Next) -> Response {
    if !request.headers().contains_key("idempotency-key") {
        return next.run(request).await;
    }
    let (mut head, body) = request.into_parts();
    let mut rest = body.into_data_stream();
    let (mut read, mut bytes, mut is_whole) = (Vec::new(), Vec::new(), true);
    while let Some(piece) = rest.next().await {
        is_whole = piece.is_ok();
        bytes.extend_from_slice(piece.as_deref().unwrap_or_default());
        read.push(piece);
        if !is_whole || bytes.len() > BODY_LIMIT_BYTES {
            is_whole = false;
            break;
        }
    }
    if is_whole {
        head.extensions.insert(Sent(bytes.into()));
    }
    next.run(Request::from_parts(head, Body::from_stream(stream::iter(read).chain(rest)))).await
}
