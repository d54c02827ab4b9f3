//! Two nodes on whatever a URL leads to.

use crate::{
    load::{Load, PATIENCE, Shape},
    node::Node,
    proxy::Proxy,
};
use tower_resume::store::RedisStore;

pub struct Fleet {
    pub nodes: [Node; 2],
    /// Between roaming clients and each node.
    pub doors: [Proxy; 2],
    /// Reads what Redis holds, past the nodes.
    pub probe: RedisStore,
}

impl Fleet {
    pub async fn start(url: &str) -> Self {
        let (one, other) = tokio::join!(Node::start_with(url, &[]), Node::start_with(url, &[]));
        let doors = [Proxy::before(one.addr).await, Proxy::before(other.addr).await];
        for door in &doors {
            // Whoever roams is cut after about so many bytes, wherever that is.
            door.cut_replies_after(1_500..12_000);
        }
        let probe = RedisStore::connect(url).unwrap();
        assert!(probe.ready(PATIENCE).await, "redis is there");
        Self { nodes: [one, other], doors, probe }
    }

    /// So many streams under way, with a good part of each in Redis.
    pub async fn under_way(&self, streams: usize) -> Load {
        let mut load = Load::over([0, 1].map(|at: usize| (self.nodes[at].addr, self.doors[at].addr)), Shape::default());
        load.begin(streams).await;
        load.reach(20).await;
        load
    }

    /// While the fault is on: more streams begin, clients come late, and events go on to arrive. The store is waited for,
    /// and then all clients.
    pub async fn through(&self, mut load: Load, fault: &'static str) {
        load.begin(4).await;
        load.latecomers();
        load.healed(&self.probe).await;
        load.flow(10).await;
        let row = load.finish(fault, &self.probe).await;
        assert_eq!(row.gapped, 0, "all of it can be healed: {row:?}");
    }
}
