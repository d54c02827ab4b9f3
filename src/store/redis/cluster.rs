//! A cluster: a connection of each kind to each node that has slots, and the map that says which.
//!
//! `fred` has this too, but there one node that is away stops the commands to all others until it is back.

use super::{
    config::Dial,
    conn::Conn,
    fault::Redirect,
    link::Server,
    pulse::Pulse,
    slots::{Address, Range, address, ranges},
};
use fred::{types::Value, util::redis_keyslot};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep},
};
use tracing::debug;

/// How often the map is looked at when all is well, and when a node is away.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// The shortest time between two looks: while slots move, many commands are redirected.
const LOOK_PAUSE: Duration = Duration::from_millis(50);
/// How long a node that has no slots is kept: one that is just taking them over has none yet.
const GUEST_FOR: Duration = Duration::from_secs(60);
/// The slots of a cluster.
const SLOTS: usize = 16_384;
/// The most nodes that are known.
const NODES_MAX: usize = 1_000;

/// The slot of a key: of what is between its first braces, where there is something.
pub(super) fn slot_of(key: &[u8]) -> u16 {
    redis_keyslot(key)
}

#[derive(Debug)]
pub(super) struct Cluster {
    dial: Dial,
    seeds: Vec<Address>,
    pulse: Arc<Pulse>,
    map: watch::Sender<Arc<Map>>,
    nodes: Mutex<HashMap<Address, Node>>,
    demand: Notify,
    /// The node that last named another one knows best.
    hint: Mutex<Option<Address>>,
}

#[derive(Debug)]
struct Node {
    server: Arc<Server>,
    /// When it was last seen or named with a slot.
    seen: Instant,
}

/// Which node has which slots, as of one look.
#[derive(Debug, Default)]
struct Map(Vec<(Range, Arc<Server>)>);

impl Map {
    fn owner(&self, slot: u16) -> Option<&Arc<Server>> {
        let at = self.0.partition_point(|(range, _)| range.last < slot);
        self.0.get(at).filter(|(range, _)| range.first <= slot).map(|(_, server)| server)
    }

    fn is(&self, other: &Self) -> bool {
        let same = |one: &(Range, Arc<Server>), other: &(Range, _)| one.0 == other.0 && Arc::ptr_eq(&one.1, &other.1);
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(|(one, other)| same(one, other))
    }
}

/// Tells when keys may have gone to another node.
#[derive(Debug)]
pub(super) struct Moves(watch::Receiver<Arc<Map>>);

impl Moves {
    pub(super) async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cluster {
    pub(super) fn new(dial: Dial, seeds: Vec<Address>, pulse: Arc<Pulse>) -> Self {
        Self {
            dial,
            seeds,
            pulse,
            map: watch::Sender::default(),
            nodes: Mutex::default(),
            demand: Notify::new(),
            hint: Mutex::default(),
        }
    }

    /// The node that has this slot, by the last look.
    pub(super) fn owner(&self, slot: u16) -> Option<Arc<Server>> {
        self.map.borrow().owner(slot).cloned()
    }

    /// The map may be out of date.
    pub(super) fn look_again(&self) {
        self.demand.notify_one();
    }

    /// What tells when the map changes.
    pub(super) fn moves(&self) -> Moves {
        Moves(self.map.subscribe())
    }

    /// The node to which the node `from` sends us; `None` where its address cannot be read.
    pub(super) fn redirected(&self, from: &Arc<Server>, to: Redirect) -> Option<Arc<Server>> {
        let (text, moved) = match &to {
            Redirect::Moved(text) => (text, true),
            Redirect::Ask(text) => (text, false),
        };
        let (server, asked) = {
            let mut nodes = lock(&self.nodes);
            let asked = nodes.iter().find(|(_, node)| Arc::ptr_eq(&node.server, from)).map(|(at, _)| at.host.clone());
            let address = address(text, asked.as_deref().unwrap_or_default())?;
            let known = nodes.len();
            let node = match nodes.get_mut(&address) {
                Some(node) => node,
                None if known >= NODES_MAX => return None,
                None => nodes.entry(address.clone()).or_insert_with(|| self.node(&address, true)),
            };
            node.seen = Instant::now();
            (Arc::clone(&node.server), address)
        };
        if moved {
            *lock(&self.hint) = Some(asked);
            self.demand.notify_one();
        }
        Some(server)
    }

    fn node(&self, address: &Address, counts: bool) -> Node {
        let server = Server::new(self.dial.to(&address.host, address.port), &self.pulse, counts);
        Node { server: Arc::new(server), seen: Instant::now() }
    }

    /// Looks at the map again and again, until the task is aborted.
    pub(super) async fn follow(self: Arc<Self>) {
        loop {
            let found = self.look().await;
            if let Some(ranges) = &found {
                self.install(ranges);
            }
            sleep(LOOK_PAUSE).await;
            let well = found.is_some_and(|ranges| is_whole(&ranges))
                && self.map.borrow().0.iter().all(|(_, server)| server.answers());
            tokio::select! {
                () = self.demand.notified() => {}
                () = self.pulse.turned.notified() => {}
                () = sleep(if well { LOOK_EVERY } else { LOOK_AGAIN }) => {}
            }
        }
    }

    /// Asks one node after the other for a map with all slots in it, or else the best there is.
    async fn look(&self) -> Option<Vec<Range>> {
        let hint = lock(&self.hint).take();
        let mut known: Vec<(Address, Arc<Server>)> =
            lock(&self.nodes).iter().map(|(at, node)| (at.clone(), Arc::clone(&node.server))).collect();
        fastrand::shuffle(&mut known);
        known.sort_by_key(|(address, _)| Some(address) != hint.as_ref());
        let mut best = None;
        for (address, server) in &known {
            if let Some(conn) = server.reads.conn().filter(|_| server.answers()) {
                let found = ask(&conn, &address.host).await;
                if found.as_deref().is_some_and(is_whole) {
                    return found;
                }
                best = [best, found].into_iter().flatten().max_by_key(|ranges| slots_in(ranges));
            }
        }
        for seed in &self.seeds {
            let Ok(client) = self.dial.to(&seed.host, seed.port).client() else { continue };
            if let Some((conn, _task)) = Conn::make(client).await {
                let found = ask(&conn, &seed.host).await;
                if found.as_deref().is_some_and(is_whole) {
                    return found;
                }
                best = [best, found].into_iter().flatten().max_by_key(|ranges| slots_in(ranges));
            }
        }
        best
    }

    /// Makes this the map: connects to nodes that are new in it and lets those go that have left.
    fn install(&self, ranges: &[Range]) {
        let is_first = self.map.borrow().0.is_empty();
        let now = Instant::now();
        let mut gone = false;
        let map = {
            let mut nodes = lock(&self.nodes);
            for range in ranges {
                let node = nodes.entry(range.address.clone()).or_insert_with(|| self.node(&range.address, !is_first));
                node.seen = now;
            }
            // One that had slots and has none has failed, or was let go: its streams are with another one, which may
            // have less of them.
            for (range, _) in &self.map.borrow().0 {
                if !ranges.iter().any(|now| now.address == range.address) {
                    gone |= nodes.remove(&range.address).is_some();
                }
            }
            nodes.retain(|_, node| now.duration_since(node.seen) < GUEST_FOR);
            let entry = |range: &Range| Some((range.clone(), Arc::clone(&nodes.get(&range.address)?.server)));
            Map(ranges.iter().filter_map(entry).collect())
        };
        let changed = self.map.send_if_modified(|old| {
            if old.is(&map) {
                return false;
            }
            *old = Arc::new(map);
            true
        });
        if changed {
            debug!(first = is_first, failover = gone, "the cluster's slots have moved");
        }
        if gone {
            self.pulse.count_epoch();
        }
    }
}

fn slots_in(ranges: &[Range]) -> usize {
    ranges.iter().map(|range| usize::from(range.last - range.first) + 1).sum()
}

fn is_whole(ranges: &[Range]) -> bool {
    slots_in(ranges) == SLOTS
}

async fn ask(conn: &Conn, host: &str) -> Option<Vec<Range>> {
    ranges(conn.call("CLUSTER", vec![Value::from_static_str("SLOTS")]).await.ok()?, host)
}
