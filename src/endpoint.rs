//! The resume endpoint: a service that does nothing but resume, and cancel.

use crate::{
    ResumeError,
    answers::{method_not_allowed, refuse},
    body::ResumeBody,
    cancel,
    drain::drain,
    node::Node,
    request::{Entrance, Intent, intent},
    resume::respond,
};
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _};
use http::{Request, Response};
use http_body::Body;
use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};
use tower_service::Service;

/// Resumes streams of the [`ResumeLayer`](crate::ResumeLayer) that made it, on a path of its own.
///
/// `DELETE` with `X-Resume-Token` cancels the stream. A request without a token is answered 400. `?mode=` says the same as `X-Resume-Mode`. Mount it outside of the layer
/// (in axum: add its route after the layer), which would answer first, and leave `?mode=` to the handlers, whose it is.
///
/// ```
/// use axum::{Router, response::{Sse, sse::Event}, routing::post};
/// use futures_util::stream;
/// use tower_resume::{Keys, ResumeLayer, store::MemoryStore};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let layer = ResumeLayer::new(MemoryStore::new(), Keys::new("a secret of at least 32 bytes, of course")?);
/// let app: Router = Router::new()
///     .route("/stream", post(|| async { Sse::new(stream::iter([Ok::<_, std::io::Error>(Event::default().data("hi"))])) }))
///     .layer(layer.clone())
///     .route_service("/resume", layer.endpoint());
/// # let _ = app;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ResumeEndpoint {
    node: Arc<Node>,
}

impl ResumeEndpoint {
    pub(crate) const fn new(node: Arc<Node>) -> Self {
        Self { node }
    }
}

/// The body of a handler that there is none of.
#[derive(Debug)]
pub struct NoBody(Infallible);

impl Body for NoBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        match self.0 {}
    }
}

impl<ReqBody> Service<Request<ReqBody>> for ResumeEndpoint
where
    ReqBody: Body + Send + 'static,
    ReqBody::Data: Send,
{
    type Response = Response<ResumeBody<NoBody>>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let (head, body) = request.into_parts();
        let node = Arc::clone(&self.node);
        let enabled = node.keys.is_some();
        if tokio::runtime::Handle::try_current().is_err() {
            let response = refuse(&node, ResumeError::NoRuntime, head.version);
            return futures_util::future::ready(Ok(response)).boxed();
        }
        drain(body);
        node.order.at_endpoint(&head);
        let intent = intent(&head, node.settings.query_param.as_deref(), Entrance::Endpoint, enabled);
        async move {
            Ok(match intent {
                Intent::Resume(ask) => respond(node, head, ask).await,
                Intent::Refuse(error) => refuse(&node, error, head.version),
                Intent::Fresh => refuse(&node, ResumeError::MissingToken, head.version),
                Intent::Cancel(token) => cancel::respond(node, head, token).await,
                Intent::Pass => method_not_allowed(),
            })
        }
        .boxed()
    }
}
