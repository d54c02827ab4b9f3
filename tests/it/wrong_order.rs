//! Layers in the wrong order are warned of, once a layer. `examples/services` tests it with the layers of tower-http.

use crate::common::{Handler, Logs, call, get_stream, layer};
use axum::{Router, body::Body, response::Response, routing::get};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Request, Version};
use std::{error::Error, fmt, io};
use tracing::Level;

/// As a body timeout of tower-http's says it, with another error around.
#[derive(Debug)]
struct OutOfTime;

impl fmt::Display for OutOfTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("data was not received within the designated timeout")
    }
}

impl Error for OutOfTime {}

fn orders(logs: &Logs) -> Vec<String> {
    logs.of(Level::WARN).into_iter().filter(|line| line.contains("in axum, add it after")).collect()
}

#[tokio::test]
async fn cors_inside_is_told_once_a_layer() {
    let logs = Logs::new();
    let handler = Handler::with_head(|mut response| {
        response.headers_mut().insert("access-control-allow-origin", HeaderValue::from_static("*"));
        response
    });
    for told in 1..=2 {
        let app = handler.router().layer(layer());
        for _ in 0..2 {
            let mut reply = call(app.clone(), get_stream()).await;
            assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
            reply.phase("open").await;
        }
        assert_eq!(orders(&logs).len(), told);
    }
    assert!(orders(&logs)[0].contains("put the CORS layer outside of ResumeLayer"), "{:?}", logs.all());
}

#[tokio::test]
async fn a_preflight_at_the_endpoint_is_told_once() {
    let logs = Logs::new();
    let app = Router::new().route_service("/resume", layer().endpoint());
    let options = || Request::options("/resume");
    assert_eq!(call(app.clone(), options().body(Body::empty()).unwrap()).await.status, 405);
    assert_eq!(orders(&logs).len(), 0);
    for _ in 0..2 {
        let preflight = options().header("access-control-request-method", "GET").body(Body::empty()).unwrap();
        assert_eq!(call(app.clone(), preflight).await.status, 405);
    }
    assert_eq!(orders(&logs).len(), 1);
    assert!(orders(&logs)[0].contains("put the CORS layer outside of the resume endpoint, too"), "{:?}", logs.all());
}

#[tokio::test]
async fn a_body_timeout_inside_is_told_once_and_other_failures_are_not_taken_for_one() {
    for (error, told) in [(io::Error::other(OutOfTime), 1), (io::Error::other("out of luck"), 0)] {
        let logs = Logs::new();
        let error = std::sync::Arc::new(error);
        let handler = move || {
            let failure = io::Error::other(std::sync::Arc::clone(&error));
            let body = stream::iter([Ok(Bytes::from("data: 1\n\n")), Err(failure)]);
            async {
                Response::builder().header("content-type", "text/event-stream").body(Body::from_stream(body)).unwrap()
            }
        };
        let app = Router::new().route("/stream", get(handler)).layer(layer());
        for _ in 0..2 {
            let mut reply = call(app.clone(), get_stream()).await;
            reply.phase("open").await;
            reply.counts(1..=1).await;
            assert_eq!(reply.phase("end").await["status"], "error");
        }
        assert_eq!(orders(&logs).len(), told, "{:?}", logs.all());
    }
}

#[tokio::test]
async fn a_proxy_that_speaks_http_1_0_is_told_once() {
    let (handler, logs) = (Handler::new(), Logs::new());
    let app = handler.router().layer(layer());
    for (version, told) in [(Version::HTTP_11, 0), (Version::HTTP_2, 0), (Version::HTTP_10, 1), (Version::HTTP_10, 1)] {
        let mut request = get_stream();
        *request.version_mut() = version;
        call(app.clone(), request).await.phase("open").await;
        let warnings = logs.of(Level::WARN);
        assert_eq!(warnings.iter().filter(|line| line.contains("proxy_http_version 1.1")).count(), told, "{version:?}");
        assert_eq!(warnings.len(), told, "{warnings:?}");
    }
}
