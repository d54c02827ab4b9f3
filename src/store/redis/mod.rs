//! Redis.
//!
//! | file | holds |
//! | --- | --- |
//! | `config`, `url`, `tls` | how Redis is reached |
//! | `conn`, `link` | a connection; a server, and one connection to it after the other |
//! | `line`, `cluster`, `slots` | where a command goes |
//! | `pulse` | whether Redis is there |
//! | `keys`, `entry`, `record`, `fault` | what keys, entries, other values and errors look like |
//! | `append`, `replicas`, `read` | writing and reading a log |
//! | `steer` | ending and cancelling other nodes' logs, names, counts |
//! | `lease` | which nodes live |
//! | `inbox`, `frame`, `writes`, `follows`, `asks` | what nodes tell and ask each other; who wants what |

mod append;
mod asks;
mod cluster;
mod config;
mod conn;
mod entry;
mod fault;
mod follows;
mod frame;
mod inbox;
mod keys;
mod lease;
mod line;
mod link;
mod pulse;
mod read;
mod record;
mod replicas;
mod slots;
mod steer;
#[cfg(feature = "redis-tls")]
mod tls;
mod url;
mod writes;

pub use config::RedisConfig;

use super::{
    Append, Appended, Ask, Counts, Desk, Expect, Health, Name, Onto, Opened, Page, Snapshot, Store, StoreError,
    StoreErrorKind, Tail, Touched, Ttl, Watch, desk::Desks, pack::Packing,
};
use crate::{EndStatus, NodeId, RequestId};
use append::Outcome;
use bytes::Bytes;
use cluster::Cluster;
use config::Target;
use fault::{corrupt, fault};
use inbox::{Inbox, Post};
use keys::Keys;
use line::{Line, Route};
use link::Server;
use replicas::Demand;
use std::{
    fmt,
    future::Future,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::{Notify, watch},
    task::AbortHandle,
    time::{sleep, timeout},
};

const TOUCH: &str = include_str!("touch.lua");

/// Keeps events in Redis 7 or Valkey, so that a client can resume on any node.
///
/// It holds three connections: for appends, for reads, and for what other nodes say; on a cluster the first two for each
/// node that has slots. All are made in the background and made again for as long as the store lives; while Redis is
/// away, calls fail within the command time-out. Clones are the same store. [`RedisConfig`] says how to reach a cluster
/// or what sentinels watch, and which rights a Redis user needs.
///
/// ```no_run
/// use std::time::Duration;
/// use tower_resume::store::RedisStore;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let store = RedisStore::connect("redis://127.0.0.1:6379")?;
/// if !store.ready(Duration::from_secs(5)).await {
///     tracing::warn!("redis is not there yet: streams start degraded");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisStore(Arc<Inner>);

struct Inner {
    node: NodeId,
    keys: Keys,
    packing: Packing,
    /// How long replicas may take; while they are waited for, nothing else gets through this connection.
    replicas_within: Duration,
    appends: Line,
    reader: read::Reader,
    post: Post,
    pulse: Arc<pulse::Pulse>,
    writes: Arc<writes::Writes>,
    follows: Arc<follows::Follows>,
    asks: Arc<asks::Asks>,
    desks: Arc<Desks>,
    leases: lease::Leases,
    needed: Arc<Notify>,
    tasks: Vec<AbortHandle>,
}

impl RedisStore {
    /// The Redis at this URL, with everything else as it is by default. It returns at once, also where Redis is away.
    ///
    /// # Errors
    ///
    /// If the URL cannot be read, or outside a tokio runtime.
    pub fn connect(url: &str) -> Result<Self, StoreError> {
        Self::with_config(RedisConfig::new(url))
    }

    /// A store with settings of your own. It returns at once, also where Redis is away.
    ///
    /// # Errors
    ///
    /// If the configuration cannot be used, or outside a tokio runtime.
    pub fn with_config(config: RedisConfig) -> Result<Self, StoreError> {
        let target = config.parse()?;
        let runtime = Handle::try_current().map_err(|_| {
            StoreError::new(StoreErrorKind::Refused, "a redis store is made inside a tokio runtime, and here is none")
        })?;
        let pulse = Arc::new(pulse::Pulse::new());
        let mut tasks = Vec::new();
        let route = match target {
            Target::One(dial) => Route::One(Arc::new(Server::new(dial, &pulse, false))),
            Target::Cluster(dial, seeds) => {
                let cluster = Arc::new(Cluster::new(dial, seeds, Arc::clone(&pulse)));
                tasks.push(runtime.spawn(Arc::clone(&cluster).follow()).abort_handle());
                Route::Cluster(cluster)
            }
        };
        let (appends, reads) = (Line::appends(route.clone()), Line::reads(route.clone()));
        let node = NodeId::random();
        let keys = Keys::new(&config.prefix);
        let packing = config.packing;
        let post = Post { keys: keys.clone(), line: appends.clone(), sharded: route.is_cluster() };
        let needed = Arc::<Notify>::default();
        let (writes, follows) = (Arc::<writes::Writes>::default(), Arc::new(follows::Follows::new(packing.clone())));
        let (asks, desks) = (Arc::<asks::Asks>::default(), Arc::<Desks>::default());
        let inbox = Inbox {
            node,
            route,
            post: post.clone(),
            pulse: Arc::clone(&pulse),
            writes: Arc::clone(&writes),
            follows: Arc::clone(&follows),
            asks: Arc::clone(&asks),
            desks: Arc::clone(&desks),
            needed: Arc::clone(&needed),
        };
        tasks.push(runtime.spawn(inbox.run()).abort_handle());
        tasks.push(runtime.spawn(lease::hold(appends.clone(), keys.node(node), Arc::clone(&pulse))).abort_handle());
        let leases = lease::Leases::new(reads.clone(), keys.clone());
        let reader = read::Reader::new(reads, keys.clone(), packing.clone(), config.command_timeout);
        Ok(Self(Arc::new(Inner {
            node,
            keys,
            packing,
            replicas_within: config.command_timeout / 2,
            appends,
            reader,
            post,
            pulse,
            writes,
            follows,
            asks,
            desks,
            leases,
            needed,
            tasks,
        })))
    }

    /// Waits until Redis can be reached, but no longer than `within`; says whether it can.
    pub async fn ready(&self, within: Duration) -> bool {
        let mut health = self.0.pulse.subscribe();
        matches!(timeout(within, health.wait_for(|health| health.up)).await, Ok(Ok(_)))
    }
}

impl Inner {
    async fn append(&self, append: Append) -> Result<Appended, StoreError> {
        let id = append.id;
        // What was acknowledged over one connection is there for as long as it stands. Another one may lead to a server
        // that has less.
        let sure = match append.onto {
            Onto::Seq(seq) => {
                let at = self.appends.at(&self.keys.log(id)).ok();
                at.filter(|at| self.writes.is_sure(id, seq, at.conn.number))
            }
            _ => None,
        };
        let within = self.replicas_within;
        let demand = (append.replicas > 0).then_some(Demand { replicas: append.replicas, within });
        let result = append::append(&self.appends, &self.keys, &self.packing, &append, sure, demand).await;
        let (Ok(Outcome { appended: Appended::Stored { .. }, encoded, conn }), Some(newest)) =
            (&result, append.chunks.last())
        else {
            self.writes.failed(id);
            return result.map(|outcome| outcome.appended);
        };
        let (last, ended) = (newest.last(), newest.end.is_some());
        let inboxes = self.writes.stored(id, last, *conn, ended, append.ttl.log);
        self.needed.notify_one();
        if !inboxes.is_empty() {
            let frames = writes::Writes::frames(id, encoded, last, ended);
            for inbox in &inboxes {
                for frame in &frames {
                    self.post.send(*inbox, frame.clone());
                }
            }
        }
        Ok(Appended::Stored { watched: !inboxes.is_empty() })
    }

    async fn touch(&self, id: RequestId, ttl: Ttl) -> Result<Touched, StoreError> {
        let args = vec![self.keys.log(id), self.keys.meta(id), self.keys.snap(id), append::time(ttl.log)];
        let found = self.appends.eval(TOUCH, 3, args).await.map_err(|error| fault(&error))?;
        self.writes.touched(id, ttl.log);
        match found.as_bytes() {
            Some(b"lives") => Ok(Touched::Lives { cancelled: false }),
            Some(b"cancelled") => Ok(Touched::Lives { cancelled: true }),
            Some(b"gone") => Ok(Touched::Gone),
            _ => Err(corrupt("an unexpected reply")),
        }
    }
}

/// How long a node has to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// How often it is asked meanwhile: it, or we, may not have been subscribed yet.
const ASK_AGAIN: Duration = Duration::from_millis(250);

impl Inner {
    async fn ask(&self, node: NodeId, id: RequestId, ask: Ask) -> Result<bool, StoreError> {
        if node == self.node {
            return Ok(self.desks.asked(id, ask));
        }
        self.needed.notify_one();
        let mut asked = self.asks.ask()?;
        let frame = frame::Frame::Ask { id, inbox: self.node, nonce: asked.nonce, ask }.encode();
        let ask_again = async {
            loop {
                self.post.send(node, frame.clone());
                sleep(ASK_AGAIN).await;
            }
        };
        let answer = async {
            tokio::select! {
                answer = &mut asked.answer => answer.ok(),
                never = ask_again => never,
            }
        };
        let answer = timeout(ANSWER_WITHIN, answer).await.ok().flatten();
        answer.ok_or_else(|| StoreError::new(StoreErrorKind::Unavailable, "the node has not answered"))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("node", &self.0.node).finish_non_exhaustive()
    }
}

impl Store for RedisStore {
    fn kind(&self) -> &'static str {
        "redis"
    }

    fn node(&self) -> NodeId {
        self.0.node
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.0.pulse.subscribe()
    }

    fn reaches(&self, id: RequestId) -> bool {
        self.0.appends.reaches(&self.0.keys.log(id))
    }

    fn append(&self, append: Append) -> impl Future<Output = Result<Appended, StoreError>> + Send {
        self.0.append(append)
    }

    fn open(&self, id: RequestId, after: u64) -> impl Future<Output = Result<Option<Opened>, StoreError>> + Send {
        self.0.reader.open(id, after)
    }

    fn page(&self, id: RequestId, after: u64) -> impl Future<Output = Result<Option<Page>, StoreError>> + Send {
        self.0.reader.page(id, after)
    }

    async fn tail(&self, id: RequestId) -> Result<Option<Tail>, StoreError> {
        let Inner { appends, keys, packing, .. } = &*self.0;
        let last = append::last(appends, keys, packing, id).await?;
        Ok(last.as_ref().map(Tail::of))
    }

    fn snapshot(&self, id: RequestId) -> impl Future<Output = Result<Option<Snapshot>, StoreError>> + Send {
        self.0.reader.snapshot(id)
    }

    fn touch(&self, id: RequestId, ttl: Ttl) -> impl Future<Output = Result<Touched, StoreError>> + Send {
        self.0.touch(id, ttl)
    }

    fn cancel(&self, id: RequestId) -> impl Future<Output = Result<bool, StoreError>> + Send {
        steer::cancel(&self.0.appends, &self.0.keys, id)
    }

    fn is_watched(&self, id: RequestId) -> bool {
        self.0.writes.is_watched(id)
    }

    fn watch(&self, id: RequestId, writer: NodeId, after: u64) -> Watch {
        self.0.needed.notify_one();
        self.0.follows.watch(id, writer, after)
    }
    fn lives(&self, node: NodeId) -> impl Future<Output = Result<bool, StoreError>> + Send {
        self.0.leases.lives(node)
    }

    async fn fence(
        &self,
        id: RequestId,
        status: EndStatus,
        at: u64,
        ttl: Ttl,
    ) -> Result<Option<EndStatus>, StoreError> {
        let Inner { appends, keys, packing, node, .. } = &*self.0;
        steer::fence(appends, keys, packing, *node, id, (status, at), ttl).await
    }

    fn ask(&self, node: NodeId, id: RequestId, ask: Ask) -> impl Future<Output = Result<bool, StoreError>> + Send {
        self.0.ask(node, id, ask)
    }

    fn serve(&self, desk: Weak<dyn Desk>) {
        self.0.desks.add(desk);
    }

    fn lookup(&self, name: Name) -> impl Future<Output = Result<Option<Bytes>, StoreError>> + Send {
        steer::lookup(&self.0.appends, &self.0.keys, name)
    }

    fn exchange(
        &self,
        name: Name,
        expect: Expect,
        value: Option<Bytes>,
        ttl: Duration,
    ) -> impl Future<Output = Result<Option<Bytes>, StoreError>> + Send {
        // Other nodes may ask about what this one claims.
        self.0.needed.notify_one();
        steer::exchange(&self.0.appends, &self.0.keys, name, expect, value, ttl)
    }

    fn count(
        &self,
        id: RequestId,
        known: Counts,
        more: Counts,
    ) -> impl Future<Output = Result<Counts, StoreError>> + Send {
        steer::count(&self.0.appends, &self.0.keys, id, known, more)
    }
}
