//! A handler that stops the stream of a name: a chat's stop button, that knows of no token.

use super::{Cancel, WITHIN};
use crate::{
    RequestId, ResumeError, StreamName, answers::no_content, attach::look_up, body::ResumeBody, names::Meaning,
    node::Node, resume::YOUNG_MS,
};
use http::Response;
use std::sync::Arc;
use tokio::time::Instant;

/// In the extensions of a response: stop the handler of the stream of this name, on whichever node it runs.
///
/// The caller gets 204 once the stream is over (also when it had ended already, or there is none), 202 where its node was
/// asked and has not answered within 2 s, and 503 while nobody can be asked. Whoever reads the stream gets its `end`, with
/// status `cancelled`. It is what `DELETE` with a token does, for callers who know a name and no token.
///
/// **The handler has to have checked that its caller may stop the stream.** Names are the layer's scope's, not any
/// principal's.
///
/// The status has to be one of success, else the response passes as it is. Its body is dropped. Its headers are kept, but
/// for those that describe the body and those that the layer sets.
///
/// ```
/// use axum::{Extension, extract::Path, http::StatusCode, response::{IntoResponse, Response}};
/// use tower_resume::CancelStream;
///
/// async fn stop(Path(chat): Path<String>) -> Response {
///     if !may_stop(&chat) {
///         return StatusCode::FORBIDDEN.into_response();
///     }
///     Extension(CancelStream::named(format!("chat:{chat}"))).into_response()
/// }
/// # fn may_stop(_: &str) -> bool { true }
/// # let _ = axum::Router::<()>::new().route("/chat/{chat}/stop", axum::routing::post(stop));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct CancelStream {
    name: StreamName,
    only: Option<RequestId>,
}

impl CancelStream {
    /// The newest stream of this name.
    pub fn named(name: impl Into<Arc<str>>) -> Self {
        Self { name: StreamName::new(name), only: None }
    }

    /// Only if it is this stream, by its `X-Resume-Stream`: a late click does not stop the answer to the next question.
    /// Otherwise nothing is stopped, and the caller gets 204.
    pub const fn only(mut self, id: RequestId) -> Self {
        self.only = Some(id);
        self
    }
}

/// Stops the stream of a name.
pub(crate) async fn by_name<B>(
    node: &Arc<Node>,
    cancel: &CancelStream,
) -> Result<Response<ResumeBody<B>>, ResumeError> {
    // Without keys no stream is recorded, and none has a name.
    let Some(keys) = &node.keys else { return Ok(no_content()) };
    match look_up(node, keys, &cancel.name).await? {
        Some(meaning) if cancel.only.is_none_or(|only| only == meaning.request_id) => {
            Cancel::by_meaning(node, &meaning).answer().await
        }
        _ => Ok(no_content()),
    }
}

impl<'n> Cancel<'n> {
    fn by_meaning(node: &'n Arc<Node>, meaning: &Meaning) -> Self {
        let is_young = node.now().saturating_sub(meaning.since) < YOUNG_MS;
        let deadline = Instant::now() + WITHIN;
        Self { node, id: meaning.request_id, writer: meaning.node, is_young, is_over: false, deadline }
    }
}
