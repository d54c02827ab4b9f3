//! A handler that answers only when its test says so, and with what it says; and nodes that share it.

use super::{Reply, Switch, call, keys};
use axum::{Router, body::Body, extract::Request, response::Response, routing::any};
use bytes::Bytes;
use futures_util::stream;
use http::request;
use std::sync::Mutex;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tower_resume::{Idempotency, Idempotent, ResumeLayer, store::MemoryStore};

/// A request that has reached the handler. Dropped, the handler panics.
pub struct Call {
    pub head: request::Parts,
    answer: oneshot::Sender<Response>,
}

impl Call {
    pub fn answer(self, response: Response) {
        // Who asked may have left, and then nothing was to go on.
        assert!(self.answer.send(response).is_ok(), "the handler is still there");
    }

    pub fn panic(self) {}

    /// Whether the handler was stopped.
    pub fn is_stopped(&self) -> bool {
        self.answer.is_closed()
    }

    /// Answers with a stream that the test goes on to steer.
    pub fn stream(self) -> StreamBody {
        let (body, response) = open_stream();
        self.answer(response);
        body
    }

    /// Answers with a stream of these numbers that is over at once.
    pub fn counted(self, to: u64) {
        let body = self.stream();
        (1..=to).for_each(|number| body.count(number));
    }
}

/// The body of a stream. Dropped, the stream is over.
pub struct StreamBody(mpsc::UnboundedSender<Bytes>);

impl StreamBody {
    /// Ready when nobody will take anything from it any more.
    pub async fn dropped(&self) {
        self.0.closed().await;
    }

    pub fn count(&self, number: u64) {
        self.0.send(format!("data: {number}\n\n").into()).expect("the body is read");
    }
}

pub fn open_stream() -> (StreamBody, Response) {
    let (body, pieces) = mpsc::unbounded_channel::<Bytes>();
    let pieces = stream::unfold(pieces, async |mut pieces| {
        let piece = pieces.recv().await?;
        Some((Ok::<_, std::io::Error>(piece), pieces))
    });
    let response = Response::builder().header("content-type", "text/event-stream");
    (StreamBody(body), response.body(Body::from_stream(pieces)).unwrap())
}

/// The handler, on every path.
pub struct Stage {
    router: Router,
    arrived: Mutex<mpsc::UnboundedReceiver<Call>>,
}

impl Stage {
    pub fn new() -> Self {
        let (arrive, arrived) = mpsc::unbounded_channel();
        let handler = move |request: Request| {
            let (answer, told) = oneshot::channel();
            arrive.send(Call { head: request.into_parts().0, answer }).ok();
            async move { told.await.expect("told to panic") }
        };
        Self { router: Router::new().fallback(any(handler)), arrived: Mutex::new(arrived) }
    }

    /// The next request that reaches the handler.
    pub async fn call(&self) -> Call {
        std::future::poll_fn(|cx| self.arrived.lock().unwrap().poll_recv(cx)).await.expect("a request")
    }

    /// A request that has reached the handler already.
    pub fn arrived(&self) -> Option<Call> {
        self.arrived.lock().unwrap().try_recv().ok()
    }

    /// The handler under a layer.
    pub fn under<S: 'static>(&self, layer: ResumeLayer<S, Idempotent>) -> Router {
        self.router.clone().layer(layer)
    }

    pub fn plain<S: 'static>(&self, layer: ResumeLayer<S>) -> Router {
        self.router.clone().layer(layer)
    }

    /// Two nodes on one store, each with its own hold on it.
    pub fn pair(&self, set: impl Fn(ResumeLayer<Switch>) -> ResumeLayer<Switch, Idempotent>) -> [(Router, Switch); 2] {
        let store = MemoryStore::new();
        [(); 2].map(|()| {
            let switch = Switch::new(&store).shared();
            let layer = set(ResumeLayer::new(switch.clone(), keys()).tokens_are_enough());
            (self.under(layer), switch)
        })
    }

    /// Two nodes on one store, for keys that are shared.
    pub fn shared(&self) -> [Router; 2] {
        self.pair(|layer| layer.idempotency(Idempotency::new().shared_keys())).map(|(node, _)| node)
    }
}

/// A request on a task of its own. Aborted, its client leaves.
pub fn ask(node: &Router, request: http::Request<Body>) -> JoinHandle<Reply> {
    let node = node.clone();
    tokio::spawn(async move { call(node, request).await })
}
