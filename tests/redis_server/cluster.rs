//! A Redis Cluster of a test's own: three primaries with a replica each, which take over once they are told not to wait.

use crate::redis_server::{Port, ROOM, RedisServer, Reply};
use std::{
    collections::HashSet,
    time::{Duration, Instant},
};
use tokio::{sync::SemaphorePermit, time::sleep};

/// How long the cluster may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);
const SLOTS: u16 = 16_384;
/// The setting of how long, in milliseconds, a node may be silent before the others take it for dead.
const SILENT_FOR: &str = "cluster-node-timeout";

/// The node at 0 to 2 begins as a primary, the one three further as its replica.
pub(crate) struct RedisCluster {
    pub(crate) nodes: Vec<RedisServer>,
    _room: SemaphorePermit<'static>,
}

impl RedisCluster {
    /// `None` where Redis is not installed.
    pub(crate) async fn start() -> Option<Self> {
        Self::start_with(&[]).await
    }

    /// The same as [`Self::start`] with further arguments for each server.
    pub(crate) async fn start_with(args: &[&str]) -> Option<Self> {
        let room = ROOM.acquire().await.expect("room");
        let mut nodes = Vec::new();
        for _ in 0..6 {
            let kept = Port::free();
            let bus = kept.number.to_string();
            let mut all = vec!["--cluster-enabled", "yes", "--cluster-port", &bus];
            let silent_for = format!("--{SILENT_FOR}");
            all.extend([&silent_for, "15000", "--cluster-require-full-coverage", "no"]);
            all.extend(["--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0"]);
            all.extend(args);
            let mut node = RedisServer::start_with(&all).await?;
            node.keep(kept);
            nodes.push(node);
        }
        let cluster = Self { nodes, _room: room };
        cluster.join().await;
        Some(cluster)
    }

    /// From now on a primary that is gone is soon replaced. Before, none is taken for dead on a busy machine.
    pub(crate) async fn lose_patience(&self) {
        for node in &self.nodes {
            node.cli(&["CONFIG", "SET", SILENT_FOR, "2000"]).await;
        }
    }

    async fn join(&self) {
        for (at, node) in self.nodes.iter().take(3).enumerate() {
            let (first, last) = (bound(at), bound(at + 1) - 1);
            node.cli(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]).await;
            node.cli(&["CLUSTER", "SET-CONFIG-EPOCH", &(at + 1).to_string()]).await;
        }
        for node in &self.nodes[1..] {
            let bus = node.cli(&["CONFIG", "GET", "cluster-port"]).await.list()[1].text().to_owned();
            self.nodes[0].cli(&["CLUSTER", "MEET", "127.0.0.1", &node.port().to_string(), &bus]).await;
        }
        until("all nodes have met", async || {
            let mut all = true;
            for node in &self.nodes {
                all &= node.cli(&["CLUSTER", "NODES"]).await.text().matches("connected").count() >= 6;
                all &= !node.cli(&["CLUSTER", "NODES"]).await.text().contains("handshake");
            }
            all
        })
        .await;
        for at in 0..3 {
            let primary = self.id(at).await;
            let replica = &self.nodes[at + 3];
            until("the replica takes its place", async || {
                matches!(replica.ask(&["CLUSTER", "REPLICATE", &primary]).await, Ok(Reply::Text(ok)) if ok == "OK")
            })
            .await;
        }
        self.well().await;
    }

    /// The nodes of a test that were not killed.
    async fn living(&self) -> Vec<&RedisServer> {
        let mut living = Vec::new();
        for node in &self.nodes {
            if node.ask(&["PING"]).await.is_ok() {
                living.push(node);
            }
        }
        living
    }

    /// Waits until all living nodes say that all is well, and each replica has what its primary has.
    pub(crate) async fn well(&self) {
        let living = self.living().await;
        until("the cluster is well", async || {
            for node in &living {
                let info = node.cli(&["CLUSTER", "INFO"]).await;
                let ok = info.text().contains("cluster_state:ok") && info.text().contains("cluster_slots_ok:16384");
                let replication = node.cli(&["INFO", "replication"]).await;
                let linked =
                    !replication.text().contains("role:slave") || replication.text().contains("master_link_status:up");
                if !ok || !linked {
                    return false;
                }
            }
            true
        })
        .await;
    }

    pub(crate) async fn id(&self, at: usize) -> String {
        self.nodes[at].cli(&["CLUSTER", "MYID"]).await.text().to_owned()
    }

    /// Two of its nodes; the others are found by them.
    pub(crate) fn url(&self) -> String {
        format!("redis-cluster://127.0.0.1:{}?node=127.0.0.1:{}", self.nodes[0].port(), self.nodes[4].port())
    }

    /// The node that takes writes for this slot, as most of the living ones say.
    pub(crate) async fn owner(&self, slot: u16) -> usize {
        let mut votes = vec![0; self.nodes.len()];
        for node in self.living().await {
            if let Some(at) = self.owner_by(node, slot).await {
                votes[at] += 1;
            }
        }
        (0..votes.len()).max_by_key(|at| votes[*at]).expect("nodes")
    }

    /// The same as this one says.
    async fn owner_by(&self, node: &RedisServer, slot: u16) -> Option<usize> {
        let slots = node.cli(&["CLUSTER", "SLOTS"]).await;
        let mut entries = slots.list().iter().map(Reply::list);
        let entry = entries.find(|entry| (entry[0].int()..=entry[1].int()).contains(&i64::from(slot)))?;
        let port = entry[2].list()[1].int();
        self.nodes.iter().position(|node| i64::from(node.port()) == port)
    }

    /// Waits until another node has this slot.
    pub(crate) async fn failed_over(&self, slot: u16, from: usize) {
        until("another node has taken over", async || self.owner(slot).await != from).await;
    }

    /// Begins to move a slot: the keys that it holds go one by one.
    pub(crate) async fn open_slot(&self, slot: u16, from: usize, to: usize) {
        let (slot, from_id, to_id) = (slot.to_string(), self.id(from).await, self.id(to).await);
        self.nodes[to].cli(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id]).await;
        self.nodes[from].cli(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id]).await;
    }

    /// The keys of this slot that a node holds.
    pub(crate) async fn keys(&self, slot: u16, at: usize) -> Vec<String> {
        let keys = self.nodes[at].cli(&["CLUSTER", "GETKEYSINSLOT", &slot.to_string(), "1000"]).await;
        keys.list().iter().map(|key| key.text().to_owned()).collect()
    }

    pub(crate) async fn move_key(&self, key: &str, from: usize, to: usize) {
        let port = self.nodes[to].port().to_string();
        self.nodes[from].cli(&["MIGRATE", "127.0.0.1", &port, key, "0", "5000"]).await;
    }

    /// Moves what is left, and says so. All nodes know of it then: one that does not know how new another one's claims
    /// are may take a slot that it has just been given for that one's still, and forget its keys.
    pub(crate) async fn close_slot(&self, slot: u16, from: usize, to: usize) {
        for key in self.keys(slot, from).await {
            self.move_key(&key, from, to).await;
        }
        let (number, slot, to_id) = (slot, slot.to_string(), self.id(to).await);
        for at in [to, from] {
            self.nodes[at].cli(&["CLUSTER", "SETSLOT", &slot, "NODE", &to_id]).await;
        }
        until("all nodes know who has the slot", async || self.agree_on(number, to).await).await;
    }

    async fn agree_on(&self, slot: u16, owner: usize) -> bool {
        let mut epochs = HashSet::new();
        for node in self.living().await {
            if self.owner_by(node, slot).await != Some(owner) {
                return false;
            }
            let info = node.cli(&["CLUSTER", "INFO"]).await;
            let epoch = info.text().lines().find_map(|line| line.strip_prefix("cluster_current_epoch:"));
            epochs.insert(epoch.expect("an epoch").to_owned());
        }
        epochs.len() == 1
    }

    /// Moves a slot with its keys to another node, while both serve it.
    pub(crate) async fn move_slot(&self, slot: u16, from: usize, to: usize) {
        self.open_slot(slot, from, to).await;
        self.close_slot(slot, from, to).await;
    }

    /// Waits until the replica of this primary has what it has.
    pub(crate) async fn replicated(&self, at: usize) {
        until("the replica has it all", async || {
            let offset = async |node: &RedisServer, name: &str| {
                let info = node.cli(&["INFO", "replication"]).await;
                let line = info.text().lines().find_map(|line| line.strip_prefix(name).map(str::to_owned));
                line.expect("an offset")
            };
            offset(&self.nodes[at], "master_repl_offset:").await
                == offset(&self.nodes[at + 3], "slave_repl_offset:").await
        })
        .await;
    }

    /// The replica of this primary stays behind.
    pub(crate) async fn cut_off_replica(&self, at: usize) {
        self.nodes[at].cut_off_replicas().await;
    }

    /// It may catch up again, with whichever of the two is the primary.
    pub(crate) async fn let_in_replica(&self, at: usize) {
        self.nodes[at].let_in_replicas().await;
    }

    /// Makes a replica a primary, whatever the others say.
    pub(crate) async fn take_over(&self, at: usize) {
        self.nodes[at].cli(&["CLUSTER", "FAILOVER", "TAKEOVER"]).await;
    }

    /// The slot of a stream's keys.
    pub(crate) async fn slot_of(&self, stream: &str) -> u16 {
        for node in &self.nodes {
            if let Ok(Reply::Int(slot)) = node.ask(&["CLUSTER", "KEYSLOT", &format!("{{{stream}}}")]).await {
                return u16::try_from(slot).expect("a slot");
            }
        }
        panic!("no node lives");
    }
}

/// The first slot of a primary.
fn bound(at: usize) -> u16 {
    u16::try_from(usize::from(SLOTS) * at / 3).expect("a slot")
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < PATIENCE, "not so within {PATIENCE:?}: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}
