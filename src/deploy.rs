//! A drain, as a deploy asks for it: the node sends its clients to other nodes, finishes its streams, and leaves no
//! response of its own open.

use crate::{ResumeLayer, node::Node, store::Store};
use http::{HeaderMap, HeaderValue, Version, header::CONNECTION};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep_until};

/// The longest time over which the clients that are there at the beginning are sent away: a herd all at once would be
/// felt by the other nodes.
const SPREAD_MAX: Duration = Duration::from_secs(10);
/// How long a client that comes (again) during a drain is served at least: one that knows no other node must not go
/// round in circles.
const STAY: Duration = Duration::from_secs(2);
/// The longest time that it is served on top of that.
const STAY_SPREAD: Duration = Duration::from_secs(3);
/// How soon a client that could not be sent away is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How often it is looked whether all is done.
const TICK: Duration = Duration::from_millis(20);
/// How long ends may take to be stored and read once the deadline has passed; and then, how long what is cut may take.
const LAST: Duration = Duration::from_secs(1);
/// A deadline that is never reached.
const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// How far a node's drain has come. It never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// There is none.
    Serving,
    /// Clients are sent away, where they can go on elsewhere; streams run on.
    Draining,
    /// The deadline has passed: streams are ended, and those who read another node's streams are sent away.
    Overdue,
    /// Whoever would have to wait for anything is sent away.
    Closed,
}

impl<S: Store, Start: 'static> ResumeLayer<S, Start> {
    /// Drains this node, for a deploy: a future that ends when all its streams have ended and are stored, and none of the
    /// layer's responses is open. Await it where the server is told to stop, so that an open stream does not block
    /// the server's graceful shutdown.
    ///
    /// - Where the store is shared and takes what is written, connected clients are sent away at random moments (over half
    ///   of `within`, 10 seconds at most) by an abrupt end, to come back on another node and follow there, while this node
    ///   runs their handlers on. Responses that begin meanwhile say `Connection: close` (over HTTP/1), and are
    ///   sent away after 2 to 5 seconds. With a store that is not shared, or is out, clients stay.
    /// - Streams still begin, and resumes are served. A drain closes no listener: that is the server's part.
    /// - What still runs after `within` ends as `interrupted`. The ends then have up to 2 seconds to be stored and
    ///   read. So give it less than the time after which the process is killed.
    ///
    /// It begins when it is first polled, and is never taken back: where the future is dropped, clients are still sent
    /// away, but nothing is ended at the deadline. It can be called more than once; the earliest deadline counts.
    /// A client that takes nothing at all cannot be ended by any body: bound the server's shutdown by a
    /// time, too, as below.
    ///
    /// ```no_run
    /// use futures_util::FutureExt as _;
    /// use std::{future::IntoFuture as _, time::Duration};
    /// # use axum::Router;
    /// # use tower_resume::{Keys, ResumeLayer, store::MemoryStore};
    /// # async fn serve(layer: ResumeLayer<MemoryStore>, app: Router) -> Result<(), Box<dyn std::error::Error>> {
    /// let stop = tokio::signal::ctrl_c().map(drop).shared();
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    /// let server = axum::serve(listener, app).with_graceful_shutdown(stop.clone());
    /// let server = tokio::spawn(server.into_future());
    /// stop.await;
    /// layer.drain(Duration::from_secs(25)).await;
    /// let _ = tokio::time::timeout(Duration::from_secs(1), server).await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn drain(&self, within: Duration) -> impl Future<Output = Drained> + Send + 'static + use<S, Start> {
        drain(self.node(), within)
    }
}

/// What is left of a node's streams when its [drain](crate::ResumeLayer::drain) is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// The streams that still ran at the deadline, and ended as `interrupted`.
    pub interrupted: usize,
    /// The streams whose end is not in the store. The other nodes take this one for dead in a while, and end them.
    pub unstored: usize,
    /// The responses whose clients take nothing, so that they could not be ended.
    pub open: usize,
}

/// A node's drain, where there is one.
#[derive(Debug, Default)]
pub(crate) struct Deploy {
    stage: AtomicU8,
    /// When it began, and over which time those who are there then are sent away.
    leaving: Mutex<Option<(Instant, Duration)>>,
}

impl Deploy {
    pub(crate) fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Acquire) {
            0 => Stage::Serving,
            1 => Stage::Draining,
            2 => Stage::Overdue,
            _ => Stage::Closed,
        }
    }

    fn reach(&self, stage: Stage) {
        self.stage.fetch_max(stage as u8, Ordering::AcqRel);
    }

    fn begin(&self, now: Instant, within: Duration) {
        let spread = (within / 2).min(SPREAD_MAX);
        let mut leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, before) = leaving.unwrap_or((now, spread));
        *leaving = Some((since, before.min(spread)));
        drop(leaving);
        self.reach(Stage::Draining);
    }

    /// When a client is sent away whose response began then; first asked now.
    pub(crate) fn leave_at(&self, began: Instant, now: Instant) -> Instant {
        let leaving = *self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
        match leaving {
            Some((since, spread)) if began <= since => since + spread.mul_f64(fastrand::f64()),
            _ => now + STAY + STAY_SPREAD.mul_f64(fastrand::f64()),
        }
    }

    /// A client of HTTP/1 is to come back over a connection of its own, which leads to another node.
    pub(crate) fn close_connection(&self, version: Version, headers: &mut HeaderMap) {
        if version <= Version::HTTP_11 && self.stage() != Stage::Serving {
            headers.entry(CONNECTION).or_insert(HeaderValue::from_static("close"));
        }
    }

    /// When one is looked at again that has to stay for now.
    pub(crate) fn look_again_at(&self, now: Instant) -> Instant {
        now + LOOK_AGAIN.mul_f64(0.5 + fastrand::f64())
    }
}

/// Drains the node. What is left at the deadline is ended.
pub(crate) async fn drain(node: Arc<Node>, within: Duration) -> Drained {
    let began = Instant::now();
    let deadline = began.checked_add(within).unwrap_or(began + FAR);
    node.deploy.begin(began, within);
    node.look_up();
    node.telemetry.drain_began(node.unfinished().running, node.readers());
    let mut drained = Drained::default();
    if !settled(&node, deadline).await {
        drained.interrupted = node.unfinished().running;
        node.deploy.reach(Stage::Overdue);
        node.look_up();
        settled(&node, Instant::now() + LAST).await;
    }
    node.deploy.reach(Stage::Closed);
    node.look_up();
    let last = Instant::now() + LAST;
    while node.readers() > 0 && Instant::now() < last {
        sleep_until(Instant::now() + TICK).await;
    }
    drained.unstored = node.unfinished().unstored;
    drained.open = node.readers();
    node.telemetry.drain_done(drained);
    drained
}

/// Waits until no request is being answered, no stream runs or has to be stored, and nobody reads; whether that is so.
async fn settled(node: &Node, until: Instant) -> bool {
    loop {
        let unfinished = node.unfinished();
        if unfinished.running + unfinished.unstored + node.readers() + node.calls() == 0 {
            return true;
        }
        let now = Instant::now();
        if now >= until {
            return false;
        }
        sleep_until(until.min(now + TICK)).await;
    }
}

/// What a node has still to do.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Unfinished {
    /// Streams that run.
    pub(crate) running: usize,
    /// Streams that are over and whose end is on its way to a store that others read, too.
    pub(crate) unstored: usize,
}
