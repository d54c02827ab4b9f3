//! Protocol section 3, "Idempotent start": of all requests with one key, one runs the handler.

use crate::common::{Ended, Logs, Peek, Reply, Stage, Switch, ask, call, keys, open_stream, until};
use axum::{Router, body::Body, response::Response};
use http::{Method, Request, request::Parts};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout};
use tower::{Layer as _, service_fn};
use tower_resume::{Authorization, Idempotency, Keys, Principal, ResumeLayer, store::MemoryStore};
use tracing::Level;

const SECOND: Duration = Duration::from_secs(1);

fn with(key: &str) -> Request<Body> {
    Request::post("/stream?a=1").header("idempotency-key", key).body(Body::empty()).unwrap()
}

fn as_user(mut request: Request<Body>, user: &str) -> Request<Body> {
    request.headers_mut().insert("x-user", user.parse().unwrap());
    request
}

fn user(head: &Parts) -> Option<Principal> {
    head.headers.get("x-user").map(|user| Principal::new(user.to_str().unwrap()))
}

fn with_keys(layer: ResumeLayer<Switch>) -> ResumeLayer<Switch, tower_resume::Idempotent> {
    layer.idempotency(Idempotency::new().shared_keys())
}

/// A joined response that has brought these numbers.
async fn joined(mut reply: Reply, to: u64) -> Reply {
    assert_eq!((reply.status.as_u16(), reply.header("idempotency-replayed")), (200, Some("true")));
    let replay = reply.phase("replay").await;
    assert_eq!((replay["mode"].as_str(), replay["from"].as_u64()), (Some("live"), Some(0)));
    if to > 0 {
        reply.counts(1..=to).await;
    }
    reply
}

async fn problem(reply: Reply, status: u16, code: &str) {
    assert_eq!(reply.status.as_u16(), status);
    assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    let problem = reply.json().await;
    assert_eq!((problem["status"].as_u64(), problem["code"].as_str()), (Some(status.into()), Some(code)));
}

#[tokio::test(start_paused = true)]
async fn a_second_request_joins_the_stream_that_runs_from_its_start_on_either_node() {
    let stage = Stage::new();
    let nodes = stage.shared();
    let first = ask(&nodes[0], with("k"));
    let body = stage.call().await.stream();
    let mut first = first.await.unwrap();
    assert_eq!(first.header("idempotency-replayed"), None);
    let id = first.phase("open").await["request_id"].clone();
    (1..=2).for_each(|number| body.count(number));
    first.counts(1..=2).await;
    let mut others = Vec::new();
    for node in [0, 1, 0, 1] {
        let mut other = joined(call(nodes[node].clone(), with("k")).await, 2).await;
        assert_eq!(other.header("x-resume-stream"), id.as_str());
        assert_eq!(other.header("cache-control"), Some("no-store, no-transform"));
        assert_eq!(Peek::into(other.header("x-resume-token").unwrap()).seq, 0);
        other.phase("live").await;
        others.push(other);
    }
    body.count(3);
    drop(body);
    for reply in others.iter_mut().chain([&mut first]) {
        reply.counts([3]).await;
        assert_eq!(reply.phase("end").await["status"], "complete");
        assert_eq!(reply.rest().await, (vec![], Ended::Clean));
    }
    assert!(stage.arrived().is_none(), "the handler ran once");
}

#[tokio::test(start_paused = true)]
async fn who_joins_has_the_rights_of_the_first() {
    let stage = Stage::new();
    let nodes = stage.shared();
    let first = ask(&nodes[0], with("k"));
    let _body = stage.call().await.stream();
    let first = first.await.unwrap();
    assert!(Peek::into(first.header("x-resume-token").unwrap()).may_cancel);
    for node in &nodes {
        let other = call(node.clone(), with("k")).await;
        assert!(Peek::into(other.header("x-resume-token").unwrap()).may_cancel);
    }
}

#[tokio::test(start_paused = true)]
async fn a_finished_stream_counts_for_as_long_as_it_is_kept() {
    let stage = Stage::new();
    let ttl = Duration::from_secs(100);
    let nodes = stage.pair(|layer| with_keys(layer.state_ttl(ttl))).map(|(node, _)| node);
    let first = ask(&nodes[0], with("k"));
    let body = stage.call().await.stream();
    // It runs for longer than a name lives by itself.
    sleep(ttl * 10).await;
    (1..=3).for_each(|number| body.count(number));
    drop(body);
    let mut first = first.await.unwrap();
    first.phase("open").await;
    first.counts(1..=3).await;
    first.phase("end").await;
    sleep(ttl - 2 * SECOND).await;
    for node in &nodes {
        let mut other = joined(call(node.clone(), with("k")).await, 3).await;
        other.phase("end").await;
    }
    sleep(ttl).await;
    let anew = ask(&nodes[1], with("k"));
    stage.call().await.counted(1);
    let mut anew = anew.await.unwrap();
    assert_eq!(anew.header("idempotency-replayed"), None);
    anew.phase("open").await;
    // And that one is joined in its turn.
    joined(call(nodes[0].clone(), with("k")).await, 1).await.phase("end").await;
    assert!(stage.arrived().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_short_is_joined_too() {
    let stage = Stage::new();
    let nodes = stage.shared();
    for round in 0..20 {
        let key = format!("k{round}");
        let first = ask(&nodes[0], with(&key));
        stage.call().await.counted(1);
        let (items, ended) = first.await.unwrap().rest().await;
        assert_eq!((items.len(), ended), (3, Ended::Clean));
        joined(call(nodes[1].clone(), with(&key)).await, 1).await.phase("end").await;
    }
}

#[tokio::test(start_paused = true)]
async fn requests_that_come_before_the_first_was_answered_wait_for_it() {
    let stage = Stage::new();
    let nodes = stage.shared();
    let first = ask(&nodes[0], with("k"));
    let call = stage.call().await;
    let others: Vec<_> = (0..8).map(|other| ask(&nodes[other % 2], with("k"))).collect();
    sleep(9 * SECOND).await;
    assert!(others.iter().all(|other| !other.is_finished()));
    call.counted(2);
    first.await.unwrap();
    for other in others {
        joined(other.await.unwrap(), 2).await.phase("end").await;
    }
    assert!(stage.arrived().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_has_waited_long_enough_is_told_to_come_back_and_then_joins() {
    for (wait, set) in [(10 * SECOND, None), (2 * SECOND, Some(2 * SECOND))] {
        let stage = Stage::new();
        let nodes = stage.pair(|layer| {
            let keys = Idempotency::new().shared_keys();
            layer.idempotency(set.map_or(keys.clone(), |wait| keys.wait(wait)))
        });
        let first = ask(&nodes[0].0, with("k"));
        let waiting = stage.call().await;
        for (node, _) in &nodes {
            let since = Instant::now();
            let reply = call(node.clone(), with("k")).await;
            let waited = since.elapsed();
            assert!(waited >= wait && waited < wait + SECOND / 2, "{waited:?} of {wait:?}");
            assert_eq!(reply.header("retry-after"), Some("1"));
            problem(reply, 409, "in_progress").await;
        }
        waiting.counted(1);
        first.await.unwrap();
        joined(call(nodes[1].0.clone(), with("k")).await, 1).await;
        assert!(stage.arrived().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn the_claim_of_a_handler_that_thinks_for_long_is_kept() {
    let stage = Stage::new();
    let nodes = stage.shared();
    let first = ask(&nodes[0], with("k"));
    let thinking = stage.call().await;
    sleep(Duration::from_secs(3_600)).await;
    problem(call(nodes[1].clone(), with("k")).await, 409, "in_progress").await;
    thinking.counted(1);
    first.await.unwrap();
    joined(call(nodes[1].clone(), with("k")).await, 1).await;
    assert!(stage.arrived().is_none());
}

/// Answers that are no stream of the layer's.
fn no_streams() -> Vec<Response> {
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

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_before_the_first_byte_stops_nothing_and_joins_when_it_is_back() {
    for late in [false, true] {
        let stage = Stage::new();
        let nodes = stage.shared();
        let first = ask(&nodes[0], with("k"));
        let called = stage.call().await;
        first.abort();
        sleep(SECOND).await;
        assert!(!called.is_stopped(), "the handler goes on");
        let back = (!late).then(|| ask(&nodes[1], with("k")));
        sleep(SECOND).await;
        called.counted(3);
        sleep(SECOND).await;
        let back = back.unwrap_or_else(|| ask(&nodes[1], with("k")));
        joined(back.await.unwrap(), 3).await.phase("end").await;
        assert!(stage.arrived().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_while_it_waits_runs_nothing_later() {
    let stage = Stage::new();
    let nodes = stage.shared();
    let first = ask(&nodes[0], with("k"));
    let called = stage.call().await;
    let waiting = ask(&nodes[1], with("k"));
    sleep(SECOND).await;
    waiting.abort();
    sleep(SECOND).await;
    called.answer(no_streams().remove(0));
    first.await.unwrap();
    sleep(20 * SECOND).await;
    assert!(stage.arrived().is_none());
    // Nor has it left anything behind.
    let next = ask(&nodes[0], with("k"));
    timeout(SECOND, stage.call()).await.expect("at once").counted(1);
    next.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_could_not_be_let_go_is_taken_over() {
    let stage = Stage::new();
    let [(one, switch), (other, _)] = stage.pair(with_keys);
    let first = ask(&one, with("k"));
    let called = stage.call().await;
    let waiting = ask(&other, with("k"));
    sleep(SECOND).await;
    switch.set_down(true);
    called.answer(no_streams().remove(0));
    first.await.unwrap();
    timeout(3 * SECOND, stage.call()).await.expect("its node is asked, and knows nothing of it").counted(1);
    waiting.await.unwrap();
    switch.set_down(false);
    // What is let go late takes nothing away.
    sleep(10 * SECOND).await;
    joined(call(one, with("k")).await, 1).await;
}

#[tokio::test(start_paused = true)]
async fn nobody_joins_across_principals() {
    let stage = Stage::new();
    let by_hook = |head: &Parts| user(head).map_or(Authorization::Allow, Authorization::AllowAs);
    let set = Idempotency::new;
    for nodes in [
        stage.pair(|layer| layer.principal_with(user).idempotency(set())),
        stage.pair(|layer| layer.authorize_with(by_hook).idempotency(set())),
        stage.pair(|layer| layer.principal_with(user).idempotency(set().shared_keys())),
    ] {
        let [one, other] = nodes.map(|(node, _)| node);
        let mut streams = Vec::new();
        for name in ["ada", "bob", "Ada"] {
            let first = ask(&one, as_user(with("k"), name));
            stage.call().await.counted(1);
            streams.push(first.await.unwrap().header("x-resume-stream").unwrap().to_owned());
        }
        for (name, stream) in ["ada", "bob", "Ada"].into_iter().zip(streams) {
            let reply = call(other.clone(), as_user(with("k"), name)).await;
            assert_eq!(reply.header("x-resume-stream"), Some(&*stream));
            let token = reply.header("x-resume-token").unwrap().to_owned();
            joined(reply, 1).await;
            // Its tokens are the principal's, too.
            let resume = Request::get("/stream").header("x-resume-token", &token).body(Body::empty()).unwrap();
            assert_eq!(call(one.clone(), as_user(resume, name)).await.status, 200);
            let resume = Request::get("/stream").header("x-resume-token", &token).body(Body::empty()).unwrap();
            assert_eq!(call(one.clone(), as_user(resume, "eve")).await.status, 401);
        }
        assert!(stage.arrived().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn the_keys_of_nobody_count_only_where_they_are_shared() {
    let stage = Stage::new();
    for (shared, runs) in [(false, 2), (true, 1)] {
        let keys = Idempotency::new();
        let keys = if shared { keys.shared_keys() } else { keys };
        let nodes = stage.pair(|layer| layer.principal_with(user).idempotency(keys.clone()));
        let replies = [ask(&nodes[0].0, with("k")), ask(&nodes[1].0, with("k"))];
        for _ in 0..runs {
            stage.call().await.counted(1);
        }
        for reply in replies {
            assert_eq!(reply.await.unwrap().status, 200);
        }
        assert!(stage.arrived().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_authorisation_hook_refuses_starts_as_without_a_key_and_never_joins() {
    let stage = Stage::new();
    let hook = |head: &Parts| match user(head) {
        Some(user) => Authorization::AllowAs(user),
        None => Authorization::Refuse(Box::default()),
    };
    let [(one, _), _] = stage.pair(|layer| layer.authorize_with(hook).idempotency(Idempotency::new().shared_keys()));
    for _ in 0..2 {
        let reply = ask(&one, with("k"));
        stage.call().await.counted(1);
        assert_eq!(reply.await.unwrap().status, 200);
    }
}

#[test]
fn with_nothing_that_says_whose_a_key_is_a_warning_says_so_once() {
    let of = |layer: ResumeLayer<MemoryStore>, keys: Idempotency| {
        let logs = Logs::new();
        let _service = layer.tokens_are_enough().idempotency(keys).layer(());
        logs.of(Level::WARN)
    };
    let layer = || ResumeLayer::new(MemoryStore::new(), keys());
    let warned = of(layer(), Idempotency::new());
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(warned[0].contains("Idempotency::shared_keys"), "{warned:?}");
    assert_eq!(of(layer(), Idempotency::new().shared_keys()), [""; 0]);
    assert_eq!(of(layer().principal_with(user), Idempotency::new()), [""; 0]);
    assert_eq!(of(layer().authorize_with(|_| Authorization::Allow), Idempotency::new()), [""; 0]);
}

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

#[tokio::test(start_paused = true)]
async fn with_the_store_out_a_node_runs_once_and_the_others_join_when_it_is_back() {
    let stage = Stage::new();
    let [(one, of_one), (other, of_other)] = stage.pair(with_keys);
    of_one.set_down(true);
    let first = ask(&one, with("k"));
    let waiting = ask(&one, with("k"));
    let body = stage.call().await.stream();
    let mut first = first.await.unwrap();
    assert_eq!(first.header("x-resume-degraded"), Some("store"));
    body.count(1);
    first.phase("open").await;
    joined(waiting.await.unwrap(), 1).await;
    joined(call(one.clone(), with("k")).await, 1).await;
    of_one.set_down(false);
    sleep(5 * SECOND).await;
    joined(call(other.clone(), with("k")).await, 1).await;
    // The other way about: this one cannot know.
    of_other.set_down(true);
    let second = ask(&other, with("another"));
    stage.call().await.counted(1);
    second.await.unwrap();
    assert!(stage.arrived().is_none());
}

#[tokio::test(start_paused = true)]
async fn with_the_store_out_a_request_can_be_refused_unless_it_runs_here() {
    let stage = Stage::new();
    let [(one, switch), _] =
        stage.pair(|layer| layer.idempotency(Idempotency::new().shared_keys().refuse_without_store()));
    let first = ask(&one, with("k"));
    let body = stage.call().await.stream();
    body.count(1);
    first.await.unwrap();
    switch.set_down(true);
    joined(call(one.clone(), with("k")).await, 1).await;
    let reply = call(one.clone(), with("another")).await;
    assert_eq!(reply.header("retry-after"), Some("1"));
    problem(reply, 503, "store_unavailable").await;
    switch.set_down(false);
    let next = ask(&one, with("another"));
    stage.call().await.counted(1);
    assert_eq!(next.await.unwrap().header("x-resume-degraded"), None);
}

#[tokio::test]
async fn over_real_sockets_many_at_the_same_instant_run_the_handler_once() {
    let stage = Stage::new();
    let mut servers = Vec::new();
    for node in stage.shared() {
        servers.push(crate::common::Server::start(node).await);
    }
    let replies: Vec<_> = (0..32)
        .map(|number| {
            let request = crate::common::Request::post(servers[number % 2].addr, "/stream");
            tokio::spawn(request.header("idempotency-key", "k").body("a body").send())
        })
        .collect();
    stage.call().await.counted(20);
    let mut runs = 0;
    for reply in replies {
        let mut reply = reply.await.unwrap();
        let is_first = reply.header("idempotency-replayed").is_none();
        runs += usize::from(is_first);
        reply.phase(if is_first { "open" } else { "replay" }).await;
        let (events, ended) = reply.events().await;
        let numbers: Vec<_> = events.iter().filter_map(|event| event.data.parse::<u64>().ok()).collect();
        assert_eq!((numbers, ended), ((1..=20).collect(), Ended::Clean));
    }
    assert_eq!(runs, 1);
    until("nothing else has run", async || stage.arrived().is_none()).await;
}
