//! A Redis of a test's own with two replicas, and three sentinels that watch over them.

use crate::redis_server::{ROOM, RedisServer, Reply};
use std::time::{Duration, Instant};
use tokio::{sync::SemaphorePermit, time::sleep};

/// How long a failover may take.
const PATIENCE: Duration = Duration::from_secs(60);
const SERVICE: &str = "streams";
/// The setting of how long, in milliseconds, a server may be silent before it is taken for dead.
const SILENT_FOR: &str = "down-after-milliseconds";

pub(crate) struct Sentinels {
    /// The first one begins as the primary.
    pub(crate) servers: Vec<RedisServer>,
    pub(crate) sentinels: Vec<RedisServer>,
    _room: SemaphorePermit<'static>,
}

impl Sentinels {
    /// `None` where Redis is not installed.
    pub(crate) async fn start() -> Option<Self> {
        let room = ROOM.acquire().await.expect("room");
        let primary = RedisServer::start_with(&["--repl-diskless-sync-delay", "0"]).await?;
        let port = primary.port().to_string();
        let mut servers = vec![primary];
        for _ in 0..2 {
            let replica = ["--replicaof", "127.0.0.1", &port, "--repl-diskless-sync-delay", "0"];
            servers.push(RedisServer::start_with(&replica).await?);
        }
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            let sentinel = RedisServer::start_sentinel().await?;
            sentinel.cli(&["SENTINEL", "MONITOR", SERVICE, "127.0.0.1", &port, "2"]).await;
            for (what, value) in [(SILENT_FOR, "20000"), ("failover-timeout", "5000"), ("parallel-syncs", "2")] {
                sentinel.cli(&["SENTINEL", "SET", SERVICE, what, value]).await;
            }
            sentinels.push(sentinel);
        }
        let all = Self { servers, sentinels, _room: room };
        all.well().await;
        Some(all)
    }

    /// All sentinels; whoever is away is passed over.
    pub(crate) fn url(&self) -> String {
        let ports: Vec<u16> = self.sentinels.iter().map(RedisServer::port).collect();
        let [one, two, three] = ports[..] else { panic!("three sentinels") };
        format!(
            "redis-sentinel://127.0.0.1:{one}?node=127.0.0.1:{two}&node=127.0.0.1:{three}&sentinelServiceName={SERVICE}"
        )
    }

    /// Waits until the sentinels know each other and the replicas, and these have what the primary has.
    pub(crate) async fn well(&self) {
        until("the sentinels know their way", async || {
            for sentinel in &self.sentinels {
                let of = sentinel.cli(&["SENTINEL", "MASTER", SERVICE]).await;
                let field = |name: &str| {
                    let at =
                        of.list().iter().position(|field| *field == Reply::Text(name.to_owned())).expect("a field");
                    of.list()[at + 1].text().to_owned()
                };
                if field("num-other-sentinels") != "2" || field("num-slaves") != "2" || field("flags") != "master" {
                    return false;
                }
            }
            true
        })
        .await;
        until("the replicas follow", async || {
            for replica in &self.servers {
                let info = replica.cli(&["INFO", "replication"]).await;
                if info.text().contains("role:slave") && !info.text().contains("master_link_status:up") {
                    return false;
                }
            }
            true
        })
        .await;
    }

    /// The server that all sentinels name, and that takes writes.
    pub(crate) async fn primary(&self) -> Option<usize> {
        let mut named = None;
        for sentinel in &self.sentinels {
            let address = sentinel.cli(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE]).await;
            let port: u16 = address.list()[1].text().parse().expect("a port");
            let at = self.servers.iter().position(|server| server.port() == port)?;
            if named.is_some_and(|named| named != at) {
                return None;
            }
            named = Some(at);
        }
        let role = self.servers[named?].ask(&["ROLE"]).await.ok()?;
        matches!(&role, Reply::List(role) if role[0].text() == "master").then_some(named?)
    }

    /// Waits for another primary.
    pub(crate) async fn failed_over(&self, from: usize) -> usize {
        let mut now = from;
        until("another server has taken over", async || {
            now = self.primary().await.unwrap_or(from);
            now != from
        })
        .await;
        now
    }

    /// From now on a primary that is gone is soon replaced. Before, none is taken for dead on a busy machine.
    pub(crate) async fn lose_patience(&self) {
        for sentinel in &self.sentinels {
            sentinel.cli(&["SENTINEL", "SET", SERVICE, SILENT_FOR, "1500"]).await;
        }
    }

    /// Waits until both replicas have what the first server has.
    pub(crate) async fn replicated(&self) {
        until("the replicas have it all", async || {
            let info = self.servers[0].cli(&["INFO", "replication"]).await;
            let lines: Vec<&str> = info.text().lines().collect();
            let now = lines.iter().find_map(|line| line.strip_prefix("master_repl_offset:")).expect("an offset");
            lines.iter().filter(|line| line.starts_with("slave") && line.contains(&format!("offset={now},"))).count()
                == 2
        })
        .await;
    }

    /// Asks for a failover though nothing is wrong.
    pub(crate) async fn ask_for_failover(&self) {
        until("a sentinel begins a failover", async || {
            matches!(self.sentinels[0].ask(&["SENTINEL", "FAILOVER", SERVICE]).await, Ok(Reply::Text(ok)) if ok == "OK")
        })
        .await;
    }
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < PATIENCE, "not so within {PATIENCE:?}: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}
