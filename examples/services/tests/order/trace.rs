//! Tracing outside sees clients, each resume of theirs as well. Inside it sees handlers.
//!
//! tower-http's says nothing of a body that fails after a status of 200, in whatever order: neither that the stream has ended nor
//! that it has failed. The layer does, by `resume_live_end`.

use crate::common::{Ended, Handler, Reply, call, get_stream, layer};
use axum::Router;
use http::{HeaderMap, Response};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tower::{Layer, Service};
use tower_http::{classify::ServerErrorsFailureClass, timeout::ResponseBodyDeadlineLayer, trace::TraceLayer};
use tracing::Span;

/// What a trace layer is told, in order.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    fn say(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

macro_rules! trace {
    ($told:expr) => {{
        let (response, eos, failure) = ($told.clone(), $told.clone(), $told.clone());
        TraceLayer::new_for_http()
            .on_response(move |answer: &Response<_>, _: Duration, _: &Span| response.say(answer.status().as_str()))
            .on_eos(move |_: Option<&HeaderMap>, _: Duration, _: &Span| eos.say("end of stream"))
            .on_failure(move |class: ServerErrorsFailureClass, _: Duration, _: &Span| match class {
                ServerErrorsFailureClass::StatusCode(status) => failure.say(format!("failed: {status}")),
                ServerErrorsFailureClass::Error(_) => failure.say("failed: error"),
            })
    }};
}

/// A stream whose first response is cut and whose second one is whole.
async fn cut_and_resumed(app: &Router, handler: &Handler) {
    let mut reply = call(app.clone(), get_stream()).await;
    reply.phase("open").await;
    let told = handler.told().await;
    told.count(1..=1);
    let id = reply.counts(1..=1).await;
    assert_eq!(reply.rest().await.1, Ended::Abrupt);
    told.count(2..=2);
    told.end();
    let mut request = get_stream();
    request.headers_mut().insert("last-event-id", id.parse().unwrap());
    assert_eq!(call(app.clone(), request).await.events().await.1, Ended::Clean);
}

#[tokio::test(start_paused = true)]
async fn outside_it_sees_each_response_and_the_end_of_the_one_that_was_not_cut() {
    let (handler, told) = (Handler::new(), Told::default());
    let deadline = ResponseBodyDeadlineLayer::new(Duration::from_secs(5));
    let app: Router = handler.router().layer(layer()).layer(deadline).layer(trace!(told));
    cut_and_resumed(&app, &handler).await;
    assert_eq!(told.all(), ["200", "200", "end of stream"]);
}

#[tokio::test(start_paused = true)]
async fn inside_it_sees_the_handler_and_no_client() {
    let (handler, told) = (Handler::new(), Told::default());
    let deadline = ResponseBodyDeadlineLayer::new(Duration::from_secs(5));
    let app: Router = handler.router().layer(trace!(told)).layer(layer()).layer(deadline);
    cut_and_resumed(&app, &handler).await;
    assert_eq!(told.all(), ["200", "end of stream"]);
}
