//! Shared drafts, under the layer.

use std::time::Duration;

use super::*;
use crate::http::{STREAM_PATH, Settings, router};
use crate::pace::Pace;
use crate::resuming::{RESUME_PATH, resumable, tests::layer};
use axum::Router;
use axum::body::Body;
use axum::http::HeaderMap;
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

const SHARE: &str = "0b7e6a9e-3f60-4f0e-9c3a-0d9a3b0f5b11";
const BRIEF: &str = "Should+we+build+the+billing+service+ourselves+or+buy+one%3F";

fn app(pace: Duration) -> Router {
    resumable(router(Settings { pace: Pace::every(pace), ..Settings::default() }), layer())
}

async fn call(app: &Router, request: Request<Body>) -> (StatusCode, HeaderMap, String) {
    let (head, body) = app.clone().oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (head.status, head.headers, String::from_utf8(body.to_vec()).unwrap())
}

fn get(uri: &str) -> Request<Body> {
    Request::get(uri).body(Body::empty()).unwrap()
}

/// The draft's own events.
fn stages(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with("data: {\"stage\"")).collect()
}

#[tokio::test]
async fn who_knows_the_share_follows_the_draft_from_its_start_also_when_it_is_over() {
    let app = app(Duration::ZERO);
    let (status, _, drafted) = call(&app, get(&format!("{STREAM_PATH}?brief={BRIEF}&share={SHARE}"))).await;
    assert_eq!(status, StatusCode::OK);
    let (status, headers, watched) = call(&app, get(&format!("{WATCH_PATH}?share={SHARE}"))).await;
    assert_eq!((status, &headers["content-type"]), (StatusCode::OK, &"text/event-stream".parse().unwrap()));
    assert!(stages(&drafted).len() > 20);
    assert_eq!(stages(&watched), stages(&drafted));
}

#[tokio::test]
async fn a_viewer_may_read_and_not_cancel() {
    let app = app(Duration::from_secs(3600));
    let start = Request::post(format!("{STREAM_PATH}?share={SHARE}"))
        .body(Body::from(r#"{"brief":"Should we build the billing service ourselves or buy one?"}"#));
    let started = app.clone().oneshot(start.unwrap()).await.unwrap();
    let watched = app.clone().oneshot(get(&format!("{WATCH_PATH}?share={SHARE}"))).await.unwrap();
    assert_eq!(watched.headers()["x-resume-stream"], started.headers()["x-resume-stream"]);
    let cancel = |token| Request::delete(RESUME_PATH).header("x-resume-token", token).body(Body::empty()).unwrap();
    let (status, _, text) = call(&app, cancel(&watched.headers()["x-resume-token"])).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(text.contains("not_allowed"), "{text}");
    let (status, _, _) = call(&app, cancel(&started.headers()["x-resume-token"])).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_share_that_nobody_has_started_is_empty_and_one_that_can_be_guessed_is_refused() {
    let app = app(Duration::ZERO);
    let (status, ..) = call(&app, get(&format!("{WATCH_PATH}?share={SHARE}"))).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    for bad in ["?share=1", "?share=", "", "?share=0b7e6a9e-3f60-4f0e-9c3a-0d9a3b0f5b1g"] {
        let (status, _, text) = call(&app, get(&format!("{WATCH_PATH}{bad}"))).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}");
        assert!(text.contains("a random UUID"), "{text}");
    }
    let (status, ..) = call(&app, get(&format!("{STREAM_PATH}?brief={BRIEF}&share=mine"))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}
