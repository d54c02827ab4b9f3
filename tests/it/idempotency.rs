//! Protocol section 3, "Idempotent start": of all requests with one key, one runs the handler.

mod claims;
mod keys;
mod no_stream;
mod principals;

use crate::common::{Ended, Peek, Reply, Server, Stage, Switch, ask, call, until};
use axum::body::Body;
use http::Request;
use std::time::Duration;
use tokio::time::sleep;
use tower_resume::{Idempotency, Idempotent, ResumeLayer};

const SECOND: Duration = Duration::from_secs(1);

fn with(key: &str) -> Request<Body> {
    Request::post("/stream?a=1").header("idempotency-key", key).body(Body::empty()).unwrap()
}

fn with_keys(layer: ResumeLayer<Switch>) -> ResumeLayer<Switch, Idempotent> {
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
        servers.push(Server::start(node).await);
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
