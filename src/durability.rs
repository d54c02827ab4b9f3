//! What a client's sight of an event says about the store.

use std::time::Duration;

/// How long a response waits for a store that is out. See [`StoreOut`].
pub const DEFAULT_STORE_PATIENCE: Duration = Duration::from_secs(10);

/// Whether an event goes out before the store has it. Set by
/// [`ResumeLayer::durability`](crate::ResumeLayer::durability).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// An event goes out at once, and to the store beside that. A store that is slow or away is not felt by anybody who
    /// is connected; a node that is killed may take with it what it had sent and not written yet. The default.
    #[default]
    Relaxed,
    /// An event goes out once the store has acknowledged it: no crash of this process loses what a client has seen.
    /// It costs a round trip to the store. The end, snapshots and every position that a token names are held to the
    /// same; heartbeats, `open` and a handler's comments are not (a comment keeps its place among the events).
    ///
    /// While the store takes nothing, clients get heartbeats only and the handler is held back once a stream's limits
    /// are full; [`StoreOut`] says what comes then. What the store itself loses is another matter: see
    /// [`ResumeLayer::min_replicas`](crate::ResumeLayer::min_replicas).
    Stored,
}

/// What becomes of a response that has waited for the store for too long, with [`Durability::Stored`]. Set by
/// [`ResumeLayer::store_out`](crate::ResumeLayer::store_out); how long is
/// [`ResumeLayer::store_patience`](crate::ResumeLayer::store_patience).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreOut {
    /// It ends abruptly, so that its client comes again. The promise holds without exception: a stream that another
    /// node has ended meanwhile (it took this one for dead) stops here as well, and its clients get the end that the
    /// store has. The default.
    #[default]
    Cut,
    /// The stream goes on as with [`Durability::Relaxed`] and says so by the comment `: durability relaxed`, also to
    /// those who come later. Once the store takes events again it is held to the store again, and says
    /// `: durability stored`. A stream that another node has ended meanwhile is relaxed at once and for good: its own
    /// clients get all of it from this node's memory.
    Relax,
}
