//! The service: asks what a request is for, and picks a future. Nothing else.

use crate::{
    ResumeError, ResumeStream,
    answers::refuse,
    begin::{Fresh, answer},
    body::ResumeBody,
    cancel,
    drain::drain,
    node::{Call, Node},
    request::{Entrance, Intent, correlation_id, intent},
    resume::respond,
    source::BoxError,
    telemetry::Stopwatch,
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response, request::Parts};
use http_body::Body;
use std::{
    fmt,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tower_service::Service;

/// The service that [`ResumeLayer`](crate::ResumeLayer) makes: `S` with resumable streams.
///
/// A clone costs what a clone of `S` costs, and one pointer. `Start` is [`Plain`], or [`Idempotent`](crate::Idempotent)
/// where [`ResumeLayer::idempotency`](crate::ResumeLayer::idempotency) is set: then `S` has to be `Clone`, and it and its
/// futures and errors `Send + 'static`. Without, nothing is asked of it that a service need not be.
pub struct Resume<S, Store, Start = Plain> {
    pub(crate) inner: S,
    pub(crate) node: Arc<Node>,
    kind: PhantomData<fn() -> (Store, Start)>,
}

/// Each request starts a stream of its own, unless it is a resume.
#[derive(Debug)]
pub enum Plain {}

impl<S, Store, Start> Resume<S, Store, Start> {
    pub(crate) const fn new(inner: S, node: Arc<Node>) -> Self {
        Self { inner, node, kind: PhantomData }
    }

    /// The wrapped service.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The wrapped service, to change it.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The wrapped service, unwrapped.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S: Clone, Store, Start> Clone for Resume<S, Store, Start> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), Arc::clone(&self.node))
    }
}

impl<S: fmt::Debug, Store, Start> fmt::Debug for Resume<S, Store, Start> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resume").field("inner", &self.inner).field("node", &self.node).finish()
    }
}

impl<S, Store, ReqBody, ResBody> Service<Request<ReqBody>> for Resume<S, Store, Plain>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ReqBody: Body + Send + 'static,
    ReqBody::Data: Send,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Response = Response<ResumeBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, ResBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let (head, body) = request.into_parts();
        start(&self.node, &mut self.inner, head, body)
    }
}

/// What becomes of a request, its handler included.
pub(crate) fn start<S, ReqBody, ResBody>(
    node: &Arc<Node>,
    inner: &mut S,
    mut head: Parts,
    body: ReqBody,
) -> ResponseFuture<S::Future, ResBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ReqBody: Body + Send + 'static,
    ReqBody::Data: Send,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    let query_param = node.settings.query_param.as_deref();
    let state = match intent(&head, query_param, Entrance::Layer, node.keys.is_some()) {
        Intent::Pass => State::Pass { inner: inner.call(Request::from_parts(head, body)) },
        _ if tokio::runtime::Handle::try_current().is_err() => {
            State::Answer { response: Some(refuse(node, ResumeError::NoRuntime, head.version)) }
        }
        Intent::Fresh => {
            let fresh = Fresh {
                request_id: crate::RequestId::random(),
                principal: node.settings.principal.as_ref().and_then(|principal| principal(&head)),
                correlation_id: correlation_id(&head.headers).map(Into::into),
                version: head.version,
                since: Stopwatch::start(),
                claim: None,
            };
            head.extensions.insert(ResumeStream::new(fresh.request_id));
            let call = node.called();
            let inner = inner.call(Request::from_parts(head, body));
            State::Fresh { inner, fresh: Some((call, fresh)) }
        }
        Intent::Resume(ask) => {
            drain(body);
            State::Resume { answer: Box::pin(respond(Arc::clone(node), head, ask)) }
        }
        Intent::Refuse(error) => {
            drain(body);
            State::Answer { response: Some(refuse(node, error, head.version)) }
        }
        Intent::Cancel(token) => {
            drain(body);
            State::Resume { answer: Box::pin(cancel::respond(Arc::clone(node), head, token)) }
        }
    };
    ResponseFuture { state }
}

pin_project_lite::pin_project! {
    /// The future of [`Resume`].
    pub struct ResponseFuture<F, B> {
        #[pin]
        state: State<F, B>,
    }
}

pin_project_lite::pin_project! {
    #[project = StateProj]
    enum State<F, B> {
        // Not the layer's: its response passes, too.
        Pass { #[pin] inner: F },
        // The response may be a stream to record.
        Fresh { #[pin] inner: F, fresh: Option<(Call, Fresh)> },
        // Boxed once for each time that a client comes back, or cancels.
        Resume { answer: BoxFuture<'static, Response<ResumeBody<B>>> },
        Answer { response: Option<Response<ResumeBody<B>>> },
    }
}

impl<F, B> ResponseFuture<F, B> {
    pub(crate) const fn answered(response: Response<ResumeBody<B>>) -> Self {
        Self { state: State::Answer { response: Some(response) } }
    }
}

impl<F, B> fmt::Debug for ResponseFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture")
    }
}

impl<F, B, E> Future for ResponseFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Output = Result<Response<ResumeBody<B>>, E>;

    #[expect(clippy::expect_used, reason = "a future is not polled after it was ready")]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.as_mut().project().state;
        match state.as_mut().project() {
            StateProj::Pass { inner } => inner.poll(cx).map_ok(|response| response.map(ResumeBody::passed)),
            StateProj::Fresh { inner, fresh } => {
                let response = ready!(inner.poll(cx))?;
                let (call, fresh) = fresh.take().expect("ResponseFuture polled after it was ready");
                match answer(call.node(), fresh, response) {
                    Ok(response) => Poll::Ready(Ok(response)),
                    Err(answer) => {
                        state.set(State::Resume { answer });
                        self.poll(cx)
                    }
                }
            }
            StateProj::Resume { answer } => answer.as_mut().poll(cx).map(Ok),
            StateProj::Answer { response } => {
                Poll::Ready(Ok(response.take().expect("ResponseFuture polled after it was ready")))
            }
        }
    }
}
