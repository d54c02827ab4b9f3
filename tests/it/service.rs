//! The tower surface: readiness, errors, clones, and what happens outside of a runtime.

use crate::common::{call, get_stream, keys, layer};
use axum::body::Body;
use futures_util::FutureExt as _;
use http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};
use tower::{Layer as _, Service, ServiceBuilder, ServiceExt as _, service_fn};
use tower_resume::{Idempotency, Resume, ResumeLayer, store::MemoryStore};

/// Is ready at the third look, may be called once then, and counts its clones. A clone of it is not ready.
#[derive(Debug, Default)]
struct Shy {
    looks: usize,
    clones: Arc<AtomicUsize>,
}

impl Clone for Shy {
    fn clone(&self) -> Self {
        self.clones.fetch_add(1, Ordering::Relaxed);
        Self { looks: 0, clones: Arc::clone(&self.clones) }
    }
}

/// An error that is nothing like a boxed one: neither `Error` nor `Send`.
#[derive(Debug, PartialEq)]
struct Odd(*const ());

impl Service<Request<Body>> for Shy {
    type Response = Response<Body>;
    type Error = Odd;
    type Future = Ready<Result<Response<Body>, Odd>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Odd>> {
        self.looks += 1;
        match self.looks {
            1 | 2 => Poll::Pending,
            3 => Poll::Ready(Ok(())),
            _ => Poll::Ready(Err(Odd(std::ptr::null()))),
        }
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        assert_eq!(self.looks, 3, "called without being ready");
        self.looks = 0;
        ready(match request.uri().path() {
            "/fail" => Err(Odd(std::ptr::null())),
            _ => Ok(Response::new(Body::empty())),
        })
    }
}

#[tokio::test]
async fn readiness_is_the_inner_services_own() {
    let mut service = layer().layer(Shy::default());
    let mut look = || service.poll_ready(&mut Context::from_waker(std::task::Waker::noop()));
    assert_eq!(look(), Poll::Pending);
    assert_eq!(look(), Poll::Pending);
    assert_eq!(look(), Poll::Ready(Ok(())));
    assert_eq!(look(), Poll::Ready(Err(Odd(std::ptr::null()))), "its error, too");
}

#[tokio::test]
async fn the_inner_service_that_was_ready_is_the_one_called_and_is_never_cloned() {
    let shy = Shy::default();
    let clones = Arc::clone(&shy.clones);
    let mut service = layer().layer(shy);
    for _ in 0..3 {
        for _ in 0..2 {
            assert!(service.poll_ready(&mut Context::from_waker(std::task::Waker::noop())).is_pending());
        }
        let response = service.ready().await.unwrap().call(get_stream()).await.unwrap();
        assert_eq!(response.status(), 200);
    }
    assert_eq!(clones.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn with_keys_too_the_one_that_was_ready_is_called_and_only_a_key_that_counts_clones_it() {
    let shy = Sendable::default();
    let clones = Arc::clone(&shy.0.clones);
    let mut service = layer().idempotency(Idempotency::new().shared_keys()).layer(shy);
    for (key, cloned) in [(None, 0), (Some("k"), 1), (None, 1), (Some("other"), 2)] {
        for _ in 0..2 {
            assert!(service.poll_ready(&mut Context::from_waker(std::task::Waker::noop())).is_pending());
        }
        let mut request = get_stream();
        if let Some(key) = key {
            request.headers_mut().insert("idempotency-key", key.parse().unwrap());
        }
        assert_eq!(service.ready().await.unwrap().call(request).await.unwrap().status(), 200);
        assert_eq!(clones.load(Ordering::Relaxed), cloned);
    }
}

/// [`Shy`], with an error that can be sent.
#[derive(Clone, Debug, Default)]
struct Sendable(Shy);

impl Service<Request<Body>> for Sendable {
    type Response = Response<Body>;
    type Error = String;
    type Future = Ready<Result<Response<Body>, String>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), String>> {
        self.0.poll_ready(cx).map_err(|error| format!("{error:?}"))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        ready(self.0.call(request).into_inner().map_err(|error| format!("{error:?}")))
    }
}

#[tokio::test]
async fn the_inner_services_error_comes_out_as_it_is() {
    let mut service = layer().layer(Shy { looks: 2, ..Shy::default() });
    let request = Request::get("/fail").body(Body::empty()).unwrap();
    let error = service.ready().await.unwrap().call(request).await.unwrap_err();
    assert_eq!(error, Odd(std::ptr::null()));
}

#[test]
fn a_service_that_cannot_fail_still_cannot() {
    fn infallible<S: Service<Request<Body>, Error = Infallible>>(_: &S) {}
    let inner = service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new(Body::empty())));
    infallible(&layer().layer(inner));
    infallible(&layer().endpoint());
}

#[test]
fn the_wrapped_service_can_be_looked_at_changed_and_taken_out() {
    let mut service: Resume<Shy, MemoryStore> = layer().layer(Shy::default());
    service.get_mut().looks = 5;
    assert_eq!(service.get_ref().looks, 5);
    assert_eq!(service.clone().get_ref().looks, 0, "a clone clones it");
    assert_eq!(service.into_inner().looks, 5);
}

fn sse(_: Request<Body>) -> Ready<Result<Response<Body>, Infallible>> {
    let response = Response::builder().header("content-type", "text/event-stream");
    ready(Ok(response.body(Body::from("data: 1\n\n")).unwrap()))
}

#[test]
fn a_call_outside_of_a_runtime_is_answered_with_a_clear_error() {
    let service = layer().layer(service_fn(sse));
    let resume = Request::get("/").header("x-resume-token", "r").body(Body::empty()).unwrap();
    let endpoint = layer().endpoint();
    let responses = [
        service.clone().oneshot(get_stream()).now_or_never().unwrap().unwrap().map(|body| body.boxed_unsync()),
        service.clone().oneshot(resume).now_or_never().unwrap().unwrap().map(|body| body.boxed_unsync()),
        endpoint
            .oneshot(get_stream())
            .now_or_never()
            .unwrap()
            .unwrap()
            .map(|body| body.map_err(Into::into).boxed_unsync()),
    ];
    for response in responses {
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let body = response.into_body().collect().now_or_never().unwrap().unwrap().to_bytes();
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((problem["status"].as_u64(), problem["code"].as_str()), (Some(500), Some("no_runtime")));
        assert!(problem["detail"].as_str().unwrap().contains("tokio runtime"), "{problem}");
    }
    // What is never recorded passes even so.
    let mut head = get_stream();
    *head.method_mut() = Method::HEAD;
    assert_eq!(service.oneshot(head).now_or_never().unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn it_takes_its_place_in_a_service_builder() {
    let service = ServiceBuilder::new()
        .map_response(|mut response: Response<_>| {
            response.headers_mut().insert("x-outer", http::HeaderValue::from_static("1"));
            response
        })
        .layer(layer())
        .map_request(|request: Request<Body>| {
            assert!(request.extensions().get::<tower_resume::ResumeStream>().is_some());
            request
        })
        .service_fn(sse);
    let mut reply = call(service, get_stream()).await;
    assert_eq!(reply.header("x-outer"), Some("1"));
    reply.phase("open").await;
    reply.counts([1]).await;
    reply.phase("end").await;
}

#[tokio::test]
async fn clones_of_a_layer_are_one_node_and_a_setter_makes_another() {
    let layer = layer();
    let first = layer.layer(service_fn(sse));
    let token = call(first, get_stream()).await.header("x-resume-token").unwrap().to_owned();
    let resume = || Request::get("/").header("x-resume-token", &token).body(Body::empty()).unwrap();
    assert_eq!(call(layer.clone().layer(service_fn(sse)), resume()).await.status, 200);
    assert_eq!(call(layer.endpoint(), resume()).await.status, 200);
    let other = ResumeLayer::new(MemoryStore::new(), keys()).tokens_are_enough();
    assert_eq!(call(other.layer(service_fn(sse)), resume()).await.status, 426);
}

#[test]
fn nothing_that_is_printed_holds_the_secret() {
    let layer = layer();
    let service = layer.layer(Shy::default());
    for text in
        [format!("{layer:?}"), format!("{service:?}"), format!("{:?}", layer.endpoint()), format!("{:?}", keys())]
    {
        assert!(!text.contains("the secret of"), "{text}");
        let hex = |byte: &u8| format!("{byte}, ");
        let bytes: String = b"the secret"[..4].iter().map(hex).collect();
        assert!(!text.contains(&bytes), "{text}");
    }
}
