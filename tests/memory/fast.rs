//! A handler that is ready with its next event at any time.

use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{Request, Response};
use std::{convert::Infallible, future::Ready, sync::Arc};
use tokio::sync::watch;
use tower::{Service, service_fn};

/// How far each stream may go, and how long its events are.
#[derive(Clone)]
pub struct Pace(Arc<watch::Sender<u64>>);

impl Pace {
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }

    /// All streams go on up to this event; with `u64::MAX` they end where they are.
    pub fn go_to(&self, event: u64) {
        self.0.send_replace(event);
    }

    /// Streams of `data: <number>` with as much behind it as makes `size` bytes.
    pub fn handler(
        &self,
        size: usize,
    ) -> impl Service<Request<Body>, Response = Response<Body>, Error = http::Error, Future: Send> + Clone + use<> {
        let pace = self.clone();
        service_fn(move |_: Request<Body>| pace.clone().respond(size))
    }

    fn respond(self, size: usize) -> Ready<Result<Response<Body>, http::Error>> {
        let events = stream::unfold((0, self.0.subscribe()), move |(last, mut pace)| async move {
            let upto = *pace.wait_for(|upto| *upto > last).await.ok()?;
            if upto == u64::MAX {
                return None;
            }
            let next = last + 1;
            let mut event = format!("data: {next} ");
            event.extend(std::iter::repeat_n('x', size - event.len() - 2));
            event.push_str("\n\n");
            Some((Ok::<_, Infallible>(Bytes::from(event)), (next, pace)))
        });
        std::future::ready(
            Response::builder().header("content-type", "text/event-stream").body(Body::from_stream(events.boxed())),
        )
    }
}

/// The number in an event's data.
pub fn number(data: &str) -> u64 {
    data.split(' ').next().unwrap().parse().unwrap()
}
