//! A handler that knows nothing of resuming and does as its test tells it.

use axum::{Router, body::Body, response::Response, routing::any};
use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;
use http_body_util::StreamBody;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

type Piece = Result<Frame<Bytes>, std::io::Error>;
type Head = Box<dyn Fn(Response) -> Response + Send + Sync>;

/// Serves one stream a request, each steered by its own [`Told`].
#[derive(Clone)]
pub struct Handler {
    streams: Arc<Mutex<mpsc::UnboundedReceiver<Told>>>,
    router: Router,
}

/// One request's stream, as its test steers it.
pub struct Told {
    body: mpsc::UnboundedSender<Piece>,
    /// The request that came.
    pub head: http::request::Parts,
}

impl Handler {
    pub fn new() -> Self {
        Self::with_head(|response| response)
    }

    /// A handler whose responses have a head of the test's own making.
    pub fn with_head(change: impl Fn(Response) -> Response + Send + Sync + 'static) -> Self {
        let (arrived, streams) = mpsc::unbounded_channel();
        let change: Arc<Head> = Arc::new(Box::new(change));
        let router = Router::new().route(
            "/stream",
            any(move |request: axum::extract::Request| {
                let (body, pieces) = mpsc::unbounded_channel::<Piece>();
                arrived.send(Told { body, head: request.into_parts().0 }).ok();
                let change = Arc::clone(&change);
                async move {
                    let body = Body::new(StreamBody::new(UnboundedReceiverStream::new(pieces)));
                    let response = Response::builder().header("content-type", "text/event-stream").body(body).unwrap();
                    change(response)
                }
            }),
        );
        Self { streams: Arc::new(Mutex::new(streams)), router }
    }

    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// The next request's stream.
    pub async fn told(&self) -> Told {
        std::future::poll_fn(|cx| self.streams.lock().unwrap().poll_recv(cx)).await.expect("a request")
    }

    /// How many requests have come that nobody has taken yet.
    pub fn untaken(&self) -> usize {
        self.streams.lock().unwrap().len()
    }
}

impl Told {
    pub fn send(&self, bytes: impl Into<Bytes>) {
        self.body.send(Ok(Frame::data(bytes.into()))).expect("the body is read");
    }

    pub fn send_trailers(&self, trailers: HeaderMap) {
        self.body.send(Ok(Frame::trailers(trailers))).expect("the body is read");
    }

    /// `data: <n>` for each of these.
    pub fn count(&self, numbers: impl IntoIterator<Item = u64>) {
        for number in numbers {
            self.send(format!("data: {number}\n\n"));
        }
    }

    pub fn fail(self) {
        self.body.send(Err(std::io::Error::other("told to"))).ok();
    }

    /// Ends the body.
    pub fn end(self) {}

    /// Whether the layer has let the body go.
    pub fn is_dropped(&self) -> bool {
        self.body.is_closed()
    }

    /// Ready once the layer has let the body go.
    pub async fn dropped(&self) {
        self.body.closed().await;
    }
}
