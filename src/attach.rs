//! Streams that handlers name, and handlers that attach their callers to them.

use crate::{
    Principal, ResumeError,
    answers::no_content,
    body::ResumeBody,
    header::X_RESUME_DEGRADED,
    names::{Given, Meaning, Stand},
    node::{KeyRing, Node},
    resume::Resume,
    store::Name,
};
use http::{HeaderValue, Response};
use std::sync::Arc;

/// In the extensions of a response: the name of the stream that it is.
///
/// By it a handler can [`Attach`] other callers to the stream, on any node, while it runs and for as long as it is kept.
/// The newest stream of a name has it. On other nodes the name is known about a round trip after the stream has begun; a
/// stream that is not recorded (`X-Resume-Degraded: no-secret` or `capacity`) has none.
///
/// ```
/// use axum::{Extension, extract::Path, response::{IntoResponse, Sse, sse::Event}};
/// use futures_util::stream;
/// use std::convert::Infallible;
/// use tower_resume::StreamName;
///
/// async fn chat(Path(chat): Path<String>) -> impl IntoResponse {
///     let answer = stream::iter([Ok::<_, Infallible>(Event::default().data("Hello"))]);
///     (Extension(StreamName::new(format!("chat:{chat}"))), Sse::new(answer))
/// }
/// # let _ = axum::Router::<()>::new().route("/chat/{chat}", axum::routing::post(chat));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StreamName(Arc<str>);

impl StreamName {
    /// This name. It is the application's own; the store sees nothing but a digest of it.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }
}

/// In the extensions of a response: answer with the stream of this name instead.
///
/// The caller gets it as a resumed response, or 204 where there is no such stream, or a finished one that does not count.
/// While the store is out of reach and the stream is not of this node, 503.
///
/// **The handler has to have checked that its caller may read the stream.** Names are the layer's scope's, not any
/// principal's. The caller gets tokens for its own principal.
///
/// The status has to be one of success, else the response passes as it is. Its body is dropped. Its headers are kept, but
/// for those that describe the body and those that the layer sets.
///
/// ```
/// use axum::{Extension, extract::Path, http::StatusCode, response::{IntoResponse, Response}};
/// use tower_resume::Attach;
///
/// async fn reattach(Path(chat): Path<String>) -> Response {
///     if !may_read(&chat) {
///         return StatusCode::FORBIDDEN.into_response();
///     }
///     Extension(Attach::to(format!("chat:{chat}"))).into_response()
/// }
/// # fn may_read(_: &str) -> bool { true }
/// # let _ = axum::Router::<()>::new().route("/chat/{chat}/stream", axum::routing::get(reattach));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Attach {
    name: StreamName,
    from: u64,
    include_finished: bool,
    may_cancel: bool,
}

impl Attach {
    /// To the stream of this name, from its start, while it runs, with the right to read.
    pub fn to(name: impl Into<Arc<str>>) -> Self {
        Self { name: StreamName::new(name), from: 0, include_finished: false, may_cancel: false }
    }

    /// From behind this event on. Beyond the last one is a 400 `bad_cursor`. Defaults to 0, the start.
    pub const fn from(mut self, seq: u64) -> Self {
        self.from = seq;
        self
    }

    /// Whether a stream that is over counts as one, for as long as it is kept. Defaults to no: 204.
    pub const fn include_finished(mut self, include: bool) -> Self {
        self.include_finished = include;
        self
    }

    /// Whether the caller's tokens may cancel the stream. Defaults to no.
    pub const fn may_cancel(mut self, may: bool) -> Self {
        self.may_cancel = may;
        self
    }
}

/// The digests of a name, one for each secret of the ring.
fn names<'a>(keys: &'a KeyRing, name: &'a StreamName) -> impl Iterator<Item = Name> + 'a {
    keys.namers().iter().map(|namer| Name::from_bytes(namer.digest(&[b"stream", name.0.as_bytes()])))
}

/// What a stream that its handler has named is to be known by.
pub(crate) fn stands(node: &Arc<Node>, keys: &KeyRing, name: &StreamName, mut meaning: Meaning) -> (Vec<Stand>, Given) {
    let names: Vec<_> = names(keys, name).collect();
    let given = Given::name(node, names.clone(), &mut meaning);
    (names.into_iter().map(|name| Stand { name, meaning, claim: None }).collect(), given)
}

/// The stream that a handler has attached its caller to, as the caller gets it.
pub(crate) async fn find<B>(
    node: &Arc<Node>,
    principal: Option<&Principal>,
    attach: &Attach,
) -> Result<Response<ResumeBody<B>>, ResumeError> {
    let Some(keys) = &node.keys else {
        // No stream is recorded, so there is none.
        let mut response = no_content();
        response.headers_mut().insert(X_RESUME_DEGRADED, HeaderValue::from_static("no-secret"));
        return Ok(response);
    };
    let Some(meaning) = look_up(node, keys, &attach.name).await? else { return Ok(no_content()) };
    let signer = keys.signer(principal.map(|principal| &*principal.0));
    let resume = Resume::by_name(&meaning, attach.from, attach.may_cancel, !attach.include_finished);
    match resume.answer(node, &signer).await {
        Ok(response) => {
            node.telemetry.attached(meaning.request_id);
            Ok(response)
        }
        Err(ResumeError::StreamExpired) => Ok(no_content()),
        Err(error) => Err(error),
    }
}

/// What the name stands for. The store knows best, but for what this node has named itself and it has not heard of yet.
pub(crate) async fn look_up(node: &Node, keys: &KeyRing, name: &StreamName) -> Result<Option<Meaning>, ResumeError> {
    if let Some(meaning) = names(keys, name).find_map(|name| node.names.untold(name)) {
        return Ok(Some(meaning));
    }
    let mut newest: Option<Meaning> = None;
    let mut here: Option<Meaning> = None;
    let mut failed = false;
    for name in names(keys, name) {
        here = here.or_else(|| node.names.get(name));
        match Arc::clone(&node.store).lookup(name).await {
            Ok(None) => {}
            Ok(Some(value)) => {
                let meaning = Meaning::decode(&value).ok_or(ResumeError::StoreUnavailable)?;
                if newest.is_none_or(|newest| newest.yields_to(&meaning)) {
                    newest = Some(meaning);
                }
            }
            Err(_) => failed = true,
        }
    }
    match newest.or(here) {
        None if failed => Err(ResumeError::StoreUnavailable),
        meaning => Ok(meaning),
    }
}
