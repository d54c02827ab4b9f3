//! Where the events of a stream are kept, so that a client can come back for them.
//!
//! Two stores come with the crate: [`MemoryStore`], the embedded default, and `RedisStore` (feature `redis`),
//! which lets a client resume on any node. Both pass one suite, and a store of your own can run it too
//! (feature `conformance`).

mod any;
mod chunk;
#[cfg(any(feature = "redis", test, fuzzing))]
#[cfg_attr(fuzzing, allow(dead_code, reason = "only the stores pack"))]
mod codec;
#[cfg(feature = "conformance")]
pub mod conformance;
mod desk;
mod error;
mod memory;
mod name;
#[cfg(any(feature = "redis", test, fuzzing))]
#[cfg_attr(fuzzing, allow(dead_code, reason = "only the stores pack"))]
#[cfg_attr(not(feature = "redis"), allow(dead_code, reason = "only its tests, and what bytes are packed in, are used"))]
mod pack;
mod page;
#[cfg(feature = "redis")]
mod redis;
mod traced;

#[cfg(any(test, fuzzing))]
pub(crate) use codec::fuzz as fuzz_codec;

pub use any::AnyStore;
pub(crate) use any::Erased;
pub use chunk::{CHUNK_MAX_BYTES, CHUNK_MAX_EVENTS, Chunk, DecodeError, Totals};
pub use desk::{Ask, Counts, Desk};
pub use error::{StoreError, StoreErrorKind};
pub use memory::MemoryStore;
pub use name::{Expect, NAME_MAX_BYTES, Name};
#[cfg(feature = "redis")]
pub use redis::{RedisConfig, RedisStore};
pub(crate) use traced::Traced;

use crate::{EndStatus, NodeId, RequestId, Step};
use bytes::Bytes;
use std::{
    future::Future,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::sync::{mpsc, watch};

/// What is known of a stream from its first moment on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamHead {
    /// The node that runs the handler.
    pub node: NodeId,
    /// When the stream began, in milliseconds since the epoch.
    pub started_at: u64,
    /// The first request's `X-Request-Id`, where it had a sane one.
    pub correlation_id: Option<Arc<str>>,
    /// Whether this stream's control events are sent as comments.
    pub comments: bool,
}

/// What stands in for a stream's events: the whole result of one that is over, or the state so far of one that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The last event that the snapshot stands in for.
    pub seq: u64,
    /// How the stream ended; `None` while it runs.
    pub status: Option<EndStatus>,
    /// The step at `seq`.
    pub step: Step,
    /// The data of the `complete` or `state` event, without line ends of its own but `\n`.
    pub data: Bytes,
}

/// How long things are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ttl {
    /// A log, from its last renewal on.
    pub log: Duration,
    /// The snapshot of a stream that is over, from its end on. (While the stream runs, `log` holds.)
    pub snapshot: Duration,
}

/// What an append does with the log that it meets.
#[derive(Clone, Debug)]
pub enum Onto {
    /// Begins the log.
    Nothing(StreamHead),
    /// Goes on behind this seq, the last one that the store has acknowledged.
    Seq(u64),
    /// Replaces whatever is there: a log that is gone or has diverged is written again, whole.
    Anything(StreamHead),
}

/// A step of a stream's only writer.
#[derive(Clone, Debug)]
pub struct Append {
    /// The stream.
    pub id: RequestId,
    /// What the chunks go onto.
    pub onto: Onto,
    /// The chunks, in order. Where one begins behind the next seq, what lies between was let go already. A log begins with a chunk of no events, so that
    /// the stream is known before its handler says anything.
    pub chunks: Vec<Chunk>,
    /// Chunks whose last seq lies below this one are let go, unless the stream's end is in them.
    pub trim_below: u64,
    /// Chunks whose last seq is one of these are let go, too, but for the newest. They lie in the midst of the log:
    /// the first chunk that holds events is let go by `trim_below` alone.
    pub let_go: Vec<u64>,
    /// A new snapshot, in the same step: where `chunks` hold the end, nobody sees the one without the other.
    pub snapshot: Option<Snapshot>,
    /// How long it is all kept.
    pub ttl: Ttl,
    /// How many copies have to hold it, beside the store's own, before it is [`Appended::Stored`]; mostly none. A store
    /// that keeps no copies has nothing to wait for.
    pub replicas: u32,
}

/// What became of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Appended {
    /// It is in the log; `watched` says whether another node follows the stream just now.
    Stored {
        /// Whether somebody follows from elsewhere.
        watched: bool,
    },
    /// Nothing was written: the log is gone, or is not what [`Onto::Seq`] says. It has to be written again.
    Diverged,
    /// Nothing was written, and nothing ever can be: the log has an end already, not by this append.
    Fenced(EndStatus),
}

/// The newest that a log holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tail {
    /// The last event's seq; 0 while there is none.
    pub last: u64,
    /// Who wrote it.
    pub writer: NodeId,
    /// What was written to this log in all.
    pub totals: Totals,
    /// The step at the last event.
    pub step: Step,
    /// When it was written, in milliseconds since the epoch.
    pub at: u64,
    /// How the stream ended, where it is over.
    pub end: Option<EndStatus>,
}

impl Tail {
    /// What a log whose last chunk is this one says.
    #[must_use]
    pub fn of(chunk: &Chunk) -> Self {
        Self {
            last: chunk.last(),
            writer: chunk.writer,
            totals: chunk.totals,
            step: chunk.step_after(),
            at: chunk.at,
            end: chunk.end,
        }
    }
}

/// A stretch of a log.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The chunks that hold events behind the cursor (the first one may hold earlier ones too), or the end.
    /// Where the first one begins behind the cursor's next seq, what lies between is not in the log.
    pub chunks: Vec<Chunk>,
    /// Whether the log went on behind this page when it was read.
    pub more: bool,
}

/// A log, as a reader finds it.
#[derive(Clone, Debug)]
pub struct Opened {
    /// What is known of the stream.
    pub head: StreamHead,
    /// The first event that is kept; one more than the last where there is none.
    pub first: u64,
    /// The newest.
    pub tail: Tail,
    /// The first page behind the cursor.
    pub page: Page,
}

/// What comes in by a [`Watch`].
#[derive(Clone, Debug)]
pub enum Pushed {
    /// A chunk that the log now holds.
    Chunk(Chunk),
    /// Something may have happened: read a page.
    Look,
    /// The writer has answered, so its node lives; whether it knows the stream.
    Writer {
        /// It runs the stream, or looks after it still.
        knows: bool,
    },
}

/// News of one stream, for as long as it is held. News may be lost: a slow look at the log has to stand behind it.
#[derive(Debug)]
pub struct Watch {
    /// The news.
    pub news: mpsc::Receiver<Pushed>,
    /// What ends the watch when it is dropped.
    pub guard: WatchGuard,
}

/// Ends a watch when it is dropped.
#[derive(Default)]
pub struct WatchGuard(Option<Box<dyn FnOnce() + Send + Sync>>);

impl WatchGuard {
    /// Calls `end` when dropped.
    pub fn new(end: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(end)))
    }
}

impl Drop for WatchGuard {
    fn drop(&mut self) {
        if let Some(end) = self.0.take() {
            end();
        }
    }
}

impl std::fmt::Debug for WatchGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WatchGuard")
    }
}

/// What a [`touch`](Store::touch) has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touched {
    /// The log lives for its whole time again.
    Lives {
        /// Word was left that the stream is to be stopped: see [`cancel`](Store::cancel).
        cancelled: bool,
    },
    /// The log is gone.
    Gone,
}

/// Whether a store can be reached, and how often it has come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// Whether the last that was heard of the store was good.
    pub up: bool,
    /// Counts up with each reconnect: what was acknowledged before it may be gone.
    pub epoch: u64,
}

/// Keeps the events of each stream and hands them back in order.
///
/// # Contract
///
/// 1. Once [`append`](Self::append) has returned [`Appended::Stored`], every later [`open`](Self::open) and
///    [`page`](Self::page), from any node, sees its chunks.
/// 2. An append takes effect whole or not at all, together with its snapshot, and onto nothing but what [`Onto`] says.
/// 3. A chunk comes back as it went in: same events, same bounds.
/// 4. Chunks come back in order of seq and without a hole but for what was let go.
/// 5. Nothing follows an end: an append behind one is [`Appended::Fenced`], save the very append that brought it,
///    sent again, which is [`Appended::Stored`].
/// 6. The same append sent again, after an answer that was lost, is [`Appended::Stored`] and has no second effect.
/// 7. What no longer lives (its [`Ttl`] has run out without a [`touch`](Self::touch)) is as if it had never been.
/// 8. A [`fence`](Self::fence) ends a log in one step: what lies before it counts, nothing comes after it. A log that has
///    an end keeps it.
/// 9. An [`exchange`](Self::exchange) looks and writes in one step, for all nodes.
/// 10. The word that a [`cancel`](Self::cancel) has left stays for as long as the log, also when that is written again.
/// 11. An append that asks for [`replicas`](Append::replicas) is stored once as many hold it. Where they do not within
///     about half a second it fails as [`StoreErrorKind::Unavailable`], and the log may have it all the same. Sent
///     again, it is stored once they do: that the log has it already says nothing of them.
///
/// # Cancellation
///
/// A dropped call is either done or not begun, or becomes one of the two.
///
/// # Errors
///
/// An error says that the store did not confirm: a write may have been made. Callers look at
/// [`tail`](Self::tail) before they go on. No method retries by itself, and none takes much longer than
/// half a second to fail.
pub trait Store: Send + Sync + 'static {
    /// A short name for logs and metrics: `memory`, `redis`.
    fn kind(&self) -> &'static str;

    /// This process' own name, the same for as long as the store lives.
    fn node(&self) -> NodeId;

    /// Whether other nodes see what this one writes. Where it is not shared, a stream that is not found is gone.
    fn is_shared(&self) -> bool;

    /// Whether the store can be reached. A store that cannot fail need not ever change it.
    fn health(&self) -> watch::Receiver<Health>;

    /// Whether this stream's log can be reached, as far as is known here. A store of several parts, some of which may be
    /// away, says more than [`health`](Self::health) does.
    fn reaches(&self, _id: RequestId) -> bool {
        self.health().borrow().up
    }

    /// Adds to a log, begins it or replaces it.
    fn append(&self, append: Append) -> impl Future<Output = Result<Appended, StoreError>> + Send;

    /// The log's head, bounds and first page behind `after`; `None` where there is no such log.
    fn open(&self, id: RequestId, after: u64) -> impl Future<Output = Result<Option<Opened>, StoreError>> + Send;

    /// The next page behind `after`; `None` where there is no such log.
    fn page(&self, id: RequestId, after: u64) -> impl Future<Output = Result<Option<Page>, StoreError>> + Send;

    /// The newest that the log holds; `None` where there is no such log.
    fn tail(&self, id: RequestId) -> impl Future<Output = Result<Option<Tail>, StoreError>> + Send;

    /// The stream's snapshot, also where its log is gone by now.
    fn snapshot(&self, id: RequestId) -> impl Future<Output = Result<Option<Snapshot>, StoreError>> + Send;

    /// Makes the log, and a running stream's snapshot, live for their whole time again; says whether word was left to
    /// stop the stream.
    fn touch(&self, id: RequestId, ttl: Ttl) -> impl Future<Output = Result<Touched, StoreError>> + Send;

    /// Leaves word for a stream's writer that its handler is to stop: each later [`touch`](Self::touch) says so. It is for
    /// a writer that does not hear what it is [asked](Self::ask). `false`: there is no such log, and no word was left.
    fn cancel(&self, id: RequestId) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Whether another node follows a stream that this one writes, just now, as far as is known here: asked every few
    /// seconds while nobody reads it on this node, to learn whether the handler runs for somebody. A store that is not
    /// shared need not say.
    fn is_watched(&self, _id: RequestId) -> bool {
        false
    }

    /// News of a stream that `writer` runs, from behind `after` on.
    fn watch(&self, id: RequestId, writer: NodeId, after: u64) -> Watch;

    /// Whether a node lives, by the store's word: it has renewed its lease lately. A node that is dead, or cut off from
    /// the store, is missed within some ten seconds. In a store that is not shared, there is this process' node alone.
    fn lives(&self, node: NodeId) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Ends the log of a stream whose writer is dead, or was told to stop and cannot be reached. Says how the stream has
    /// ended, which may be otherwise: an end that is there already stands. `None` where there is no such log.
    fn fence(
        &self,
        id: RequestId,
        status: EndStatus,
        at: u64,
        ttl: Ttl,
    ) -> impl Future<Output = Result<Option<EndStatus>, StoreError>> + Send;

    /// Asks the node that runs a stream about it; whether it knows the stream. A node that does not answer in about
    /// a second is [`StoreErrorKind::Unavailable`].
    fn ask(&self, node: NodeId, id: RequestId, ask: Ask) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Who is asked what other nodes [`ask`](Self::ask) of this one. There may be several: layers can share a store.
    fn serve(&self, desk: Weak<dyn Desk>);

    /// What a name stands for; `None` where it stands for nothing.
    fn lookup(&self, name: Name) -> impl Future<Output = Result<Option<Bytes>, StoreError>> + Send;

    /// Makes a name stand for `value` (up to [`NAME_MAX_BYTES`]), or for nothing, for `ttl`, where it stands for what is
    /// expected; the time is renewed where it stands for `value` already. Says what it stands for then.
    fn exchange(
        &self,
        name: Name,
        expect: Expect,
        value: Option<Bytes>,
        ttl: Duration,
    ) -> impl Future<Output = Result<Option<Bytes>, StoreError>> + Send;

    /// Counts clients that came back to a stream: `more` on top of what is known, here or in the store. Says what
    /// that makes on all nodes; just `known` and `more` where there is no such log.
    fn count(
        &self,
        id: RequestId,
        known: Counts,
        more: Counts,
    ) -> impl Future<Output = Result<Counts, StoreError>> + Send;
}
