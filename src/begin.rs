//! From a handler's response to a recorded stream and its first client's response.

use crate::{
    ControlEvents, Principal, RequestId, StreamName, WhenAlone,
    answers::expires_at,
    attach,
    body::ResumeBody,
    claim::Claim,
    instead::Instead,
    live::LiveLog,
    names::{self, Kept, Meaning},
    node::{KeyRing, Node},
    reader::{Purpose, Reader},
    record::Recorder,
    response::{Recorded, Verdict, degraded_head, first_head, verdict},
    source::{BodySource, BoxError},
    store::StreamHead,
    telemetry::Stopwatch,
    token::Cursor,
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Extensions, Response, Version};
use http_body::Body;
use std::sync::Arc;

/// What is known of a request whose response may be a stream.
#[derive(Debug)]
pub(crate) struct Fresh {
    pub(crate) request_id: RequestId,
    pub(crate) principal: Option<Principal>,
    pub(crate) correlation_id: Option<Arc<str>>,
    pub(crate) version: Version,
    /// When the request came.
    pub(crate) since: Stopwatch,
    /// The claim of a request that brought a key. Where no recorded stream comes of it, it is dropped, and so let go.
    pub(crate) claim: Option<Claim>,
}

/// Answers with what the handler's response is, or with what it asks for instead.
pub(crate) fn answer<B>(
    node: &Arc<Node>,
    fresh: Fresh,
    response: Response<B>,
) -> Result<Response<ResumeBody<B>>, BoxFuture<'static, Response<ResumeBody<B>>>>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let (mut head, body) = response.into_parts();
    match Instead::wanted(&mut head) {
        None => Ok(begin(node, fresh, Response::from_parts(head, body))),
        Some(instead) => Err(Box::pin(instead.answer(Arc::clone(node), fresh.principal, fresh.version, head))),
    }
}

/// Records the response if it is a stream; any other passes as it is.
fn begin<B>(node: &Arc<Node>, mut fresh: Fresh, response: Response<B>) -> Response<ResumeBody<B>>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let (mut head, body) = response.into_parts();
    match verdict(&head) {
        Verdict::Pass => return Response::from_parts(head, ResumeBody::passed(body)),
        Verdict::PassEncoded => {
            node.order.encoded();
            return Response::from_parts(head, ResumeBody::passed(body));
        }
        Verdict::Record => node.order.recorded(fresh.version, &head.headers),
    }
    let Some(keys) = &node.keys else {
        return degraded(node, head, body, "no-secret");
    };
    let control = head.extensions.get::<ControlEvents>().copied().unwrap_or(node.settings.control_events);
    let started_at = node.now();
    let stream = StreamHead {
        node: node.store.node(),
        started_at,
        correlation_id: fresh.correlation_id.take(),
        comments: control == ControlEvents::Comments,
    };
    let as_comments = stream.comments;
    let log = LiveLog::begin(
        fresh.request_id,
        stream,
        node.settings.limits(),
        node.settings.eviction,
        Arc::clone(&node.usage),
    );
    if node.settings.is_stored() {
        log.hold();
    }
    if node.settings.when_alone == WhenAlone::Pause {
        log.pause_when_alone();
    }
    let log = Arc::new(log);
    // The application's code, which may panic: before anything is counted.
    let fold = node.settings.fold.as_ref().map(|make| make(log.id));
    let Some(guard) = node.admit_reader() else { return degraded(node, head, body, "capacity") };
    let Some(place) = log.attach(0, true, usize::MAX) else { return degraded(node, head, body, "capacity") };
    let most = node.settings.max_principal_streams;
    let share = match &fresh.principal {
        None => None,
        Some(principal) => match node.shares.take(&principal.0, most) {
            None => return degraded(node, head, body, "capacity"),
            share => share,
        },
    };
    if !node.admit(&log) {
        return degraded(node, head, body, "capacity");
    }
    let source = Box::pin(BodySource::new(body, share));
    let recorder = Recorder::new(Arc::clone(node), Arc::clone(&log), source, fold);
    match named(node, keys, &mut fresh, &head.extensions, started_at) {
        None => drop(tokio::spawn(recorder)),
        Some(kept) => drop(tokio::spawn(async move {
            recorder.await;
            drop(kept);
        })),
    }
    let claims = Cursor {
        request_id: fresh.request_id,
        node: node.store.node(),
        seq: 0,
        expires_at: expires_at(node),
        step: crate::Step::NONE,
        ended: false,
        may_cancel: true,
    };
    let signer = keys.signer(fresh.principal.as_ref().map(|principal| &*principal.0));
    let up = node.store_reaches(fresh.request_id);
    if !up {
        node.telemetry.degraded("store");
    }
    first_head(&mut head.headers, fresh.request_id, &signer.sign(&claims), (!up).then_some("store"));
    node.deploy.close_connection(fresh.version, &mut head.headers);
    head.extensions.insert(Recorded);
    let reader =
        Reader::new(Arc::clone(node), guard, place, signer, claims, Purpose::First, as_comments).since(fresh.since);
    Response::from_parts(head, ResumeBody::read(reader))
}

/// The names that a stream begins with: its request's key, and what its handler calls it.
fn named(node: &Arc<Node>, keys: &KeyRing, fresh: &mut Fresh, extensions: &Extensions, since: u64) -> Option<Kept> {
    let (mut stands, mut given) = (Vec::new(), Vec::new());
    if let Some(claim) = fresh.claim.take() {
        let (mine, held) = claim.answered();
        stands.extend(mine);
        given.extend(held);
    }
    if let Some(name) = extensions.get::<StreamName>() {
        let (request_id, node_id) = (fresh.request_id, node.store.node());
        let meaning = Meaning { request_id, node: node_id, since, is_stream: true, print: None };
        let (mine, held) = attach::stands(node, keys, name, meaning);
        stands.extend(mine);
        given.push(held);
    }
    (!stands.is_empty()).then(|| names::keep(node, fresh.request_id, stands, given))
}

/// The bare handler's response, which says that it cannot be resumed, and why.
fn degraded<B>(node: &Node, mut head: http::response::Parts, body: B, reason: &'static str) -> Response<ResumeBody<B>> {
    node.telemetry.degraded(reason);
    degraded_head(&mut head.headers, reason);
    Response::from_parts(head, ResumeBody::passed(body))
}
