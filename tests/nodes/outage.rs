//! Redis away at the start, lost on the way, back and empty: connected clients notice nothing, the node resumes from its
//! own memory, and the log is written again whole.

use crate::{
    common::{Ended, Reply, Request, until},
    node::Node,
    redis_server::RedisServer,
    two_nodes::expect,
};
use std::net::SocketAddr;

/// Asks until the node can serve the stream: until then it has to say that it is for the moment.
async fn once_served(addr: SocketAddr, token: &str, from: u64) -> Reply {
    loop {
        let request = Request::get(addr, "/resume").header("x-resume-token", token);
        let mut reply = request.header("x-resume-from", from.to_string()).send().await;
        if reply.status == 200 {
            assert_eq!(reply.phase("replay").await["from"], from);
            return reply;
        }
        assert_eq!(reply.status, 503);
        assert!(reply.header("retry-after").is_some());
        assert_eq!(reply.json().await["code"], "store_unavailable");
    }
}

/// Waits until the node has noticed that its Redis is gone.
async fn degraded(node: &Node) {
    until("the node has noticed", async || {
        Request::post(node.addr, "/count?n=1").send().await.header("x-resume-degraded") == Some("store")
    })
    .await;
}

#[tokio::test]
async fn with_redis_away_at_the_start_streams_run_and_resume_here_and_elsewhere_once_it_is_there() {
    let mut redis = RedisServer::reserved(&[]).await;
    let (one, other) = Node::pair(&redis.url()).await;
    let mut first = Request::post(one.addr, "/count?n=200&pace=20").send().await;
    assert_eq!(first.header("x-resume-degraded"), Some("store"));
    let token = first.phase("open").await["token"].as_str().unwrap().to_owned();
    let id = expect(&mut first, 1..=5).await;
    drop(first);
    let mut again = Request::get(one.addr, "/resume").header("last-event-id", &id).send().await;
    assert_eq!(again.phase("replay").await["from"], 5);
    expect(&mut again, 6..=10).await;
    let mut elsewhere = Request::get(other.addr, "/resume").header("last-event-id", &id).send().await;
    let wait = elsewhere.phase("wait").await;
    assert_eq!(wait["reason"], "store_unavailable");
    assert_eq!(elsewhere.rest().await, (vec![], Ended::Abrupt));
    if !redis.restart().await {
        return;
    }
    let mut elsewhere = once_served(other.addr, &token, 0).await;
    expect(&mut elsewhere, 1..=200).await;
    elsewhere.phase("end").await;
    expect(&mut again, 11..=200).await;
    again.phase("end").await;
}

#[tokio::test]
async fn with_redis_lost_on_the_way_and_back_empty_nothing_is_noticed_and_the_log_is_whole_again() {
    let Some(mut redis) = RedisServer::start().await else { return };
    let (one, other) = Node::pair(&redis.url()).await;
    // A node that has just started may not have reached its Redis yet.
    while Request::post(one.addr, "/count?n=1").send().await.header("x-resume-degraded").is_some() {}
    let mut first = Request::post(one.addr, "/count?n=200&pace=20").send().await;
    let token = first.phase("open").await["token"].as_str().unwrap().to_owned();
    expect(&mut first, 1..=10).await;
    redis.kill().await;
    let id = expect(&mut first, 11..=30).await;
    degraded(&one).await;
    let mut here = Request::get(one.addr, "/resume").header("last-event-id", &id).send().await;
    assert_eq!(here.header("x-resume-degraded"), Some("store"));
    assert_eq!(here.phase("replay").await["from"], 30);
    redis.restart().await;
    let mut elsewhere = once_served(other.addr, &token, 0).await;
    expect(&mut elsewhere, 1..=200).await;
    assert_eq!(elsewhere.phase("end").await["status"], "complete");
    expect(&mut first, 31..=200).await;
    first.phase("end").await;
    expect(&mut here, 31..=200).await;
    here.phase("end").await;
}

#[tokio::test]
async fn a_stream_that_ended_while_redis_was_away_is_written_once_it_is_back() {
    let Some(mut redis) = RedisServer::start().await else { return };
    let (one, other) = Node::pair(&redis.url()).await;
    let mut first = Request::post(one.addr, "/count?n=50&pace=5").send().await;
    let token = first.phase("open").await["token"].as_str().unwrap().to_owned();
    expect(&mut first, 1..=10).await;
    redis.kill().await;
    expect(&mut first, 11..=50).await;
    first.phase("end").await;
    let mut here = Request::get(one.addr, "/resume").header("x-resume-token", &token).send().await;
    here.phase("replay").await;
    expect(&mut here, 1..=50).await;
    here.phase("end").await;
    redis.restart().await;
    let mut elsewhere = once_served(other.addr, &token, 25).await;
    expect(&mut elsewhere, 26..=50).await;
    assert_eq!(elsewhere.phase("end").await["seq"], 50);
    assert_eq!(elsewhere.rest().await.1, Ended::Clean);
}

#[tokio::test]
async fn a_follower_survives_a_redis_that_is_lost_and_comes_back_empty() {
    let Some(mut redis) = RedisServer::start().await else { return };
    let (one, other) = Node::pair(&redis.url()).await;
    let mut first = Request::post(one.addr, "/count?n=200&pace=20").send().await;
    let token = first.phase("open").await["token"].as_str().unwrap().to_owned();
    expect(&mut first, 1..=5).await;
    let mut follower = once_served(other.addr, &token, 0).await;
    expect(&mut follower, 1..=10).await;
    redis.kill().await;
    redis.restart().await;
    expect(&mut follower, 11..=200).await;
    assert_eq!(follower.phase("end").await["status"], "complete");
    assert_eq!(follower.rest().await, (vec![], Ended::Clean));
}
