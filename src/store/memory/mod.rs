//! The embedded store: everything in this process, behind one lock.
//!
//! The lock is a plain [`Mutex`]: what happens under it is short, never waits, and gives no memory back (that is done
//! once it is free). One task gives back what has expired; it lives only while there is something to expire.

mod log;
mod names;
mod state;
mod stream;
mod sweep;
#[cfg(test)]
mod tests;

use super::{
    Append, Appended, Ask, Counts, Desk, Expect, Health, Name, Opened, Page, Snapshot, Store, StoreError,
    StoreErrorKind, Tail, Touched, Ttl, Watch, WatchGuard, desk::Desks,
};
use crate::{EndStatus, NodeId, RequestId};
use bytes::Bytes;
use log::Trash;
use names::Names;
use state::State;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::Instant,
};

/// The news that one watcher may leave unread. What comes on top is lost, and a look at the log makes up for it.
const WATCH_CAPACITY: usize = 64;

/// Keeps the events in this process' memory: nothing to set up, nothing to fail, and gone with the process.
///
/// Clients can resume on this node only. Events are shared with the rest of the layer, not copied. Memory is given back
/// when a log's time to live has run out, also with no request coming in, where the store is used within a tokio
/// runtime.
///
/// # Clone
///
/// A clone is the same store.
///
/// # Examples
///
/// ```
/// use tower_resume::store::MemoryStore;
///
/// let store = MemoryStore::new().max_bytes(64 * 1024 * 1024);
/// # let _ = store;
/// ```
#[derive(Clone)]
pub struct MemoryStore(Arc<Shared>);

struct Shared {
    node: NodeId,
    health: watch::Sender<Health>,
    state: Mutex<State>,
    names: Mutex<Names>,
    desks: Desks,
    /// Wakes the task that waits for what expires next: something expires earlier now, or the store is gone.
    earlier: Arc<Notify>,
}

impl MemoryStore {
    /// The most that a store holds where nothing else is set: 256 MiB, some 170 streams at their default limit
    /// of 1.5 MiB, or many more of the usual size. Without a bound, a node that is busy enough would run out of memory.
    pub const DEFAULT_MAX_BYTES: usize = 256 * 1024 * 1024;

    /// An empty store that holds up to [`DEFAULT_MAX_BYTES`](Self::DEFAULT_MAX_BYTES).
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Shared {
            node: NodeId::random(),
            health: watch::Sender::new(Health { up: true, epoch: 0 }),
            state: Mutex::new(State::new(Self::DEFAULT_MAX_BYTES)),
            names: Mutex::default(),
            desks: Desks::default(),
            earlier: Arc::default(),
        }))
    }

    /// Holds at most this many bytes of events and snapshots, with what it takes to keep them; the default is
    /// 256 MiB ([`DEFAULT_MAX_BYTES`](Self::DEFAULT_MAX_BYTES)).
    ///
    /// Where more is wanted, the logs of streams that are over go first, the oldest end first, then their snapshots.
    /// Where that is not enough, the append is refused ([`StoreErrorKind::Refused`]): running streams are never cut.
    #[must_use]
    pub fn max_bytes(self, max_bytes: usize) -> Self {
        self.0.lock().set_max_bytes(max_bytes);
        self
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryStore").field("node", &self.0.node).finish_non_exhaustive()
    }
}

impl Shared {
    /// Nothing under the lock panics; and if it did, what is there would still be the best that is known.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(self: &Arc<Self>, append: Append) -> Result<Appended, StoreError> {
        if !log::joins(&append) {
            return Err(StoreError::new(StoreErrorKind::Refused, "the chunks of an append do not follow each other"));
        }
        let now = Instant::now();
        let mut trash = Trash::new();
        let mut state = self.lock();
        let due = state.next_due();
        let appended = state.append(append, now, &mut trash);
        self.changed(state, due, now, &mut trash);
        appended
    }

    /// Sees to it, after a change, that what expires is given back.
    fn changed(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        due: Option<Instant>,
        now: Instant,
        trash: &mut Trash,
    ) {
        let next = state.next_due();
        if next == due && (state.sweeping || next.is_none()) {
            return;
        }
        // Where no runtime runs the task, whoever comes next does its work.
        state.sweep(now, trash);
        let start = !std::mem::replace(&mut state.sweeping, true);
        // Starting may drop the task at once, which takes the lock.
        drop(state);
        if start {
            sweep::start(self);
        } else {
            self.earlier.notify_one();
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.earlier.notify_one();
    }
}

impl Store for MemoryStore {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn node(&self) -> NodeId {
        self.0.node
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.0.health.subscribe()
    }

    async fn append(&self, append: Append) -> Result<Appended, StoreError> {
        self.0.append(append)
    }

    async fn open(&self, id: RequestId, after: u64) -> Result<Option<Opened>, StoreError> {
        let now = Instant::now();
        Ok(self.0.lock().open(&id, after, now))
    }

    async fn page(&self, id: RequestId, after: u64) -> Result<Option<Page>, StoreError> {
        let now = Instant::now();
        Ok(self.0.lock().log(&id, now).map(|log| log.page(after)))
    }

    async fn tail(&self, id: RequestId) -> Result<Option<Tail>, StoreError> {
        let now = Instant::now();
        Ok(self.0.lock().log(&id, now).and_then(log::Log::tail))
    }

    async fn snapshot(&self, id: RequestId) -> Result<Option<Snapshot>, StoreError> {
        let now = Instant::now();
        Ok(self.0.lock().snapshot(&id, now))
    }

    async fn touch(&self, id: RequestId, ttl: Ttl) -> Result<Touched, StoreError> {
        let now = Instant::now();
        let mut trash = Trash::new();
        let mut state = self.0.lock();
        let due = state.next_due();
        let touched = state.touch(&id, ttl, now, &mut trash);
        self.0.changed(state, due, now, &mut trash);
        Ok(touched)
    }

    async fn cancel(&self, id: RequestId) -> Result<bool, StoreError> {
        Ok(self.0.lock().cancel(&id, Instant::now()))
    }

    fn is_watched(&self, id: RequestId) -> bool {
        self.0.lock().is_watched(&id)
    }

    fn watch(&self, id: RequestId, _writer: NodeId, after: u64) -> Watch {
        let (sender, news) = mpsc::channel(WATCH_CAPACITY);
        let number = self.0.lock().watch(id, after, sender, Instant::now());
        let shared = Arc::downgrade(&self.0);
        let guard = WatchGuard::new(move || {
            if let Some(shared) = shared.upgrade() {
                shared.lock().unwatch(id, number);
            }
        });
        Watch { news, guard }
    }

    async fn lives(&self, node: NodeId) -> Result<bool, StoreError> {
        Ok(node == self.0.node)
    }

    async fn fence(
        &self,
        id: RequestId,
        status: EndStatus,
        at: u64,
        ttl: Ttl,
    ) -> Result<Option<EndStatus>, StoreError> {
        let now = Instant::now();
        let mut trash = Trash::new();
        let mut state = self.0.lock();
        let due = state.next_due();
        let ended = state.fence(id, self.0.node, (status, at), ttl, now, &mut trash);
        self.0.changed(state, due, now, &mut trash);
        Ok(ended)
    }

    async fn ask(&self, _node: NodeId, id: RequestId, ask: Ask) -> Result<bool, StoreError> {
        Ok(self.0.desks.asked(id, ask))
    }

    fn serve(&self, desk: Weak<dyn Desk>) {
        self.0.desks.add(desk);
    }

    async fn lookup(&self, name: Name) -> Result<Option<Bytes>, StoreError> {
        Ok(self.0.names().lookup(name, Instant::now()))
    }

    async fn exchange(
        &self,
        name: Name,
        expect: Expect,
        value: Option<Bytes>,
        ttl: Duration,
    ) -> Result<Option<Bytes>, StoreError> {
        self.0.names().exchange(name, &expect, value, ttl, Instant::now())
    }

    async fn count(&self, id: RequestId, known: Counts, more: Counts) -> Result<Counts, StoreError> {
        Ok(self.0.lock().count(&id, known, more, Instant::now()))
    }
}
