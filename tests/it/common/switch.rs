//! A memory store that a test can take away, and that can pass for one that nodes share.

use bytes::Bytes;
use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::watch;
use tower_resume::{
    EndStatus, Event, NodeId, RequestId,
    store::{
        Append, Appended, Ask, Chunk, Counts, Desk, Expect, Health, MemoryStore, Name, Opened, Page, Snapshot, Store,
        StoreError, StoreErrorKind, Tail, Touched, Ttl, Watch,
    },
};

/// One node's hold on a store. Each node has its own name and its own switch.
#[derive(Clone)]
pub struct Switch {
    inner: MemoryStore,
    node: NodeId,
    shared: bool,
    remote: bool,
    down: Arc<AtomicBool>,
    full: Arc<AtomicBool>,
    deaf: Arc<AtomicBool>,
    ignorant: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    dead: Arc<Mutex<HashSet<NodeId>>>,
    answers: Arc<AtomicBool>,
    health: Arc<watch::Sender<Health>>,
}

impl Switch {
    pub fn new(inner: &MemoryStore) -> Self {
        let health = watch::Sender::new(Health { up: true, epoch: 0 });
        Self {
            inner: inner.clone(),
            node: NodeId::random(),
            shared: false,
            remote: false,
            down: Arc::default(),
            full: Arc::default(),
            deaf: Arc::default(),
            ignorant: Arc::default(),
            asked: Arc::default(),
            dead: Arc::default(),
            answers: Arc::default(),
            health: Arc::new(health),
        }
    }

    /// Passes for a store that nodes share.
    pub fn shared(mut self) -> Self {
        self.shared = true;
        self
    }

    /// Shares no memory with what it is asked by, as if there were a network in between.
    #[allow(dead_code, reason = "for tests that measure memory")]
    pub fn remote(mut self) -> Self {
        self.remote = true;
        self
    }

    pub fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
        self.health.send_modify(|health| {
            health.up = !down;
            health.epoch += u64::from(!down);
        });
    }

    /// A store that is there, and refuses to write.
    pub fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::SeqCst);
    }

    /// That node's lease is missing, as seen from here, and it does not answer.
    pub fn misses(&self, other: &Self, missing: bool) {
        let mut dead = self.dead.lock().unwrap();
        if missing {
            dead.insert(other.node)
        } else {
            dead.remove(&other.node)
        };
    }

    /// Its lease is missing, but it answers.
    pub fn misses_lease(&self, other: &Self) {
        self.misses(other, true);
        self.answers.store(true, Ordering::SeqCst);
    }

    /// Other nodes give no answer any more.
    pub fn set_deaf(&self, deaf: bool) {
        self.deaf.store(deaf, Ordering::SeqCst);
    }

    /// Other nodes answer that they know no stream.
    pub fn set_ignorant(&self, ignorant: bool) {
        self.ignorant.store(ignorant, Ordering::SeqCst);
    }

    /// How often it was asked to write.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn sent_page(&self, page: Page) -> Page {
        Page { chunks: self.sent(page.chunks), ..page }
    }

    fn sent(&self, chunks: Vec<Chunk>) -> Vec<Chunk> {
        if !self.remote {
            return chunks;
        }
        let copy = |event: &Event| Event { lines: Bytes::copy_from_slice(&event.lines), ..event.clone() };
        chunks.into_iter().map(|chunk| Chunk { events: chunk.events.iter().map(copy).collect(), ..chunk }).collect()
    }

    fn write(&self) -> Result<&MemoryStore, StoreError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.full.load(Ordering::SeqCst) {
            return Err(StoreError::new(StoreErrorKind::Refused, "full"));
        }
        self.ask()
    }

    fn ask(&self) -> Result<&MemoryStore, StoreError> {
        if self.down.load(Ordering::SeqCst) {
            return Err(StoreError::new(StoreErrorKind::Unavailable, "switched off"));
        }
        Ok(&self.inner)
    }
}

impl Store for Switch {
    fn kind(&self) -> &'static str {
        "switch"
    }

    fn node(&self) -> NodeId {
        self.node
    }

    fn is_shared(&self) -> bool {
        self.shared
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    async fn append(&self, append: Append) -> Result<Appended, StoreError> {
        let chunks = self.sent(append.chunks);
        Store::append(self.write()?, Append { chunks, ..append }).await
    }

    async fn open(&self, id: RequestId, after: u64) -> Result<Option<Opened>, StoreError> {
        let opened = Store::open(self.ask()?, id, after).await?;
        Ok(opened.map(|opened| Opened { page: self.sent_page(opened.page), ..opened }))
    }

    async fn page(&self, id: RequestId, after: u64) -> Result<Option<Page>, StoreError> {
        Ok(Store::page(self.ask()?, id, after).await?.map(|page| self.sent_page(page)))
    }

    async fn tail(&self, id: RequestId) -> Result<Option<Tail>, StoreError> {
        Store::tail(self.ask()?, id).await
    }

    async fn snapshot(&self, id: RequestId) -> Result<Option<Snapshot>, StoreError> {
        Store::snapshot(self.ask()?, id).await
    }

    async fn touch(&self, id: RequestId, ttl: Ttl) -> Result<Touched, StoreError> {
        Store::touch(self.write()?, id, ttl).await
    }

    async fn cancel(&self, id: RequestId) -> Result<bool, StoreError> {
        Store::cancel(self.ask()?, id).await
    }

    fn is_watched(&self, id: RequestId) -> bool {
        Store::is_watched(&self.inner, id)
    }

    fn watch(&self, id: RequestId, writer: NodeId, after: u64) -> Watch {
        Store::watch(&self.inner, id, writer, after)
    }

    async fn lives(&self, node: NodeId) -> Result<bool, StoreError> {
        self.ask()?;
        Ok(!self.dead.lock().unwrap().contains(&node))
    }

    async fn fence(
        &self,
        id: RequestId,
        status: EndStatus,
        at: u64,
        ttl: Ttl,
    ) -> Result<Option<EndStatus>, StoreError> {
        Store::fence(self.ask()?, id, status, at, ttl).await
    }

    async fn ask(&self, node: NodeId, id: RequestId, ask: Ask) -> Result<bool, StoreError> {
        let deaf = self.deaf.load(Ordering::SeqCst);
        if deaf || self.dead.lock().unwrap().contains(&node) && !self.answers.load(Ordering::SeqCst) {
            return Err(StoreError::new(StoreErrorKind::Unavailable, "no answer"));
        }
        let store = self.ask()?;
        Ok(!self.ignorant.load(Ordering::SeqCst) && Store::ask(store, node, id, ask).await?)
    }

    fn serve(&self, desk: Weak<dyn Desk>) {
        Store::serve(&self.inner, desk);
    }

    async fn lookup(&self, name: Name) -> Result<Option<Bytes>, StoreError> {
        Store::lookup(self.ask()?, name).await
    }

    async fn exchange(
        &self,
        name: Name,
        expect: Expect,
        value: Option<Bytes>,
        ttl: Duration,
    ) -> Result<Option<Bytes>, StoreError> {
        Store::exchange(self.write()?, name, expect, value, ttl).await
    }

    async fn count(&self, id: RequestId, known: Counts, more: Counts) -> Result<Counts, StoreError> {
        Store::count(self.ask()?, id, known, more).await
    }
}
