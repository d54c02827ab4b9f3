//! A new secret, by environment alone, as `docs/security.md` says: three deploys, and no client is refused.

use crate::{
    common::{Ended, Reply, Request},
    herd::follow,
    node::Node,
    redis_server::RedisServer,
    two_nodes::expect,
};
use std::net::SocketAddr;

const OLD: &str = "the secret that all nodes have had so far";
const NEW: &str = "the secret that takes its place, made anew";

/// What signs, and what only verifies beside it: before the rotation, and after each of its deploys.
const STEPS: [(&str, &str); 4] = [(OLD, ""), (OLD, NEW), (NEW, OLD), (NEW, "")];

async fn node_at(step: usize, redis: &RedisServer) -> Node {
    node_with(step, redis, &[]).await
}

async fn node_with(step: usize, redis: &RedisServer, more: &[(&str, &str)]) -> Node {
    let (signs, verifies) = STEPS[step];
    let env = [&[("SSE_RESUME_SECRET", signs), ("SSE_RESUME_SECRET_PREVIOUS", verifies)], more].concat();
    Node::start_with(&redis.url(), &env).await
}

async fn ask(addr: SocketAddr, token: &str) -> Reply {
    loop {
        let reply = Request::get(addr, "/resume").header("x-resume-token", token).send().await;
        if reply.status != 503 {
            return reply;
        }
    }
}

async fn assert_refused(node: &Node, token: &str) {
    let reply = ask(node.addr, token).await;
    assert_eq!(reply.status, 401);
    assert_eq!(reply.json().await["code"], "invalid_signature");
}

/// In each deploy there is a time when some nodes have it and some do not. Whoever is cut then may come back anywhere.
async fn nobody_is_refused(more: &[(&str, &str)]) {
    let Some(redis) = RedisServer::start().await else { return };
    for step in 0..STEPS.len() - 1 {
        let (before, after) = tokio::join!(node_with(step, &redis, more), node_with(step + 1, &redis, more));
        let clients = (0..12).map(|number| {
            let nodes = [before.addr, after.addr];
            tokio::spawn(follow(nodes, number, 60, 10, number))
        });
        for client in futures_util::future::join_all(clients).await {
            let seen = client.unwrap();
            assert_eq!((seen.received, seen.lost, seen.repeated, seen.unended), (60, 0, 0, 0), "deploy {}", step + 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_the_middle_of_each_deploy_every_node_takes_the_tokens_of_every_other() {
    nobody_is_refused(&[]).await;
}

#[cfg(feature = "encryption")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn and_reads_what_every_other_has_sealed() {
    nobody_is_refused(&[("SSE_BUFFER_ENCRYPT", "true")]).await;
}

/// The node that runs the handler is of before the rotation, and its stream outlives all of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_a_stream_that_runs_all_the_while_gets_on_from_step_to_step() {
    let Some(redis) = RedisServer::start().await else { return };
    let runs = node_at(0, &redis).await;
    let mut reply = Request::post(runs.addr, "/count?n=400&pace=20").send().await;
    let first = reply.phase("open").await["token"].as_str().unwrap().to_owned();
    let mut token = expect(&mut reply, 1..=5).await;
    drop(reply);
    let mut ids = vec![token.clone()];
    for step in 1..STEPS.len() {
        let node = node_at(step, &redis).await;
        let mut reply = ask(node.addr, &token).await;
        assert_eq!(reply.status, 200, "a token of step {} at step {step}", step - 1);
        reply.phase("replay").await;
        let from = 5 * step as u64;
        token = expect(&mut reply, from + 1..=from + 5).await;
        ids.push(token.clone());
        match step {
            // Both secrets verify.
            1 | 2 => {
                for id in ids.iter().chain([&first]) {
                    assert_eq!(ask(node.addr, id).await.status, 200);
                }
            }
            // The old one does no longer, and the new one has signed since the second deploy.
            _ => {
                assert_refused(&node, &first).await;
                assert_refused(&node, &ids[0]).await;
                assert_refused(&node, &ids[1]).await;
                assert_eq!(ask(node.addr, &ids[2]).await.status, 200);
                expect(&mut reply, from + 6..=400).await;
                assert_eq!(reply.phase("end").await["status"], "complete");
                assert_eq!(reply.rest().await, (vec![], Ended::Clean));
            }
        }
    }
}

/// Why the new secret only verifies at first.
#[tokio::test]
async fn a_node_without_the_new_secret_refuses_what_it_signs() {
    let Some(redis) = RedisServer::start().await else { return };
    let (before, too_soon) = tokio::join!(node_at(0, &redis), node_at(2, &redis));
    let mut reply = Request::post(too_soon.addr, "/count?n=3&pace=1").send().await;
    let token = reply.phase("open").await["token"].as_str().unwrap().to_owned();
    assert_refused(&before, &token).await;
    assert_eq!(ask(too_soon.addr, &token).await.status, 200);
}
