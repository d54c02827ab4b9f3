//! A cancel that comes to another node than the one that runs the handler, or to one whose writer is paused or dead.

use crate::{
    common::{Ended, Reply, Request, until},
    node::Node,
    redis_server::RedisServer,
    two_nodes::{answer, expect, resumed, stored},
};
use http::Method;
use std::{net::SocketAddr, time::Instant};

/// Asks this node to cancel; the status.
async fn cancel(addr: SocketAddr, token: &str) -> u16 {
    let reply = answer(|| Request::new(addr, Method::DELETE, "/resume").header("x-resume-token", token)).await;
    assert_eq!(reply.header("cache-control"), Some("no-store, no-transform"));
    reply.status.as_u16()
}

/// Asks until the stream is over: a node that has been asked may take longer than its client waits, on a busy machine.
async fn cancels(addr: SocketAddr, token: &str) {
    until("it is over", async || match cancel(addr, token).await {
        202 => false,
        status => status == 204 || panic!("{status}"),
    })
    .await;
}

/// Reads on to the end: the last event's seq.
async fn cancelled(mut reply: Reply, mut last: u64) -> u64 {
    loop {
        let event = reply.event().await;
        match event.phase().as_deref() {
            Some("end") => {
                assert_eq!((&event.json()["status"], &event.json()["seq"]), (&"cancelled".into(), &last.into()));
                assert_eq!(reply.rest().await, (vec![], Ended::Clean));
                return last;
            }
            Some("live") => {}
            _ => {
                last += 1;
                assert_eq!(event.data, last.to_string());
            }
        }
    }
}

/// A stream on the one node that is followed on the other: its token, and both responses, at 20 events.
async fn begin(one: &Node, other: &Node, query: &str) -> (String, Reply, Reply) {
    let mut first = Request::post(one.addr, &format!("/count?{query}")).send().await;
    let token = first.phase("open").await["token"].as_str().unwrap().to_owned();
    expect(&mut first, 1..=20).await;
    let (mut follower, _) = resumed(other, "x-resume-token", &token).await;
    expect(&mut follower, 1..=20).await;
    (token, first, follower)
}

#[tokio::test]
async fn a_stream_is_cancelled_from_any_node_for_everybody() {
    let Some(redis) = RedisServer::start().await else { return };
    let (one, other) = Node::pair(&redis.url()).await;
    let third = Node::start(&redis.url()).await;
    // One that goes on and on, and one whose handler is stuck for an hour.
    for query in ["n=100000&pace=5", "n=100&hush_at=21&hush=3600000"] {
        for asked in [one.addr, other.addr, third.addr] {
            let (token, first, follower) = begin(&one, &other, query).await;
            let begun = Instant::now();
            cancels(asked, &token).await;
            println!("cancelled ({query}) after {:?}", begun.elapsed());
            let last = cancelled(first, 20).await;
            assert_eq!(cancelled(follower, 20).await, last);
            for node in [&one, &other, &third] {
                assert_eq!(cancel(node.addr, &token).await, 204, "it is over already");
                let request = || Request::get(node.addr, "/resume").header("x-resume-token", &token);
                let mut late = answer(|| request().header("x-resume-from", last.to_string())).await;
                assert_eq!(late.phase("replay").await["status"], "cancelled");
                cancelled(late, last).await;
            }
        }
    }
}

#[tokio::test]
async fn a_node_that_stands_still_is_asked_and_stops_the_handler_when_it_goes_on() {
    let Some(redis) = RedisServer::start().await else { return };
    let (one, other) = Node::pair(&redis.url()).await;
    let (token, first, follower) = begin(&one, &other, "n=100000&pace=5").await;
    one.pause().await;
    assert_eq!(cancel(other.addr, &token).await, 202);
    one.go_on().await;
    let last = cancelled(first, 20).await;
    assert_eq!(cancelled(follower, 20).await, last);
    cancels(other.addr, &token).await;
}

#[tokio::test]
async fn a_dead_nodes_stream_can_be_cancelled() {
    let Some(redis) = RedisServer::start().await else { return };
    let (mut one, other) = Node::pair(&redis.url()).await;
    let mut first = Request::post(one.addr, "/count?n=100000&pace=5").send().await;
    let token = first.phase("open").await["token"].as_str().unwrap().to_owned();
    expect(&mut first, 1..=20).await;
    stored(&other, &token, 20).await;
    one.kill().await;
    let begun = Instant::now();
    // Its lease lapses within nine seconds; until then it may only be paused.
    let mut asked = 0;
    while cancel(other.addr, &token).await == 202 {
        asked += 1;
    }
    println!("a dead node's stream was cancelled after {:?} and {asked} tries", begun.elapsed());
    assert!(asked > 0, "the lease was there at first");
    let mut late = answer(|| Request::get(other.addr, "/resume").header("x-resume-token", &token)).await;
    assert_eq!(late.phase("replay").await["status"], "cancelled");
    assert!(cancelled(late, 0).await >= 20, "what was stored");
}

#[tokio::test]
async fn what_was_asked_of_a_node_that_is_dead_is_what_its_stream_ends_as() {
    let Some(redis) = RedisServer::start().await else { return };
    let (mut one, other) = Node::pair(&redis.url()).await;
    let (token, first, follower) = begin(&one, &other, "n=100000&pace=5").await;
    one.kill().await;
    drop(first);
    // Its lease is there for seconds yet. Nobody asks twice.
    assert_eq!(cancel(other.addr, &token).await, 202);
    cancelled(follower, 20).await;
}

#[tokio::test]
async fn with_redis_away_only_the_streams_own_node_can_cancel_it() {
    let Some(mut redis) = RedisServer::start().await else { return };
    let (one, other) = Node::pair(&redis.url()).await;
    let (token, first, follower) = begin(&one, &other, "n=100000&pace=5").await;
    redis.kill().await;
    let elsewhere = Request::new(other.addr, Method::DELETE, "/resume").header("x-resume-token", &token).send().await;
    assert_eq!((elsewhere.status.as_u16(), elsewhere.header("retry-after")), (503, Some("1")));
    assert_eq!(elsewhere.json().await["code"], "store_unavailable");
    cancels(one.addr, &token).await;
    let last = cancelled(first, 20).await;
    assert!(redis.restart().await);
    assert_eq!(cancelled(follower, 20).await, last, "once Redis is back, followers get the end");
    until("it can be cancelled here again", async || cancel(other.addr, &token).await == 204).await;
}
