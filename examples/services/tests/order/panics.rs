//! Catching panics does the same in either order: a handler that panics before it answers is a 500, and one that panics in its
//! stream ends it with `error`, which the layer sees to.

use crate::common::{Ended, call, get_stream, layer};
use axum::{Router, body::Body, response::Response, routing::get};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use tower_http::catch_panic::CatchPanicLayer;

async fn at_once() -> Response {
    panic!("a handler that panics")
}

async fn in_its_stream() -> Response {
    let events = stream::iter(1..=2).map(|number| {
        assert_ne!(number, 2, "a stream that panics");
        Ok::<_, std::io::Error>(Bytes::from(format!("data: {number}\n\n")))
    });
    Response::builder().header("content-type", "text/event-stream").body(Body::from_stream(events)).unwrap()
}

#[tokio::test]
async fn panics_are_answered_in_either_order() {
    let app = || Router::new().route("/at-once", get(at_once)).route("/stream", get(in_its_stream));
    let catch = CatchPanicLayer::new;
    for app in [app().layer(layer()).layer(catch()), app().layer(catch()).layer(layer())] {
        let mut request = get_stream();
        *request.uri_mut() = "/at-once".parse().unwrap();
        assert_eq!(call(app.clone(), request).await.status, 500);
        let mut reply = call(app, get_stream()).await;
        reply.phase("open").await;
        reply.counts(1..=1).await;
        assert_eq!(reply.phase("end").await["status"], "error");
        assert_eq!(reply.rest().await, (vec![], Ended::Clean));
    }
}
