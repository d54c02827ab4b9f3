//! One Redis, two nodes on it, and a proxy on every way between.

use crate::{load::PATIENCE, node::Node, proxy::Proxy, redis_server::RedisServer};
use std::net::SocketAddr;
use tower_resume::store::RedisStore;

pub struct Scene {
    pub redis: RedisServer,
    /// Reads what Redis holds, past the nodes and proxies.
    pub probe: RedisStore,
    /// Between each node and Redis.
    pub wires: [Proxy; 2],
    pub nodes: [Node; 2],
    /// Between roaming clients and each node.
    pub doors: [Proxy; 2],
}

impl Scene {
    /// `None` where Redis is not installed.
    pub async fn start() -> Option<Self> {
        Self::start_with(&[]).await
    }

    /// The same with further variables for the nodes' environment.
    pub async fn start_with(env: &[(&str, &str)]) -> Option<Self> {
        let redis = RedisServer::start().await?;
        let upstream = SocketAddr::from(([127, 0, 0, 1], redis.port()));
        let wires = [Proxy::before(upstream).await, Proxy::before(upstream).await];
        let urls = [0, 1].map(|at: usize| format!("redis://{}", wires[at].addr));
        let (one, other) = tokio::join!(Node::start_with(&urls[0], env), Node::start_with(&urls[1], env));
        let doors = [Proxy::before(one.addr).await, Proxy::before(other.addr).await];
        for door in &doors {
            // Whoever roams is cut after about so many bytes, wherever that is.
            door.cut_replies_after(1_500..12_000);
        }
        let probe = RedisStore::connect(&redis.url()).unwrap();
        assert!(probe.ready(PATIENCE).await, "redis is there");
        Some(Self { redis, probe, wires, nodes: [one, other], doors })
    }
}
