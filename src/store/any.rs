//! A store whose kind is chosen at run time.

use super::{Append, Appended, Health, Opened, Page, Snapshot, Store, StoreError, Tail, Ttl, Watch};
use crate::{NodeId, RequestId};
use futures_util::future::{BoxFuture, FutureExt as _};
use std::{fmt, future::Future, sync::Arc};
use tokio::sync::watch;

type Reply<T> = BoxFuture<'static, Result<T, StoreError>>;

/// [`Store`] with its futures boxed and owning what they need, so that one code serves every store.
pub(crate) trait Erased: Send + Sync + 'static {
    fn kind(&self) -> &'static str;
    fn node(&self) -> NodeId;
    fn is_shared(&self) -> bool;
    fn health(&self) -> watch::Receiver<Health>;
    fn append(self: Arc<Self>, append: Append) -> Reply<Appended>;
    fn open(self: Arc<Self>, id: RequestId, after: u64) -> Reply<Option<Opened>>;
    fn page(self: Arc<Self>, id: RequestId, after: u64) -> Reply<Option<Page>>;
    fn tail(self: Arc<Self>, id: RequestId) -> Reply<Option<Tail>>;
    fn snapshot(self: Arc<Self>, id: RequestId) -> Reply<Option<Snapshot>>;
    fn touch(self: Arc<Self>, id: RequestId, ttl: Ttl) -> Reply<bool>;
    fn is_watched(&self, id: RequestId) -> bool;
    fn watch(&self, id: RequestId, writer: NodeId, after: u64) -> Watch;
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

    fn touch(self: Arc<Self>, id: RequestId, ttl: Ttl) -> Reply<bool> {
        async move { Store::touch(&*self, id, ttl).await }.boxed()
    }

    fn is_watched(&self, id: RequestId) -> bool {
        Store::is_watched(self, id)
    }

    fn watch(&self, id: RequestId, writer: NodeId, after: u64) -> Watch {
        Store::watch(self, id, writer, after)
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

    fn touch(&self, id: RequestId, ttl: Ttl) -> impl Future<Output = Result<bool, StoreError>> + Send {
        Arc::clone(&self.0).touch(id, ttl)
    }

    fn is_watched(&self, id: RequestId) -> bool {
        self.0.is_watched(id)
    }

    fn watch(&self, id: RequestId, writer: NodeId, after: u64) -> Watch {
        self.0.watch(id, writer, after)
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

    fn touch(&self, id: RequestId, ttl: Ttl) -> impl Future<Output = Result<bool, StoreError>> + Send {
        Store::touch(&**self, id, ttl)
    }

    fn is_watched(&self, id: RequestId) -> bool {
        Store::is_watched(&**self, id)
    }

    fn watch(&self, id: RequestId, writer: NodeId, after: u64) -> Watch {
        Store::watch(&**self, id, writer, after)
    }
}
