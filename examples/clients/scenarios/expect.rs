//! What a right client sees and does in a run.

use crate::script::Said;
use std::time::Duration;

/// How iteration comes to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With `end` and this status.
    End(&'static str),
    /// Without `end`: the server said 204.
    Over,
    /// With this error, and the HTTP status that it tells of.
    Error(&'static str, Option<u16>),
    /// By the client's own will.
    Closed,
}

/// What a snapshot's data has to be, by its seq.
pub(crate) type SnapshotData = Box<dyn Fn(u64) -> String + Send + Sync>;

/// A client that is made anew with the same storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reload {
    pub(crate) after: u64,
    /// It asks for everything again.
    pub(crate) from_start: bool,
}

pub(crate) struct Expect {
    /// What the handler sends, in order.
    pub(crate) events: Vec<Said>,
    pub(crate) ending: Ending,
    /// Streams that are begun anew after the first.
    pub(crate) restarts: usize,
    pub(crate) reload: Option<Reload>,
    /// The reasons of gaps that have to be announced.
    pub(crate) gaps: Vec<&'static str>,
    /// The name of the snapshot's event and its data, where there has to be one.
    pub(crate) snapshot: Option<(&'static str, SnapshotData)>,
    /// Whether events have a seq. They have none without the layer.
    pub(crate) counted: bool,
    /// Whether all that arrived whole has to be seen, also where the end is an error.
    pub(crate) all_that_came: bool,
    /// The breaks that a client has to go through.
    pub(crate) cuts: u64,
    /// How often `POST` and `DELETE` are asked, exactly.
    pub(crate) posts: usize,
    pub(crate) deletes: usize,
    /// How often anything is asked, where that is known.
    pub(crate) requests: Option<usize>,
    /// How often the handler runs, where that is known.
    pub(crate) runs: Option<u64>,
    /// Resumes bring `X-Resume-From`.
    pub(crate) from: From,
    /// Every `POST` brings the same `Idempotency-Key`.
    pub(crate) key: bool,
    /// Whether the client may leave a response that still goes on.
    pub(crate) may_leave: bool,
    /// The silence after which it may.
    pub(crate) may_leave_after: Option<Duration>,
    /// The most bytes that may have gone out while the client took nothing.
    pub(crate) bytes_while_slow: Option<u64>,
}

/// What is asked of `X-Resume-From`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// It may be there or not.
    Any,
    /// On every resume: the cursor.
    Always,
    /// One resume at least asks for everything.
    Start,
}

impl Expect {
    /// Everything, once, and a good end; the client stays until then.
    pub(crate) const fn whole(events: Vec<Said>) -> Self {
        Self {
            events,
            ending: Ending::End("complete"),
            restarts: 0,
            reload: None,
            gaps: Vec::new(),
            snapshot: None,
            counted: true,
            all_that_came: true,
            cuts: 0,
            posts: 1,
            deletes: 0,
            requests: None,
            runs: None,
            from: From::Any,
            key: false,
            may_leave: false,
            may_leave_after: None,
            bytes_while_slow: None,
        }
    }
}
