//! Authentication belongs outside: a resume is answered before anything inside is asked.

use crate::common::{Handler, call, get_stream, layer};
use axum::{
    Router,
    extract::Request,
    middleware::{Next, from_fn},
    response::{IntoResponse as _, Response},
};
use http::StatusCode;

async fn logged_in(request: Request, next: Next) -> Response {
    if request.headers().get("authorization").is_none_or(|value| value != "Bearer ada") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    next.run(request).await
}

/// What a client that is not logged in any more gets for the token that it has.
async fn without_login(app: Router, handler: &Handler) -> u16 {
    let mut request = get_stream();
    request.headers_mut().insert("authorization", "Bearer ada".parse().unwrap());
    let mut reply = call(app.clone(), request).await;
    reply.phase("open").await;
    let told = handler.told().await;
    told.count(1..=1);
    let id = reply.counts(1..=1).await;
    let mut request = get_stream();
    request.headers_mut().insert("last-event-id", id.parse().unwrap());
    call(app, request).await.status.as_u16()
}

#[tokio::test]
async fn outside_it_is_asked_for_resumes_as_well() {
    let handler = Handler::new();
    let app = handler.router().layer(layer()).layer(from_fn(logged_in));
    assert_eq!(without_login(app, &handler).await, 401);
}

#[tokio::test]
async fn inside_it_is_not_asked_for_resumes() {
    let handler = Handler::new();
    let app = handler.router().layer(from_fn(logged_in)).layer(layer());
    assert_eq!(without_login(app, &handler).await, 200);
}
