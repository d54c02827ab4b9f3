//! How requests get to a server: by `reqwest`, or by a script in tests.

use super::error::BoxError;
use bytes::Bytes;
use futures_util::{FutureExt as _, future::BoxFuture};
use http::{HeaderMap, Method, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;
use reqwest::Url;
use std::{
    error::Error,
    fmt,
    iter::successors,
    pin::Pin,
    task::{Context, Poll},
};

/// An answer's body.
pub(super) type Body = Pin<Box<dyn HttpBody<Data = Bytes, Error = BoxError> + Send>>;

/// A request, to be sent.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
}

/// Sends requests.
pub(super) trait Transport: Send + Sync + 'static {
    fn send(&self, request: Outgoing) -> BoxFuture<'static, Result<Response<Body>, BoxError>>;
}

impl Transport for reqwest::Client {
    fn send(&self, request: Outgoing) -> BoxFuture<'static, Result<Response<Body>, BoxError>> {
        let mut sent = reqwest::Request::new(request.method, request.url);
        *sent.headers_mut() = request.headers;
        *sent.body_mut() = request.body.map(Into::into);
        let answer = self.execute(sent);
        async move {
            let response: Response<reqwest::Body> = answer.await.map_err(hidden)?.into();
            Ok(response.map(|inner| Box::pin(Received { inner }) as Body))
        }
        .boxed()
    }
}

/// The error without its URL, whose query may hold a secret.
fn hidden(error: reqwest::Error) -> BoxError {
    if lacks_tls(&error) { NoTls.into() } else { error.without_url().into() }
}

/// Whether `https` was asked for, and `reqwest` was built without. It has no other way to say so.
fn lacks_tls(error: &reqwest::Error) -> bool {
    let causes = successors(error.source(), |cause: &&(dyn Error + 'static)| (*cause).source());
    error.is_connect() && causes.last().is_some_and(|cause| cause.to_string().contains("scheme is not http"))
}

/// `https` is not to be had.
#[derive(Debug)]
pub(super) struct NoTls;

impl fmt::Display for NoTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("reqwest was built without TLS")
    }
}

impl Error for NoTls {}

pin_project! {
    struct Received {
        #[pin]
        inner: reqwest::Body,
    }
}

impl HttpBody for Received {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.project().inner.poll_frame(cx).map_err(hidden)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
