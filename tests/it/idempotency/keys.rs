//! What a key counts for, what is none, and when it is not looked at.

use super::{SECOND, joined, problem, with};
use crate::common::{Stage, Switch, ask, call, keys};
use axum::{Router, body::Body};
use http::{Method, Request, request::Parts};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tower_resume::{Idempotency, Keys, ResumeLayer, store::MemoryStore};

/// Whether a request joins the stream of [`with`]`("k")`.
async fn joins(stage: &Stage, node: &Router, request: Request<Body>) -> bool {
    let what = format!("{request:?}");
    let reply = ask(node, request);
    sleep(SECOND).await;
    let ran = stage.arrived().map(|called| called.counted(1)).is_some();
    let reply = reply.await.unwrap();
    assert_eq!(ran, reply.header("idempotency-replayed").is_none(), "{what}");
    !ran
}

#[tokio::test(start_paused = true)]
async fn a_key_counts_for_its_method_path_and_query_only() {
    let stage = Stage::new();
    let nodes = stage.shared();
    let other = |method: Method, uri: &str, key: &str| {
        Request::builder().method(method).uri(uri).header("idempotency-key", key).body(Body::empty()).unwrap()
    };
    assert!(!joins(&stage, &nodes[0], with("k")).await);
    for (request, expected) in [
        (other(Method::POST, "/stream?a=1", "k"), true),
        (other(Method::POST, "/stream?a=1", "\"k\""), true),
        (other(Method::POST, "http://elsewhere/stream?a=1", "k"), true),
        (other(Method::POST, "/stream?a=1", "K"), false),
        (other(Method::GET, "/stream?a=1", "k"), false),
        (other(Method::POST, "/stream", "k"), false),
        (other(Method::POST, "/stream?", "k"), false),
        (other(Method::POST, "/stream?a=2", "k"), false),
        (other(Method::POST, "/Stream?a=1", "k"), false),
        (other(Method::POST, "/strea?ma=1", "k"), false),
    ] {
        let what = format!("{request:?}");
        assert_eq!(joins(&stage, &nodes[1], request).await, expected, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn keys_of_another_scope_or_secret_are_other_keys() {
    let stage = Stage::new();
    let store = MemoryStore::new();
    let layer = |scope: &str, secrets: &[[u8; 32]]| {
        let layer = ResumeLayer::new(store.clone(), Keys::ring(secrets).unwrap()).scope(scope).tokens_are_enough();
        stage.under(layer.idempotency(Idempotency::new().shared_keys()))
    };
    let (old, new) = ([1; 32], [2; 32]);
    assert!(!joins(&stage, &layer("", &[old]), with("k")).await);
    assert!(!joins(&stage, &layer("s", &[old]), with("k")).await);
    assert!(!joins(&stage, &layer("", &[new]), with("k")).await);
    assert!(joins(&stage, &layer("", &[old]), with("k")).await);
}

#[tokio::test(start_paused = true)]
async fn in_the_course_of_a_rotation_a_key_runs_once_still() {
    let (old, new) = ([1; 32], [2; 32]);
    let rings: [&[[u8; 32]]; 4] = [&[old], &[old, new], &[new, old], &[new]];
    for (at, one) in rings.iter().enumerate() {
        for (to, other) in rings.iter().enumerate() {
            // Nodes at the two ends of a rotation share no secret, nor do their tokens.
            if at.abs_diff(to) == 3 {
                continue;
            }
            let stage = Stage::new();
            let store = MemoryStore::new();
            let node = |ring: &[[u8; 32]]| {
                let layer = ResumeLayer::new(Switch::new(&store).shared(), Keys::ring(ring).unwrap());
                stage.under(layer.tokens_are_enough().idempotency(Idempotency::new().shared_keys()))
            };
            let nodes = [node(one), node(other)];
            let replies: Vec<_> = (0..6).map(|number| ask(&nodes[number % 2], with("k"))).collect();
            stage.call().await.counted(1);
            let mut runs = 0;
            for reply in replies {
                runs += usize::from(reply.await.unwrap().header("idempotency-replayed").is_none());
            }
            assert_eq!(runs, 1, "rings {at} and {to}");
            assert!(stage.arrived().is_none(), "rings {at} and {to}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_used_for_another_request_is_refused() {
    let stage = Stage::new();
    let print = |head: &Parts| Some(head.headers.get("content-digest")?.as_bytes().to_vec());
    let set = Idempotency::new().shared_keys().fingerprint_with(print);
    let ttl = Duration::from_secs(100);
    let nodes = stage.pair(|layer| layer.state_ttl(ttl).idempotency(set.clone())).map(|(node, _)| node);
    let saying = |digest: &str| {
        let mut request = with("k");
        request.headers_mut().insert("content-digest", digest.parse().unwrap());
        request
    };
    let refused = async || {
        for node in &nodes {
            let since = Instant::now();
            problem(call(node.clone(), saying("b")).await, 422, "key_reused").await;
            assert_eq!(since.elapsed(), Duration::ZERO, "at once");
        }
    };
    let first = ask(&nodes[0], saying("a"));
    let called = stage.call().await;
    refused().await;
    let body = called.stream();
    body.count(1);
    let mut first = first.await.unwrap();
    first.phase("open").await;
    first.counts([1]).await;
    refused().await;
    drop(body);
    first.phase("end").await;
    refused().await;
    for node in &nodes {
        joined(call(node.clone(), saying("a")).await, 1).await;
        // Where there is nothing to compare, nothing differs.
        joined(call(node.clone(), with("k")).await, 1).await;
    }
    assert!(stage.arrived().is_none());
    sleep(ttl * 3 / 2).await;
    let next = ask(&nodes[1], saying("b"));
    stage.call().await.counted(1);
    assert_eq!(next.await.unwrap().status, 200, "the key is free again");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_key_is_refused_where_keys_count() {
    let stage = Stage::new();
    let nodes = stage.shared();
    let plain = stage.plain(ResumeLayer::new(MemoryStore::new(), keys()).tokens_are_enough());
    let long = "k".repeat(256);
    for bad in ["", "a,b", "a b", "\"a", &long] {
        problem(call(nodes[0].clone(), with(bad)).await, 400, "bad_idempotency_key").await;
        let reply = ask(&plain, with(bad));
        stage.call().await.counted(1);
        assert_eq!(reply.await.unwrap().status, 200, "with keys off it is the application's own");
    }
    let mut twice = with("k");
    twice.headers_mut().append("idempotency-key", "k".parse().unwrap());
    problem(call(nodes[0].clone(), twice).await, 400, "bad_idempotency_key").await;
}

#[tokio::test(start_paused = true)]
async fn resumes_and_what_is_never_recorded_have_no_keys() {
    let stage = Stage::new();
    let nodes = stage.shared();
    let first = ask(&nodes[0], with("k"));
    let _body = stage.call().await.stream();
    let token = first.await.unwrap().header("x-resume-token").unwrap().to_owned();
    for (carrier, bad) in [("x-resume-token", false), ("last-event-id", false), ("x-resume-token", true)] {
        let mut request = with(if bad { "a,b" } else { "k" });
        request.headers_mut().insert(carrier, token.parse().unwrap());
        let reply = call(nodes[1].clone(), request).await;
        assert_eq!((reply.status.as_u16(), reply.header("idempotency-replayed")), (200, None));
    }
    for method in [Method::HEAD, Method::OPTIONS, Method::HEAD, Method::OPTIONS] {
        let mut request = with("k");
        *request.method_mut() = method;
        let reply = ask(&nodes[0], request);
        stage.call().await.counted(1);
        assert_eq!(reply.await.unwrap().header("x-resume-stream"), None);
    }
    assert!(stage.arrived().is_none());
}

#[tokio::test(start_paused = true)]
async fn with_no_secret_and_without_the_setting_keys_are_not_looked_at() {
    let stage = Stage::new();
    let layer = || ResumeLayer::new(MemoryStore::new(), None);
    let off = stage.plain(layer().keys(keys()).tokens_are_enough());
    let no_secret = stage.under(layer().idempotency(Idempotency::new().shared_keys()));
    for node in [off, no_secret] {
        let replies = [ask(&node, with("k")), ask(&node, with("k"))];
        for _ in 0..2 {
            stage.call().await.counted(1);
        }
        for reply in replies {
            assert_eq!(reply.await.unwrap().status, 200);
        }
    }
}
