//! A recorder's store half: turns the live log into chunks, one append in flight at a time, and writes the log again
//! whole when the store has lost it.
//!
//! It never delays anybody: what it has not written yet is in the live log, and what the live log has let go
//! meanwhile is trimmed in the store as well.

mod answers;
mod trim;

use crate::{
    EndStatus, NodeId,
    live::LiveLog,
    node::Node,
    store::{
        Append, Appended, CHUNK_MAX_BYTES, CHUNK_MAX_EVENTS, Chunk, Onto, Snapshot, StoreError, Tail, Totals, Touched,
    },
    telemetry::{Id, Level, Stopwatch, Telemetry},
};
use futures_util::future::BoxFuture;
use std::{
    collections::VecDeque,
    fmt,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};
use tokio::time::Instant;
use trim::Held;

/// The most chunks that go into one append, so that none grows beyond what a store takes in one go.
const MAX_CHUNKS: usize = 64;
/// How soon a failed append is tried again; doubled up to [`MAX_BACKOFF`]. A store that says it is back is tried at once.
const MIN_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(2);
/// How soon a log that readers find amiss is written again for the second time: until they see it they complain again.
const MEND_EVERY: Duration = Duration::from_secs(2);
/// How long a stream that is over is still looked after: a store that comes back empty within it gets its log again.
const AFTERLIFE: Duration = Duration::from_secs(60);

/// What the store is being asked.
enum Flight {
    None,
    Append(Stopwatch, BoxFuture<'static, Result<Appended, StoreError>>),
    Tail(BoxFuture<'static, Result<Option<Tail>, StoreError>>),
    Touch(BoxFuture<'static, Result<Touched, StoreError>>),
}

/// What is known of the log in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Footing {
    /// Nothing was written yet.
    New,
    /// It ends with what was acknowledged.
    Firm,
    /// An answer did not come, or the store has come back: look first.
    Unsure,
    /// It ends with what was acknowledged, and `sent` is to be sent again as it was.
    Resend,
    /// It ends with `sent`, but how many copies hold that is not known: ask again.
    Unconfirmed,
    /// It is gone or has diverged: write it again, whole.
    Broken,
    /// Somebody else has ended it, like this. Nothing more can be written.
    Fenced(EndStatus),
}

pub(crate) struct Writer {
    node: Arc<Node>,
    log: Arc<LiveLog>,
    me: NodeId,
    flight: Flight,
    footing: Footing,
    /// The last seq that the store has acknowledged.
    acked: u64,
    /// How many events it has yet to, as it is told to those who operate the node.
    unacknowledged: Level,
    /// The chunks of the append in flight, or of one whose fate is not known. A chunk once sent keeps its bounds.
    sent: Vec<Chunk>,
    /// The chunks that go with that append from the midst of the log, by their last seqs.
    let_go: Vec<u64>,
    held: VecDeque<Held>,
    held_events: u64,
    held_bytes: u64,
    /// The newest event of the live log.
    last: u64,
    waiting_since: Option<Instant>,
    watched: bool,
    snapshot: Option<Arc<Snapshot>>,
    sent_snapshot: bool,
    /// Whether `sent` begins a log, rather than goes on with one.
    rewriting: bool,
    end: Option<EndStatus>,
    end_stored: bool,
    retry_at: Option<Instant>,
    backoff: Duration,
    touch_at: Instant,
    epoch: u64,
    /// The store has come back: what was acknowledged before may be gone.
    verify: bool,
    /// A reader elsewhere misses something, and when that was last seen to.
    amiss: bool,
    mended_at: Option<Instant>,
    over_at: Option<Instant>,
    /// Word was left in the store that the stream is to be stopped.
    cancelled: bool,
    failing: bool,
    /// The store was out of reach when it last failed: once it is back, nothing is to be waited for.
    lost: bool,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("footing", &self.footing).field("acked", &self.acked).finish_non_exhaustive()
    }
}

impl Writer {
    pub(crate) fn new(node: Arc<Node>, log: Arc<LiveLog>) -> Self {
        let touch_at = Instant::now() + renewal(node.settings.state_ttl);
        Self {
            me: node.store.node(),
            epoch: node.store_epoch(),
            unacknowledged: node.telemetry.level(Id::Unacknowledged),
            node,
            log,
            flight: Flight::None,
            footing: Footing::New,
            acked: 0,
            sent: Vec::new(),
            let_go: Vec::new(),
            held: VecDeque::new(),
            held_events: 0,
            held_bytes: 0,
            last: 0,
            waiting_since: None,
            watched: false,
            snapshot: None,
            sent_snapshot: false,
            rewriting: false,
            end: None,
            end_stored: false,
            retry_at: None,
            backoff: MIN_BACKOFF,
            touch_at,
            verify: false,
            amiss: false,
            mended_at: None,
            over_at: None,
            cancelled: false,
            failing: false,
            lost: false,
        }
    }

    fn telemetry(&self) -> &Telemetry {
        &self.node.telemetry
    }

    /// The live log has grown up to `last`.
    pub(crate) fn grown(&mut self, last: u64) {
        self.last = last;
        self.unacknowledged.set(last.saturating_sub(self.acked));
        self.node.count_batch();
        if self.waiting_since.is_none() {
            self.waiting_since = Some(Instant::now());
        }
    }

    /// A snapshot that goes out with the next append.
    pub(crate) fn snapshot(&mut self, snapshot: Arc<Snapshot>) {
        self.snapshot = Some(snapshot);
        self.sent_snapshot = false;
    }

    /// The stream is over.
    pub(crate) fn end(&mut self, status: EndStatus) {
        self.end = Some(status);
        self.over_at = Some(Instant::now());
    }

    /// Whether somebody follows the stream from another node, now: the last append may be long ago.
    pub(crate) fn is_watched(&self) -> bool {
        self.node.store.is_watched(self.log.id)
    }

    /// The store may have come back. (One that is there, and refuses, is given its time.)
    pub(crate) fn look(&mut self) {
        let epoch = self.node.store_epoch();
        if self.node.store_is_up() {
            let is_new = epoch != self.epoch;
            if is_new || std::mem::take(&mut self.lost) {
                self.retry_at = None;
            }
            self.verify |= is_new;
            self.epoch = epoch;
        }
    }

    /// Somebody who reads the log elsewhere finds it gone, or with a hole, that a look at its end does not show.
    pub(crate) fn amiss(&mut self) {
        self.amiss = true;
    }

    /// How somebody else has ended the log, where somebody has.
    pub(crate) const fn fenced_as(&self) -> Option<EndStatus> {
        match self.footing {
            Footing::Fenced(status) => Some(status),
            _ => None,
        }
    }

    /// Whether somebody has left word that the stream is to be stopped.
    pub(crate) const fn is_cancelled(&self) -> bool {
        self.cancelled
    }

    /// Writes the end in this very moment, if the store can: there will not be another.
    pub(crate) fn end_at_once(&mut self, status: EndStatus) {
        self.end(status);
        if matches!(self.flight, Flight::None) && matches!(self.footing, Footing::Firm | Footing::New) {
            self.last = self.last.max(self.log.last());
            self.start(Instant::now());
            let _ = self.poll(&mut Context::from_waker(Waker::noop()));
        }
    }

    /// Whether nothing more is to be done: the end is in the store and was looked after for a while, or cannot get there.
    pub(crate) fn is_done(&self, now: Instant) -> bool {
        let Some(over_at) = self.over_at else { return false };
        if !matches!(self.flight, Flight::None) {
            return false;
        }
        let settled = self.end_stored && self.footing == Footing::Firm && !self.verify;
        match self.footing {
            Footing::Fenced(_) => true,
            _ if settled && !self.node.store.is_shared() => true,
            _ if settled && self.log.is_released() => true,
            _ if settled => now >= over_at + AFTERLIFE,
            _ => now >= over_at + self.node.settings.state_ttl,
        }
    }

    /// When [`Writer::start`] or [`Writer::is_done`] will have something new to say by themselves.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        if !matches!(self.flight, Flight::None) || matches!(self.footing, Footing::Fenced(_)) {
            return None;
        }
        let state_ttl = self.node.settings.state_ttl;
        if self.retry_at.is_some() {
            return [self.retry_at, self.over_at.map(|over| over + state_ttl)].into_iter().flatten().min();
        }
        if self.footing != Footing::Firm {
            return None;
        }
        let linger = self.waiting_since.map(|since| since + self.linger());
        let touch = (!self.end_stored).then_some(self.touch_at);
        let done = self.over_at.filter(|_| self.end_stored).map(|over| over + AFTERLIFE);
        [linger.filter(|_| self.last > self.acked), touch, done].into_iter().flatten().min()
    }

    /// Asks the store for what is due. Returns whether it did.
    pub(crate) fn start(&mut self, now: Instant) -> bool {
        if !matches!(self.flight, Flight::None) || self.retry_at.is_some_and(|at| now < at) {
            return false;
        }
        if self.footing == Footing::Firm && std::mem::take(&mut self.verify) {
            self.footing = Footing::Unsure;
        }
        if std::mem::take(&mut self.amiss)
            && self.footing == Footing::Firm
            && self.mended_at.is_none_or(|at| now >= at + MEND_EVERY)
        {
            (self.footing, self.mended_at) = (Footing::Broken, Some(now));
        }
        match self.footing {
            Footing::Fenced(_) => return false,
            Footing::New => self.append(Onto::Nothing(self.log.head.clone())),
            Footing::Broken => self.append(Onto::Anything(self.log.head.clone())),
            Footing::Unsure => self.flight = Flight::Tail(Arc::clone(&self.node.store).tail(self.log.id)),
            Footing::Unconfirmed if self.rewriting => self.send(Onto::Anything(self.log.head.clone())),
            Footing::Resend | Footing::Unconfirmed => self.send(Onto::Seq(self.acked)),
            Footing::Firm if self.is_due(now) => self.append(Onto::Seq(self.acked)),
            Footing::Firm if now >= self.touch_at && !self.end_stored => {
                let ttl = self.node.settings.ttl();
                self.flight = Flight::Touch(Arc::clone(&self.node.store).touch(self.log.id, ttl));
            }
            Footing::Firm => return false,
        }
        true
    }

    /// How long what is new waits for company: not at all where clients wait for the store to have it.
    fn linger(&self) -> Duration {
        if self.node.settings.is_stored() { Duration::ZERO } else { self.node.linger(self.watched) }
    }

    fn is_due(&self, now: Instant) -> bool {
        let ending = self.end.is_some() && !self.end_stored;
        ending
            || self.last - self.acked.min(self.last) >= CHUNK_MAX_EVENTS as u64
            || (self.last > self.acked && self.waiting_since.is_some_and(|since| now >= since + self.linger()))
    }

    /// Makes chunks of what the store does not have yet, and sends them.
    fn append(&mut self, mut onto: Onto) {
        let now = self.node.now();
        self.waiting_since = None;
        self.sent.clear();
        self.let_go.clear();
        let mut after = self.acked;
        if matches!(onto, Onto::Seq(_)) && self.log.first() > after + 1 && !self.by_priority() {
            // A burst has outrun the store: the live log has let go of what comes next. What is left of it replaces all
            // that the store holds. (By priority, the store may hold more precious events of before.)
            onto = Onto::Anything(self.log.head.clone());
        }
        if !matches!(onto, Onto::Seq(_)) {
            self.held.clear();
            (self.held_events, self.held_bytes) = (0, 0);
            self.log.replaces_store();
            // A log begins with a chunk of no events, so that the stream is known before it says anything.
            let begin = self.log.copy_after(0, 0, 0);
            after = begin.first - 1;
            self.sent.push(self.chunk(begin.first, begin.step_before, begin.bytes_before, Vec::new(), now));
        }
        while self.sent.len() < MAX_CHUNKS {
            let stretch = self.log.copy_after(after, CHUNK_MAX_EVENTS, CHUNK_MAX_BYTES);
            if stretch.events.is_empty() {
                break;
            }
            after = stretch.first + stretch.events.len() as u64 - 1;
            let bytes: u64 = stretch.events.iter().map(|event| event.size() as u64).sum();
            let priority = stretch.events.first().map_or(0, |event| event.priority);
            self.held.push_back(Held { first: stretch.first, last: after, bytes, priority });
            self.held_events += stretch.events.len() as u64;
            self.held_bytes += bytes;
            let upto = stretch.bytes_before + bytes;
            self.sent.push(self.chunk(stretch.first, stretch.step_before, upto, stretch.events, now));
        }
        if let Some(status) = self.end.filter(|_| after >= self.last) {
            if self.sent.last().is_none_or(|chunk| chunk.events.is_empty()) {
                let rest = self.log.copy_after(after, 0, 0);
                let chunk = self.chunk(after + 1, rest.step_before, rest.bytes_before, Vec::new(), now);
                // A begin stays an entry of its own; see `Onto`.
                self.sent.push(chunk);
            }
            if let Some(chunk) = self.sent.last_mut() {
                chunk.end = Some(status);
            }
        }
        self.trim();
        self.send(onto);
    }

    fn chunk(&self, first: u64, step_before: crate::Step, bytes: u64, events: Vec<crate::Event>, at: u64) -> Chunk {
        let totals = Totals { bytes, ..Totals::default() };
        Chunk { first, writer: self.me, at, step_before, totals, events: events.into(), end: None }
    }

    fn send(&mut self, onto: Onto) {
        if self.sent.is_empty() {
            return;
        }
        self.rewriting = !matches!(onto, Onto::Seq(_));
        let append = Append {
            id: self.log.id,
            onto,
            chunks: self.sent.clone(),
            trim_below: self.held.front().map_or(0, |front| front.first),
            let_go: self.let_go.clone(),
            snapshot: self
                .snapshot
                .as_deref()
                .filter(|_| !self.sent_snapshot || self.footing != Footing::Firm)
                .cloned(),
            ttl: self.node.settings.ttl(),
            replicas: self.node.settings.replicas(),
        };
        self.sent_snapshot = true;
        self.flight = Flight::Append(Stopwatch::start(), Arc::clone(&self.node.store).append(append));
    }

    /// Takes the store's answer. Ready when there was one.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let outcome = match &mut self.flight {
            Flight::None => return Poll::Pending,
            Flight::Append(since, reply) => {
                let (since, answer) = (*since, ready!(reply.as_mut().poll(cx)));
                self.telemetry().append_answered(since);
                answer.map(|appended| self.appended(appended))
            }
            Flight::Tail(reply) => ready!(reply.as_mut().poll(cx)).map(|tail| self.looked(tail.as_ref())),
            Flight::Touch(reply) => ready!(reply.as_mut().poll(cx)).map(|touched| self.touched(touched)),
        };
        self.flight = Flight::None;
        match outcome {
            Ok(()) => self.retry_at = None,
            Err(error) => self.failed(&error),
        }
        Poll::Ready(())
    }
}

/// A third of the time that a log lives, less a jitter, so that streams which began together part ways.
fn renewal(ttl: Duration) -> Duration {
    (ttl / 3).mul_f64(0.9 + 0.1 * fastrand::f64()).max(MIN_BACKOFF)
}
