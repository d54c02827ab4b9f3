//! A store whose kind is chosen at run time.

use super::{
    Append, Appended, Ask, Counts, Desk, Expect, Health, Name, Opened, Page, Snapshot, Store, StoreError, Tail,
    Touched, Ttl, Watch,
};
use crate::{EndStatus, NodeId, RequestId};
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _};
use std::{
    fmt,
    future::Future,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::sync::watch;

type Reply<T> = BoxFuture<'static, Result<T, StoreError>>;

/// [`Store`] with its futures boxed and owning what they need, so that one code serves every store.
pub(crate) trait Erased: Send + Sync + 'static {
    fn kind(&self) -> &'static str;
    fn node(&self) -> NodeId;
    fn is_shared(&self) -> bool;
    fn health(&self) -> watch::Receiver<Health>;
    fn reaches(&self, id: RequestId) -> bool;
    fn append(self: Arc<Self>, append: Append) -> Reply<Appended>;
    fn open(self: Arc<Self>, id: RequestId, after: u64) -> Reply<Option<Opened>>;
    fn page(self: Arc<Self>, id: RequestId, after: u64) -> Reply<Option<Page>>;
    fn tail(self: Arc<Self>, id: RequestId) -> Reply<Option<Tail>>;
    fn snapshot(self: Arc<Self>, id: RequestId) -> Reply<Option<Snapshot>>;
    fn touch(self: Arc<Self>, id: RequestId, ttl: Ttl) -> Reply<Touched>;
    fn cancel(self: Arc<Self>, id: RequestId) -> Reply<bool>;
    fn is_watched(&self, id: RequestId) -> bool;
    fn watch(&self, id: RequestId, writer: NodeId, after: u64) -> Watch;
    fn lives(self: Arc<Self>, node: NodeId) -> Reply<bool>;
    fn fence(self: Arc<Self>, id: RequestId, status: EndStatus, at: u64, ttl: Ttl) -> Reply<Option<EndStatus>>;
    fn ask(self: Arc<Self>, node: NodeId, id: RequestId, ask: Ask) -> Reply<bool>;
    fn serve(&self, desk: Weak<dyn Desk>);
    fn lookup(self: Arc<Self>, name: Name) -> Reply<Option<Bytes>>;
    fn exchange(
        self: Arc<Self>,
        name: Name,
        expect: Expect,
        value: Option<Bytes>,
        ttl: Duration,
    ) -> Reply<Option<Bytes>>;
    fn count(self: Arc<Self>, id: RequestId, known: Counts, more: Counts) -> Reply<Counts>;
}

impl<S: Store> Erased for S {
    fn kind(&self) -> &'static str {
        Store::kind(self)
    }

    fn node(&self) -> NodeId {
        Store::node(self)
    }

    fn is_shared(&self) -> bool {
        Store::is_shared(self)
    }

    fn health(&self) -> watch::Receiver<Health> {
        Store::health(self)
    }

    fn reaches(&self, id: RequestId) -> bool {
        Store::reaches(self, id)
    }

    fn append(self: Arc<Self>, append: Append) -> Reply<Appended> {
        async move { Store::append(&*self, append).await }.boxed()
    }

    fn open(self: Arc<Self>, id: RequestId, after: u64) -> Reply<Option<Opened>> {
        async move { Store::open(&*self, id, after).await }.boxed()
    }

    fn page(self: Arc<Self>, id: RequestId, after: u64) -> Reply<Option<Page>> {
        async move { Store::page(&*self, id, after).await }.boxed()
    }

    fn tail(self: Arc<Self>, id: RequestId) -> Reply<Option<Tail>> {
        async move { Store::tail(&*self, id).await }.boxed()
    }

    fn snapshot(self: Arc<Self>, id: RequestId) -> Reply<Option<Snapshot>> {
        async move { Store::snapshot(&*self, id).await }.boxed()
    }

    fn touch(self: Arc<Self>, id: RequestId, ttl: Ttl) -> Reply<Touched> {
        async move { Store::touch(&*self, id, ttl).await }.boxed()
    }

    fn cancel(self: Arc<Self>, id: RequestId) -> Reply<bool> {
        async move { Store::cancel(&*self, id).await }.boxed()
    }

    fn is_watched(&self, id: RequestId) -> bool {
        Store::is_watched(self, id)
    }

    fn watch(&self, id: RequestId, writer: NodeId, after: u64) -> Watch {
        Store::watch(self, id, writer, after)
    }

    fn lives(self: Arc<Self>, node: NodeId) -> Reply<bool> {
        async move { Store::lives(&*self, node).await }.boxed()
    }

    fn fence(self: Arc<Self>, id: RequestId, status: EndStatus, at: u64, ttl: Ttl) -> Reply<Option<EndStatus>> {
        async move { Store::fence(&*self, id, status, at, ttl).await }.boxed()
    }

    fn ask(self: Arc<Self>, node: NodeId, id: RequestId, ask: Ask) -> Reply<bool> {
        async move { Store::ask(&*self, node, id, ask).await }.boxed()
    }

    fn serve(&self, desk: Weak<dyn Desk>) {
        Store::serve(self, desk);
    }

    fn lookup(self: Arc<Self>, name: Name) -> Reply<Option<Bytes>> {
        async move { Store::lookup(&*self, name).await }.boxed()
    }

    fn exchange(
        self: Arc<Self>,
        name: Name,
        expect: Expect,
        value: Option<Bytes>,
        ttl: Duration,
    ) -> Reply<Option<Bytes>> {
        async move { Store::exchange(&*self, name, expect, value, ttl).await }.boxed()
    }

    fn count(self: Arc<Self>, id: RequestId, known: Counts, more: Counts) -> Reply<Counts> {
        async move { Store::count(&*self, id, known, more).await }.boxed()
    }
}

/// A store whose kind is chosen at run time: Redis where there is one, memory elsewhere.
///
/// ```
/// use tower_resume::store::{AnyStore, MemoryStore};
///
/// let store = AnyStore::new(MemoryStore::new());
/// # let _ = store;
/// ```
#[derive(Clone)]
pub struct AnyStore(Arc<dyn Erased>);

impl AnyStore {
    /// Hides which store this is.
    pub fn new(store: impl Store) -> Self {
        Self(Arc::new(store))
    }
}

impl fmt::Debug for AnyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnyStore").field(&self.0.kind()).finish()
    }
}

impl Store for AnyStore {
    fn kind(&self) -> &'static str {
        self.0.kind()
    }

    fn node(&self) -> NodeId {
        self.0.node()
    }

    fn is_shared(&self) -> bool {
        self.0.is_shared()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.0.health()
    }

    fn reaches(&self, id: RequestId) -> bool {
        self.0.reaches(id)
    }

    fn append(&self, append: Append) -> impl Future<Output = Result<Appended, StoreError>> + Send {
        Arc::clone(&self.0).append(append)
    }

    fn open(&self, id: RequestId, after: u64) -> impl Future<Output = Result<Option<Opened>, StoreError>> + Send {
        Arc::clone(&self.0).open(id, after)
    }

    fn page(&self, id: RequestId, after: u64) -> impl Future<Output = Result<Option<Page>, StoreError>> + Send {
        Arc::clone(&self.0).page(id, after)
    }

    fn tail(&self, id: RequestId) -> impl Future<Output = Result<Option<Tail>, StoreError>> + Send {
        Arc::clone(&self.0).tail(id)
    }

    fn snapshot(&self, id: RequestId) -> impl Future<Output = Result<Option<Snapshot>, StoreError>> + Send {
        Arc::clone(&self.0).snapshot(id)
    }

    fn touch(&self, id: RequestId, ttl: Ttl) -> impl Future<Output = Result<Touched, StoreError>> + Send {
        Arc::clone(&self.0).touch(id, ttl)
    }

    fn cancel(&self, id: RequestId) -> impl Future<Output = Result<bool, StoreError>> + Send {
        Arc::clone(&self.0).cancel(id)
    }

    fn is_watched(&self, id: RequestId) -> bool {
        self.0.is_watched(id)
    }

    fn watch(&self, id: RequestId, writer: NodeId, after: u64) -> Watch {
        self.0.watch(id, writer, after)
    }

    fn lives(&self, node: NodeId) -> impl Future<Output = Result<bool, StoreError>> + Send {
        Arc::clone(&self.0).lives(node)
    }

    fn fence(
        &self,
        id: RequestId,
        status: EndStatus,
        at: u64,
        ttl: Ttl,
    ) -> impl Future<Output = Result<Option<EndStatus>, StoreError>> + Send {
        Arc::clone(&self.0).fence(id, status, at, ttl)
    }

    fn ask(&self, node: NodeId, id: RequestId, ask: Ask) -> impl Future<Output = Result<bool, StoreError>> + Send {
        Arc::clone(&self.0).ask(node, id, ask)
    }

    fn serve(&self, desk: Weak<dyn Desk>) {
        self.0.serve(desk);
    }

    fn lookup(&self, name: Name) -> impl Future<Output = Result<Option<Bytes>, StoreError>> + Send {
        Arc::clone(&self.0).lookup(name)
    }

    fn exchange(
        &self,
        name: Name,
        expect: Expect,
        value: Option<Bytes>,
        ttl: Duration,
    ) -> impl Future<Output = Result<Option<Bytes>, StoreError>> + Send {
        Arc::clone(&self.0).exchange(name, expect, value, ttl)
    }

    fn count(
        &self,
        id: RequestId,
        known: Counts,
        more: Counts,
    ) -> impl Future<Output = Result<Counts, StoreError>> + Send {
        Arc::clone(&self.0).count(id, known, more)
    }
}

/// A store that several layers share: clones of the [`Arc`] are the same store.
impl<S: Store> Store for Arc<S> {
    fn kind(&self) -> &'static str {
        Store::kind(&**self)
    }

    fn node(&self) -> NodeId {
        Store::node(&**self)
    }

    fn is_shared(&self) -> bool {
        Store::is_shared(&**self)
    }

    fn health(&self) -> watch::Receiver<Health> {
        Store::health(&**self)
    }

    fn reaches(&self, id: RequestId) -> bool {
        Store::reaches(&**self, id)
    }

    fn append(&self, append: Append) -> impl Future<Output = Result<Appended, StoreError>> + Send {
        Store::append(&**self, append)
    }

    fn open(&self, id: RequestId, after: u64) -> impl Future<Output = Result<Option<Opened>, StoreError>> + Send {
        Store::open(&**self, id, after)
    }

    fn page(&self, id: RequestId, after: u64) -> impl Future<Output = Result<Option<Page>, StoreError>> + Send {
        Store::page(&**self, id, after)
    }

    fn tail(&self, id: RequestId) -> impl Future<Output = Result<Option<Tail>, StoreError>> + Send {
        Store::tail(&**self, id)
    }

    fn snapshot(&self, id: RequestId) -> impl Future<Output = Result<Option<Snapshot>, StoreError>> + Send {
        Store::snapshot(&**self, id)
    }

    fn touch(&self, id: RequestId, ttl: Ttl) -> impl Future<Output = Result<Touched, StoreError>> + Send {
        Store::touch(&**self, id, ttl)
    }

    fn cancel(&self, id: RequestId) -> impl Future<Output = Result<bool, StoreError>> + Send {
        Store::cancel(&**self, id)
    }

    fn is_watched(&self, id: RequestId) -> bool {
        Store::is_watched(&**self, id)
    }

    fn watch(&self, id: RequestId, writer: NodeId, after: u64) -> Watch {
        Store::watch(&**self, id, writer, after)
    }

    fn lives(&self, node: NodeId) -> impl Future<Output = Result<bool, StoreError>> + Send {
        Store::lives(&**self, node)
    }

    fn fence(
        &self,
        id: RequestId,
        status: EndStatus,
        at: u64,
        ttl: Ttl,
    ) -> impl Future<Output = Result<Option<EndStatus>, StoreError>> + Send {
        Store::fence(&**self, id, status, at, ttl)
    }

    fn ask(&self, node: NodeId, id: RequestId, ask: Ask) -> impl Future<Output = Result<bool, StoreError>> + Send {
        Store::ask(&**self, node, id, ask)
    }

    fn serve(&self, desk: Weak<dyn Desk>) {
        Store::serve(&**self, desk);
    }

    fn lookup(&self, name: Name) -> impl Future<Output = Result<Option<Bytes>, StoreError>> + Send {
        Store::lookup(&**self, name)
    }

    fn exchange(
        &self,
        name: Name,
        expect: Expect,
        value: Option<Bytes>,
        ttl: Duration,
    ) -> impl Future<Output = Result<Option<Bytes>, StoreError>> + Send {
        Store::exchange(&**self, name, expect, value, ttl)
    }

    fn count(
        &self,
        id: RequestId,
        known: Counts,
        more: Counts,
    ) -> impl Future<Output = Result<Counts, StoreError>> + Send {
        Store::count(&**self, id, known, more)
    }
}
