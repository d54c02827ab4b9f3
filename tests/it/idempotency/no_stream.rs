//! An answer that nobody can join: it passes as it is, and the next request with the key runs the handler.

use super::{SECOND, with, with_keys};
use crate::common::{Stage, ask, keys, open_stream};
use axum::{body::Body, response::Response};
use http::Request;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::time::{sleep, timeout};
use tower::{Layer as _, service_fn};
use tower_resume::{Idempotency, ResumeLayer, store::MemoryStore};

/// Answers that are no stream of the layer's.
pub(super) fn no_streams() -> Vec<Response> {
    let answer = |status: u16, kind: &str| {
        let response = Response::builder().status(status).header("content-type", kind).header("content-length", 9);
        response.body(Body::from("data: 1\n\n")).unwrap()
    };
    let mut encoded = answer(200, "text/event-stream");
    encoded.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    vec![
        answer(200, "application/json"),
        answer(404, "application/json"),
        answer(500, "text/event-stream"),
        answer(201, "text/event-stream"),
        encoded,
    ]
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_no_stream_passes_untouched_and_lets_the_next_one_run() {
    let stage = Stage::new();
    let nodes = stage.shared();
    for (number, answer) in no_streams().into_iter().enumerate() {
        let key = format!("k{number}");
        let expected = (answer.status(), answer.headers().clone());
        let first = ask(&nodes[0], with(&key));
        let called = stage.call().await;
        let waiting = ask(&nodes[1], with(&key));
        let here = ask(&nodes[0], with(&key));
        sleep(SECOND).await;
        assert!(stage.arrived().is_none(), "they wait");
        called.answer(answer);
        let first = first.await.unwrap();
        assert_eq!((first.status, first.headers.clone()), expected);
        assert_eq!(first.text().await, "data: 1\n\n");
        // One of those who waited runs, and the other joins it.
        timeout(SECOND, stage.call()).await.expect("at once").counted(1);
        let replies = [waiting.await.unwrap(), here.await.unwrap()];
        let replayed = replies.iter().filter(|reply| reply.header("idempotency-replayed").is_some()).count();
        assert_eq!(replayed, 1, "{expected:?}");
        assert!(stage.arrived().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_goes_where_it_would_have_gone_and_lets_the_next_one_run() {
    let stage = Stage::new();
    let nodes = stage.shared();
    let first = ask(&nodes[0], with("k"));
    let called = stage.call().await;
    let waiting = ask(&nodes[1], with("k"));
    sleep(SECOND).await;
    called.panic();
    let error = first.await.map(drop).unwrap_err();
    let panic = *error.into_panic().downcast::<String>().unwrap();
    assert!(panic.contains("told to panic"), "{panic}");
    stage.call().await.counted(1);
    assert_eq!(waiting.await.unwrap().header("idempotency-replayed"), None);
}

#[tokio::test(start_paused = true)]
async fn an_error_comes_out_as_it_is_and_lets_the_next_one_run() {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let fails = service_fn(move |_: Request<Body>| {
        let run = counted.fetch_add(1, Ordering::SeqCst);
        async move {
            sleep(SECOND).await;
            if run == 0 { Err(std::io::Error::other("told to")) } else { Ok(open_stream().1) }
        }
    });
    let layer = ResumeLayer::new(MemoryStore::new(), keys()).tokens_are_enough();
    let service = layer.idempotency(Idempotency::new().shared_keys()).layer(fails);
    let once = |request| tower::ServiceExt::oneshot(service.clone(), request);
    let (first, second) = tokio::join!(once(with("k")), once(with("k")));
    assert_eq!(first.map(drop).unwrap_err().to_string(), "told to");
    assert_eq!(second.unwrap().headers().get("idempotency-replayed"), None);
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    assert_eq!(once(with("k")).await.unwrap().headers()["idempotency-replayed"], "true");
}

#[tokio::test(start_paused = true)]
async fn a_stream_over_the_nodes_limits_is_not_joined() {
    let stage = Stage::new();
    let nodes = stage.pair(|layer| with_keys(layer.max_streams(0))).map(|(node, _)| node);
    for node in &nodes {
        let reply = ask(node, with("k"));
        stage.call().await.counted(1);
        let reply = reply.await.unwrap();
        assert_eq!(reply.header("x-resume-degraded"), Some("capacity"));
        assert_eq!(reply.text().await, "data: 1\n\n");
    }
}
