//! A store whose every question is a span.

use super::{
    Append, Appended, Ask, Counts, Desk, Erased, Expect, Health, Name, Opened, Page, Snapshot, StoreError, Tail,
    Touched, Ttl, Watch,
};
use crate::{EndStatus, NodeId, RequestId, telemetry::spans};
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _};
use std::{
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::sync::watch;
use tracing::{Instrument as _, Span};

type Reply<T> = BoxFuture<'static, Result<T, StoreError>>;

/// A store as a node asks it.
pub(crate) struct Traced(pub(crate) Arc<dyn Erased>);

/// Costs nothing where nobody listens.
fn within<T: 'static>(span: Span, reply: Reply<T>) -> Reply<T> {
    if span.is_disabled() { reply } else { reply.instrument(span).boxed() }
}

impl Traced {
    fn inner(&self) -> Arc<dyn Erased> {
        Arc::clone(&self.0)
    }

    fn about<T: 'static>(&self, op: &'static str, id: RequestId, reply: Reply<T>) -> Reply<T> {
        within(spans::store(op, self.0.kind(), id), reply)
    }

    fn often<T: 'static>(&self, op: &'static str, id: RequestId, reply: Reply<T>) -> Reply<T> {
        within(spans::store_often(op, self.0.kind(), id), reply)
    }

    fn at_large<T: 'static>(&self, op: &'static str, reply: Reply<T>) -> Reply<T> {
        within(spans::store_at_large(op, self.0.kind()), reply)
    }
}

impl Erased for Traced {
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

    fn append(self: Arc<Self>, append: Append) -> Reply<Appended> {
        let id = append.id;
        self.often("append", id, self.inner().append(append))
    }

    fn open(self: Arc<Self>, id: RequestId, after: u64) -> Reply<Option<Opened>> {
        self.about("open", id, self.inner().open(id, after))
    }

    fn page(self: Arc<Self>, id: RequestId, after: u64) -> Reply<Option<Page>> {
        self.about("page", id, self.inner().page(id, after))
    }

    fn tail(self: Arc<Self>, id: RequestId) -> Reply<Option<Tail>> {
        self.about("tail", id, self.inner().tail(id))
    }

    fn snapshot(self: Arc<Self>, id: RequestId) -> Reply<Option<Snapshot>> {
        self.about("snapshot", id, self.inner().snapshot(id))
    }

    fn touch(self: Arc<Self>, id: RequestId, ttl: Ttl) -> Reply<Touched> {
        self.often("touch", id, self.inner().touch(id, ttl))
    }

    fn cancel(self: Arc<Self>, id: RequestId) -> Reply<bool> {
        self.about("cancel", id, self.inner().cancel(id))
    }

    fn is_watched(&self, id: RequestId) -> bool {
        self.0.is_watched(id)
    }

    fn watch(&self, id: RequestId, writer: NodeId, after: u64) -> Watch {
        self.0.watch(id, writer, after)
    }

    fn lives(self: Arc<Self>, node: NodeId) -> Reply<bool> {
        self.at_large("lives", self.inner().lives(node))
    }

    fn fence(self: Arc<Self>, id: RequestId, status: EndStatus, at: u64, ttl: Ttl) -> Reply<Option<EndStatus>> {
        self.about("fence", id, self.inner().fence(id, status, at, ttl))
    }

    fn ask(self: Arc<Self>, node: NodeId, id: RequestId, ask: Ask) -> Reply<bool> {
        self.about("ask", id, self.inner().ask(node, id, ask))
    }

    fn serve(&self, desk: Weak<dyn Desk>) {
        self.0.serve(desk);
    }

    fn lookup(self: Arc<Self>, name: Name) -> Reply<Option<Bytes>> {
        self.at_large("lookup", self.inner().lookup(name))
    }

    fn exchange(
        self: Arc<Self>,
        name: Name,
        expect: Expect,
        value: Option<Bytes>,
        ttl: Duration,
    ) -> Reply<Option<Bytes>> {
        self.at_large("exchange", self.inner().exchange(name, expect, value, ttl))
    }

    fn count(self: Arc<Self>, id: RequestId, known: Counts, more: Counts) -> Reply<Counts> {
        self.about("count", id, self.inner().count(id, known, more))
    }
}
