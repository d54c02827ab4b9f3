//! Limits of what runs at a time, and shedding, belong inside: a resume costs the handler nothing, and an `EventSource` that
//! gets a 503 gives up for good. They count heads, not streams; for those the layer has limits of its own.

use crate::common::{Handler, Reply, call, get_stream, layer};
use axum::{Router, error_handling::HandleErrorLayer, routing::get};
use http::StatusCode;
use std::{future::pending, time::Duration};
use tower::{ServiceBuilder, limit::GlobalConcurrencyLimitLayer};

macro_rules! one_at_a_time {
    () => {
        ServiceBuilder::new()
            .layer(HandleErrorLayer::new(async |_: tower::BoxError| StatusCode::SERVICE_UNAVAILABLE))
            .load_shed()
            .layer(GlobalConcurrencyLimitLayer::new(1))
    };
}

/// The statuses of a resume and of a new stream, while a handler that does not answer takes the only place there is.
async fn while_it_is_full(app: Router, handler: &Handler) -> (u16, u16) {
    let mut reply = call(app.clone(), get_stream()).await;
    reply.phase("open").await;
    let told = handler.told().await;
    told.count(1..=1);
    let id = reply.counts(1..=1).await;

    // The stream is open, and its place is free all the same.
    let mut second = call(app.clone(), get_stream()).await;
    second.phase("open").await;
    drop(handler.told().await);

    let mut never = get_stream();
    *never.uri_mut() = "/never".parse().unwrap();
    let full = app.clone();
    let full = tokio::spawn(async move { call(full, never).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!full.is_finished());

    let mut request = get_stream();
    request.headers_mut().insert("last-event-id", id.parse().unwrap());
    let resumed = call(app.clone(), request).await;
    let fresh = call(app, get_stream()).await;
    full.abort();
    (resumed.status.as_u16(), fresh.status.as_u16())
}

fn app(handler: &Handler) -> Router {
    handler.router().route("/never", get(pending::<&'static str>))
}

#[tokio::test(start_paused = true)]
async fn outside_a_full_service_turns_resumes_away() {
    let handler = Handler::new();
    let app = app(&handler).layer(layer()).layer(one_at_a_time!());
    assert_eq!(while_it_is_full(app, &handler).await, (503, 503));
}

#[tokio::test(start_paused = true)]
async fn inside_a_full_service_still_resumes() {
    let handler = Handler::new();
    let app = app(&handler).layer(one_at_a_time!()).layer(layer());
    assert_eq!(while_it_is_full(app, &handler).await, (200, 503));
}

#[tokio::test(start_paused = true)]
async fn in_a_bare_stack_a_limit_inside_makes_resumes_wait() {
    let handler = Handler::new();
    let layer = layer();
    let bare = ServiceBuilder::new().layer(layer.clone()).concurrency_limit(1).service(app(&handler));
    let mut reply = call(bare.clone(), get_stream()).await;
    reply.phase("open").await;
    drop(handler.told().await);
    let id = reply.event().await.id.unwrap();

    let mut never = get_stream();
    *never.uri_mut() = "/never".parse().unwrap();
    let mut resume = get_stream();
    resume.headers_mut().insert("x-resume-token", id.parse().unwrap());
    let full = tokio::spawn(call(bare.clone(), never));
    tokio::time::sleep(Duration::from_secs(1)).await;
    // That is how a stack of tower's says that it is full: the service that is asked is not ready.
    let mut resumed = tokio::spawn(call(bare, resume));
    assert!(tokio::time::timeout(Duration::from_secs(60), &mut resumed).await.is_err());
    full.abort();
    assert_eq!(resumed.await.unwrap().status, 200);
}
