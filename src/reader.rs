//! A reader: a cursor over a log, and the only way to a client.
//!
//! It turns what lies behind its cursor into the bytes of a response: the handler's events with their ids, gaps,
//! replay and then live with no seam, control events, heartbeats, and the end.

mod leave;
mod pages;
mod patience;
mod say;
mod take;

use crate::{
    Event,
    control::{Control, HEARTBEAT},
    deploy::Stage,
    live::Place,
    node::{Node, ReaderGuard},
    request::Mode,
    store::{Counts, Snapshot},
    tally,
    telemetry::{Replayed, Stopwatch},
    token::{Cursor, Signer},
};
use bytes::Bytes;
use pages::Pages;
use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use take::Fetch;
use tokio::time::{Instant, Sleep, sleep_until};
use tracing::Span;

/// Bytes that make a write worth while.
const FLUSH_BYTES: usize = 64 * 1024;

/// What a response is for.
#[derive(Clone, Debug)]
pub(crate) enum Purpose {
    /// The wrapped handler's own response.
    First,
    /// Replay what is buffered, then go on until the end. With `gap` and `snapshot` where they stand in.
    Live,
    /// Replay what is buffered, and close.
    Replay,
    /// A snapshot stands in for all events behind the cursor, of a stream that is over.
    Snapshot(Arc<Snapshot>),
    /// The client has seen the end already; it is shown the result again, where there is one.
    SeenEnd(Mode, Option<Arc<Snapshot>>),
}

impl Purpose {
    const fn mode(&self) -> &'static str {
        match self {
            Self::First | Self::Live => "live",
            Self::SeenEnd(mode, _) => mode.as_str(),
            Self::Replay => "replay",
            Self::Snapshot(_) => "snapshot",
        }
    }
}

enum Phase {
    Opening,
    Flowing,
    /// All is said; the body ends cleanly.
    Ending,
    /// The response is cut short; the body fails once what precedes has had its chance to be flushed.
    Cutting,
    Done,
}

/// Whether there is more to do at once.
enum Step {
    On,
    Wait,
}

pub(crate) struct Reader {
    node: Arc<Node>,
    place: Place,
    _guard: ReaderGuard,
    signer: Signer,
    /// The client's cursor, as its next token says it.
    claims: Cursor,
    purpose: Purpose,
    as_comments: bool,
    phase: Phase,
    out: Vec<u8>,
    batch: Vec<Event>,
    fetch: Fetch,
    chunks: Pages,
    /// When the store was last asked for a snapshot, there was none.
    no_snapshot: bool,
    /// In the middle of an event that is too large to keep: nothing may come between its parts.
    in_part: bool,
    /// What is still to be said of the stream's durability.
    lifted: Option<bool>,
    /// The cursor at the start, and the last event that was buffered then.
    from: u64,
    buffered: u64,
    said_live: bool,
    /// The events that this response brought, without those that a gap stands for.
    brought: u64,
    counted: bool,
    heard_at: Instant,
    signed_at: Instant,
    timer: Pin<Box<Sleep>>,
    /// When it is sent away, while its node is drained.
    leave_at: Option<Instant>,
    began: Instant,
    /// When its request came.
    since: Stopwatch,
    /// What its replay is logged within.
    span: Span,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("log", self.place.log()).field("seq", &self.claims.seq).finish_non_exhaustive()
    }
}

impl Reader {
    pub(crate) fn new(
        node: Arc<Node>,
        guard: ReaderGuard,
        place: Place,
        signer: Signer,
        claims: Cursor,
        purpose: Purpose,
        as_comments: bool,
    ) -> Self {
        let now = Instant::now();
        let usage = Arc::clone(&node.usage);
        let buffered = place.log().summary().last;
        Self {
            timer: Box::pin(sleep_until(now + node.settings.silence())),
            said_live: !matches!(purpose, Purpose::Live),
            brought: 0,
            counted: matches!(purpose, Purpose::First),
            from: claims.seq,
            buffered,
            node,
            place,
            _guard: guard,
            signer,
            claims,
            purpose,
            as_comments,
            phase: Phase::Opening,
            out: Vec::new(),
            batch: Vec::new(),
            fetch: Fetch::None,
            chunks: Pages::new(usage),
            no_snapshot: false,
            in_part: false,
            lifted: None,
            heard_at: now,
            signed_at: now,
            leave_at: None,
            began: now,
            since: now.into(),
            span: Span::none(),
        }
    }

    /// The same for a request that came then.
    pub(crate) fn since(mut self, since: Stopwatch) -> Self {
        self.since = since;
        self
    }

    /// The same for a resume: what it does until all that was buffered is sent belongs to this span.
    pub(crate) fn within(mut self, span: Span) -> Self {
        self.span = span;
        self
    }

    /// The next bytes; an error is an abrupt end.
    pub(crate) fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        let span = self.span.clone();
        let _within = span.enter();
        loop {
            match self.phase {
                Phase::Opening => {
                    self.phase = Phase::Flowing;
                    self.open();
                }
                Phase::Flowing => {
                    let stage = self.node.deploy.stage();
                    if stage != Stage::Serving && self.is_sent_away(stage) {
                        self.send_away();
                        continue;
                    }
                    while self.out.len() < FLUSH_BYTES && matches!(self.phase, Phase::Flowing) {
                        if matches!(self.step(cx), Step::Wait) {
                            break;
                        }
                    }
                    if self.out.is_empty() && matches!(self.phase, Phase::Flowing) {
                        // Only now is it sure to be woken when that changes.
                        match self.node.deploy.stage() {
                            Stage::Closed if self.waits_in_vain() => self.send_away(),
                            now if now != stage => {}
                            _ if self.idle(cx) => {}
                            _ => return Poll::Pending,
                        }
                        continue;
                    }
                }
                Phase::Ending if self.out.is_empty() => {
                    self.phase = Phase::Done;
                    return Poll::Ready(None);
                }
                Phase::Cutting if self.out.is_empty() => {
                    return match self.timer.as_mut().poll(cx) {
                        Poll::Pending => Poll::Pending,
                        Poll::Ready(()) => {
                            self.phase = Phase::Done;
                            Poll::Ready(Some(Err(Cut)))
                        }
                    };
                }
                Phase::Ending | Phase::Cutting => {}
                Phase::Done => return Poll::Ready(None),
            }
            if !self.out.is_empty() {
                self.heard_at = Instant::now();
                self.chunks.yield_to_others();
                return Poll::Ready(Some(Ok(std::mem::take(&mut self.out).into())));
            }
        }
    }

    pub(crate) const fn is_done(&self) -> bool {
        matches!(self.phase, Phase::Done)
    }

    /// Says `live`, once, when all that was buffered at the start is sent and the stream still runs.
    fn reach_live(&mut self) {
        if !self.said_live && self.claims.seq >= self.buffered {
            self.said_live = true;
            self.recovered();
            if self.place.log().summary().end.is_none() {
                let (seq, replayed) = (self.claims.seq, self.brought);
                self.control(|_, _| Control::Live { seq, replayed });
                self.node.telemetry.live_start(self.claims.request_id, seq);
            }
        }
    }

    /// Counts what this response brought back, once.
    fn recovered(&mut self) {
        if !std::mem::replace(&mut self.counted, true) {
            let (from, to) = (self.from, self.claims.seq);
            tally::count(&self.node, self.place.log(), Counts { resumes: 0, recovered: self.brought });
            let replayed = Replayed { events: self.brought, from_seq: from, to_seq: to, since: self.since };
            self.node.telemetry.resume_success(self.claims.request_id, replayed);
            self.span.record("replayed", self.brought);
            self.span.record("to_seq", to);
            self.span = Span::none();
        }
    }

    fn is_replayed(&self) -> bool {
        matches!(self.purpose, Purpose::Replay) && self.claims.seq >= self.buffered
    }

    fn close_replay(&mut self) -> Step {
        match self.place.log().summary() {
            summary if summary.last > self.claims.seq && summary.end.is_some() => self.buffered = summary.last,
            summary => match summary.end {
                Some(status) => self.finish(status),
                None => {
                    self.recovered();
                    self.out.extend_from_slice(HEARTBEAT);
                    self.phase = Phase::Ending;
                }
            },
        }
        Step::On
    }

    fn cut(&mut self) -> Step {
        self.phase = Phase::Cutting;
        self.timer.as_mut().reset(Instant::now() + CUT_DELAY);
        Step::On
    }

    fn send_away(&mut self) {
        self.node.telemetry.reader_sent_away(self.claims.request_id, self.claims.seq);
        self.cut();
    }

    /// Whether a long silence made it say something.
    fn idle(&mut self, cx: &mut Context<'_>) -> bool {
        while self.timer.as_mut().poll(cx).is_ready() {
            let settings = &self.node.settings;
            let now = Instant::now();
            let impatient = self.impatient_at();
            if impatient.is_some_and(|at| now >= at) {
                self.lose_patience();
                return true;
            }
            let refresh = self.signed_at + (settings.token_ttl / 2).max(MIN_REFRESH);
            let heartbeat = self.heard_at + settings.heartbeat;
            if !self.in_part {
                if now >= refresh {
                    self.control(|token, expires_at| Control::Token { token, expires_at });
                    return true;
                }
                if now >= heartbeat {
                    self.out.extend_from_slice(HEARTBEAT);
                    return true;
                }
            }
            // The timer is left alone while events flow; only here does it learn how long the silence really is.
            let next = if self.in_part { now + settings.heartbeat } else { heartbeat.min(refresh.max(now + TICK)) };
            let next = next.min(impatient.unwrap_or(now + settings.silence()));
            let next = self.leave_at.filter(|at| *at > now).map_or(next, |at| next.min(at));
            self.timer.as_mut().reset(next.max(now + TICK));
        }
        false
    }
}

const TICK: Duration = Duration::from_millis(1);

/// The least time between two tokens, however soon they expire.
const MIN_REFRESH: Duration = Duration::from_millis(100);

/// How long an abrupt end waits behind the last bytes: an error right behind them makes hyper discard them.
pub(crate) const CUT_DELAY: Duration = Duration::from_millis(50);

impl Drop for Reader {
    fn drop(&mut self) {
        self.node.telemetry.reader_left(self.claims.request_id, self.claims.seq, self.claims.ended, self.began);
    }
}

/// A response that was cut short. Its client comes again and goes on where it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the response was cut short; resume it to go on")
    }
}

impl std::error::Error for Cut {}
