//! The service of a layer that starts streams once for each key.
//!
//! What a key is looked up for happens before the handler is called, and the handler is called in a task, so that it goes
//! on when its client leaves. So this service, unlike the plain one, has to own what it wraps: its bounds are on this one
//! alone.

use crate::{
    Resume,
    answers::refuse,
    begin::{Fresh, answer},
    body::ResumeBody,
    claim::{Claimed, Ticket, ticket},
    drain::drain,
    hooks::ResumeStream,
    node::Node,
    request::correlation_id,
    service::{ResponseFuture, start},
    source::BoxError,
    telemetry::Stopwatch,
};
use bytes::Bytes;
use http::{Request, Response, request::Parts};
use http_body::Body;
use std::{
    convert::Infallible,
    fmt, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{runtime::Handle, sync::oneshot, task::JoinHandle};
use tower_service::Service;
use tracing::Instrument as _;

/// Streams are started once for each `Idempotency-Key`: see [`Idempotency`](crate::Idempotency).
#[derive(Debug)]
pub enum Idempotent {}

impl<S, Store, ReqBody, ResBody> Service<Request<ReqBody>> for Resume<S, Store, Idempotent>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    ReqBody: Body + Send + 'static,
    ReqBody::Data: Send,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Response = Response<ResumeBody<ResBody>>;
    type Error = S::Error;
    type Future = IdempotentFuture<S::Future, ResBody, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let (head, body) = request.into_parts();
        let ticket = ticket(&self.node, &head).filter(|_| Handle::try_current().is_ok());
        let state = match ticket {
            None => State::Plain { inner: start(&self.node, &mut self.inner, head, body) },
            Some(Err(error)) => {
                drain(body);
                let inner = ResponseFuture::answered(refuse(&self.node, error, head.version));
                State::Plain { inner }
            }
            Some(Ok(ticket)) => {
                // The one that was ready is the one that is called.
                let next = self.inner.clone();
                let inner = mem::replace(&mut self.inner, next);
                let (client, here) = oneshot::channel();
                let run = run(Arc::clone(&self.node), inner, head, body, ticket, client);
                State::Keyed { task: tokio::spawn(run.in_current_span()), here }
            }
        };
        IdempotentFuture { state }
    }
}

/// Runs the handler, or joins the stream that another request with the same key has started.
async fn run<S, ReqBody, ResBody>(
    node: Arc<Node>,
    mut inner: S,
    mut head: Parts,
    body: ReqBody,
    ticket: Ticket,
    mut client: oneshot::Sender<Infallible>,
) -> Result<Response<ResumeBody<ResBody>>, S::Error>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ReqBody: Body + Send + 'static,
    ReqBody::Data: Send,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    let (_call, version, since) = (node.called(), head.version, Stopwatch::start());
    let wait = node.settings.idempotency.as_ref().map_or(Duration::ZERO, |idempotency| idempotency.wait);
    let claim = match ticket.claim(&node, wait, &mut client).await {
        Ok(Claimed::Mine(claim)) => claim,
        Ok(Claimed::Joined(mut response)) => {
            drain(body);
            node.deploy.close_connection(version, response.headers_mut());
            return Ok(response);
        }
        Err(error) => {
            drain(body);
            return Ok(refuse(&node, error, version));
        }
    };
    let correlation_id = correlation_id(&head.headers).map(Into::into);
    head.extensions.insert(ResumeStream::new(ticket.request_id));
    let response = tokio::select! {
        response = inner.call(Request::from_parts(head, body)) => response?,
        never = claim.renew() => match never {},
    };
    let Ticket { request_id, principal, .. } = ticket;
    let fresh = Fresh { request_id, principal, correlation_id, version, since, claim: Some(claim) };
    Ok(match answer(&node, fresh, response) {
        Ok(response) => response,
        Err(attached) => attached.await,
    })
}

pin_project_lite::pin_project! {
    /// The future of [`Resume`] where streams are started once for each key.
    pub struct IdempotentFuture<F, B, E> {
        #[pin]
        state: State<F, B, E>,
    }
}

type Outcome<B, E> = Result<Response<ResumeBody<B>>, E>;

pin_project_lite::pin_project! {
    #[project = StateProj]
    enum State<F, B, E> {
        /// No key that counts.
        Plain { #[pin] inner: ResponseFuture<F, B> },
        /// The task goes on without us once the handler is called; `here` says that its client is here.
        Keyed { task: JoinHandle<Outcome<B, E>>, here: oneshot::Receiver<Infallible> },
    }
}

impl<F, B, E> fmt::Debug for IdempotentFuture<F, B, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdempotentFuture")
    }
}

impl<F, B, E> Future for IdempotentFuture<F, B, E>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Output = Outcome<B, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Plain { inner } => inner.poll(cx),
            StateProj::Keyed { task, here: _ } => match ready!(Pin::new(task).poll(cx)) {
                Ok(outcome) => Poll::Ready(outcome),
                // The handler's own panic goes on where it would have gone without the layer.
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                // The runtime shuts down.
                Err(_) => Poll::Pending,
            },
        }
    }
}
