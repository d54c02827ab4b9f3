//! Request ids belong outside: there the layer sees what they set, and resumes have them, too.

use crate::common::{Handler, Reply, call, get_stream, layer};
use axum::Router;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};

/// The first response's id, the one that its `end` names, and the resume's.
async fn ids(app: Router, handler: &Handler) -> (Option<String>, String, Option<String>) {
    let id = |reply: &Reply| reply.header("x-request-id").map(str::to_owned);
    let mut first = call(app.clone(), get_stream()).await;
    first.phase("open").await;
    let told = handler.told().await;
    told.count(1..=1);
    let token = first.counts(1..=1).await;
    told.end();
    let end = first.phase("end").await;
    let correlation = end["diagnostics"]["correlation_id"].as_str().unwrap().to_owned();
    let mut request = get_stream();
    request.headers_mut().insert("last-event-id", token.parse().unwrap());
    let resumed = call(app, request).await;
    (id(&first), correlation, id(&resumed))
}

macro_rules! ided {
    ($app:expr) => {
        $app.layer(PropagateRequestIdLayer::x_request_id()).layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
    };
}

#[tokio::test]
async fn outside_a_stream_is_known_by_the_id_and_resumes_have_their_own() {
    let handler = Handler::new();
    let (first, correlation, resumed) = ids(ided!(handler.router().layer(layer())), &handler).await;
    assert_eq!(first.as_deref(), Some(&*correlation));
    assert!(resumed.is_some() && resumed != first);
}

#[tokio::test]
async fn inside_the_layer_does_not_see_it_and_resumes_have_none() {
    let handler = Handler::new();
    let (first, correlation, resumed) = ids(ided!(handler.router()).layer(layer()), &handler).await;
    assert!(first.is_some() && first.as_deref() != Some(&*correlation));
    assert_eq!(resumed, None);
}
