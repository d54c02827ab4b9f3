//! Nodes that reach Redis as a user with no more rights than needed, and over TLS.

use crate::{
    common::{Ended, Request},
    node::Node,
    redis_server::RedisServer,
    two_nodes::{expect, resumed},
};

/// A stream that runs on one of them is resumed on the other.
async fn work_together(one: &Node, other: &Node) {
    // A node that has just started may not have reached its Redis yet.
    while Request::post(one.addr, "/count?n=1").send().await.header("x-resume-degraded").is_some() {}
    let mut first = Request::post(one.addr, "/count?n=100&pace=40").send().await;
    first.phase("open").await;
    let id = expect(&mut first, 1..=20).await;
    drop(first);
    let (mut second, _) = resumed(other, "last-event-id", &id).await;
    expect(&mut second, 21..=100).await;
    assert_eq!(second.phase("end").await["status"], "complete");
    assert_eq!(second.rest().await, (vec![], Ended::Clean));
}

#[tokio::test]
async fn two_nodes_work_as_the_documented_user() {
    let Some(redis) = RedisServer::start().await else { return };
    redis.add_user(include_str!("../../docs/redis-user.acl")).await;
    let (one, other) = Node::pair(&redis.url().replace("://", "://tower-resume:PASSWORD@")).await;
    work_together(&one, &other).await;
    assert_eq!(redis.cli(&["ACL", "LOG"]).await.list(), []);
}

#[cfg(feature = "redis-tls")]
#[tokio::test]
async fn two_nodes_work_over_tls_with_a_file_of_root_certificates() {
    let ca = crate::ca::TestCa::new();
    let Some((_redis, url)) = ca.serve("no").await else { return };
    let roots = ca.path("ca.pem");
    let env = [("SSL_CERT_FILE", &*roots)];
    let (one, other) = tokio::join!(Node::start_with(&url, &env), Node::start_with(&url, &env));
    work_together(&one, &other).await;
}
