//! A memory store that passes for a shared one, lets appends through one by one, notes them, and can lose an answer.

use bytes::Bytes;
use std::{
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Semaphore, watch};
use tower_resume::{
    EndStatus, NodeId, RequestId,
    store::{
        Append, Appended, Ask, Counts, Desk, Expect, Health, MemoryStore, Name, Onto, Opened, Page, Snapshot, Store,
        StoreError, StoreErrorKind, Tail, Touched, Ttl, Watch,
    },
};

/// What one append was: `begin`, `rewrite` or `on <seq>`, and the first and last seqs of its chunks.
pub type Noted = (String, Vec<(u64, u64)>);

#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    store: MemoryStore,
    passes: Semaphore,
    noted: Mutex<Vec<Noted>>,
    lose: AtomicBool,
    fail: AtomicBool,
    refuse: AtomicBool,
    replicas: AtomicU32,
}

impl Gate {
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            store: MemoryStore::new(),
            passes: Semaphore::new(0),
            noted: Mutex::default(),
            lose: AtomicBool::new(false),
            fail: AtomicBool::new(false),
            refuse: AtomicBool::new(false),
            replicas: AtomicU32::new(0),
        }))
    }

    /// Lets so many appends through.
    pub fn let_through(&self, appends: usize) {
        self.0.passes.add_permits(appends);
    }

    /// The next append is done, but its answer does not come.
    pub fn lose_an_answer(&self) {
        self.0.lose.store(true, Ordering::SeqCst);
    }

    /// The next append is not done.
    pub fn fail_once(&self) {
        self.0.fail.store(true, Ordering::SeqCst);
    }

    /// No further append is done.
    pub fn refuse(&self) {
        self.0.refuse.store(true, Ordering::SeqCst);
    }

    /// How many replicas the newest append asked for.
    pub fn replicas(&self) -> u32 {
        self.0.replicas.load(Ordering::SeqCst)
    }

    /// All appends so far, those that wait included.
    pub fn noted(&self) -> Vec<Noted> {
        self.0.noted.lock().unwrap().clone()
    }
}

impl Store for Gate {
    fn kind(&self) -> &'static str {
        "gate"
    }

    fn node(&self) -> NodeId {
        Store::node(&self.0.store)
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn health(&self) -> watch::Receiver<Health> {
        Store::health(&self.0.store)
    }

    async fn append(&self, append: Append) -> Result<Appended, StoreError> {
        let onto = match &append.onto {
            Onto::Nothing(_) => "begin".to_owned(),
            Onto::Seq(seq) => format!("on {seq}"),
            Onto::Anything(_) => "rewrite".to_owned(),
        };
        self.0.replicas.store(append.replicas, Ordering::SeqCst);
        let chunks = append.chunks.iter().map(|chunk| (chunk.first, chunk.last())).collect();
        self.0.noted.lock().unwrap().push((onto, chunks));
        if self.0.refuse.load(Ordering::SeqCst) {
            return Err(StoreError::new(StoreErrorKind::Refused, "told to"));
        }
        self.0.passes.acquire().await.unwrap().forget();
        let lost = || StoreError::new(StoreErrorKind::Unavailable, "the answer was lost");
        if self.0.fail.swap(false, Ordering::SeqCst) {
            return Err(lost());
        }
        let appended = Store::append(&self.0.store, append).await;
        if self.0.lose.swap(false, Ordering::SeqCst) { Err(lost()) } else { appended }
    }

    async fn open(&self, id: RequestId, after: u64) -> Result<Option<Opened>, StoreError> {
        Store::open(&self.0.store, id, after).await
    }

    async fn page(&self, id: RequestId, after: u64) -> Result<Option<Page>, StoreError> {
        Store::page(&self.0.store, id, after).await
    }

    async fn tail(&self, id: RequestId) -> Result<Option<Tail>, StoreError> {
        Store::tail(&self.0.store, id).await
    }

    async fn snapshot(&self, id: RequestId) -> Result<Option<Snapshot>, StoreError> {
        Store::snapshot(&self.0.store, id).await
    }

    async fn touch(&self, id: RequestId, ttl: Ttl) -> Result<Touched, StoreError> {
        Store::touch(&self.0.store, id, ttl).await
    }

    async fn cancel(&self, id: RequestId) -> Result<bool, StoreError> {
        Store::cancel(&self.0.store, id).await
    }

    fn watch(&self, id: RequestId, writer: NodeId, after: u64) -> Watch {
        Store::watch(&self.0.store, id, writer, after)
    }

    async fn lives(&self, _node: NodeId) -> Result<bool, StoreError> {
        Ok(true)
    }

    async fn fence(
        &self,
        id: RequestId,
        status: EndStatus,
        at: u64,
        ttl: Ttl,
    ) -> Result<Option<EndStatus>, StoreError> {
        Store::fence(&self.0.store, id, status, at, ttl).await
    }

    async fn ask(&self, node: NodeId, id: RequestId, ask: Ask) -> Result<bool, StoreError> {
        Store::ask(&self.0.store, node, id, ask).await
    }

    fn serve(&self, desk: Weak<dyn Desk>) {
        Store::serve(&self.0.store, desk);
    }

    async fn lookup(&self, name: Name) -> Result<Option<Bytes>, StoreError> {
        Store::lookup(&self.0.store, name).await
    }

    async fn exchange(
        &self,
        name: Name,
        expect: Expect,
        value: Option<Bytes>,
        ttl: Duration,
    ) -> Result<Option<Bytes>, StoreError> {
        Store::exchange(&self.0.store, name, expect, value, ttl).await
    }

    async fn count(&self, id: RequestId, known: Counts, more: Counts) -> Result<Counts, StoreError> {
        Store::count(&self.0.store, id, known, more).await
    }
}
