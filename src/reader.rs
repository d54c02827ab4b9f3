//! A reader: a cursor over a log, and the only way to a client.
//!
//! It turns what lies behind its cursor into the bytes of a response: the handler's events with their ids, gaps,
//! replay and then live with no seam, control events, heartbeats, and the end.

use crate::{
    EndStatus, Event, EventIds,
    control::{Control, Diagnostics, GapReason, HEARTBEAT, Style, jittered, write_event},
    live::{Found, Passing, Place},
    node::{Node, ReaderGuard},
    request::Mode,
    store::{Chunk, Page, Snapshot, StoreError},
    token::{Cursor, Signer, Token},
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};

/// Bytes that make a write worth while.
const FLUSH_BYTES: usize = 64 * 1024;

/// About what an id line adds to an event.
const ID_BYTES: usize = 96;

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

/// What is being fetched from the store for a reader that is behind the live log.
enum Fetch {
    None,
    Page(BoxFuture<'static, Result<Option<Page>, StoreError>>),
    /// The snapshot that may stand in for the gap up to this seq.
    Snapshot(u64, BoxFuture<'static, Result<Option<Snapshot>, StoreError>>),
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
    chunks: VecDeque<Chunk>,
    /// In the middle of an event that is too large to keep: nothing may come between its parts.
    in_part: bool,
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
    began: Instant,
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
        let buffered = place.log().summary().last;
        Self {
            timer: Box::pin(sleep_until(now + node.settings.heartbeat)),
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
            chunks: VecDeque::new(),
            in_part: false,
            heard_at: now,
            signed_at: now,
            began: now,
        }
    }

    /// The next bytes; an error is an abrupt end.
    pub(crate) fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        loop {
            match self.phase {
                Phase::Opening => {
                    self.phase = Phase::Flowing;
                    self.open();
                }
                Phase::Flowing => {
                    while self.out.len() < FLUSH_BYTES && matches!(self.phase, Phase::Flowing) {
                        if matches!(self.step(cx), Step::Wait) {
                            break;
                        }
                    }
                    if self.out.is_empty() && matches!(self.phase, Phase::Flowing) && !self.idle(cx) {
                        return Poll::Pending;
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
                return Poll::Ready(Some(Ok(std::mem::take(&mut self.out).into())));
            }
        }
    }

    pub(crate) const fn is_done(&self) -> bool {
        matches!(self.phase, Phase::Done)
    }

    // ---- what is written ----

    fn token(&mut self) -> Token {
        self.claims.expires_at = self.node.now() + crate::clock::millis(self.node.settings.token_ttl);
        self.signer.sign(&self.claims)
    }

    fn control(&mut self, make: impl for<'t> FnOnce(&'t str, u64) -> Control<'t>) {
        let token = self.token();
        self.write(&make(token.as_str(), self.claims.expires_at), &token, None);
    }

    /// The first control event: its token is the one in the response's head.
    fn greet(&mut self, make: impl for<'t> FnOnce(&'t str, u64) -> Control<'t>) {
        let token = self.signer.sign(&self.claims);
        let retry = jittered(self.node.settings.retry);
        self.write(&make(token.as_str(), self.claims.expires_at), &token, Some(retry));
    }

    fn write(&mut self, control: &Control<'_>, token: &Token, retry: Option<Duration>) {
        let settings = &self.node.settings;
        let with_ids = settings.event_ids != EventIds::Off;
        let style = Style { name: &settings.control_name, as_comments: self.as_comments, with_ids };
        style.write(&mut self.out, control, token.as_bytes(), retry);
        self.signed_at = Instant::now();
    }

    /// The first thing in a response, with the snapshot where that is all there is to say.
    fn open(&mut self) {
        let id = self.claims.request_id;
        if matches!(self.purpose, Purpose::First) {
            self.node.telemetry.resume_issued(id, self.claims.seq, &self.claims.step);
            return self.greet(|token, expires_at| Control::Open { token, request_id: id, expires_at });
        }
        let summary = self.place.log().summary();
        let (mode, from, first, last) = (self.purpose.mode(), self.claims.seq, summary.first, summary.last);
        let status = summary.end.map_or("running", EndStatus::as_str);
        self.greet(|token, expires_at| Control::Replay {
            token,
            request_id: id,
            expires_at,
            mode,
            from,
            first,
            last,
            status,
        });
        match std::mem::replace(&mut self.purpose, Purpose::Live) {
            Purpose::Snapshot(snapshot) => {
                self.node.telemetry.partial_recovery(id, "snapshot");
                self.show(&snapshot);
                self.finish(snapshot.status.or(summary.end).unwrap_or(EndStatus::Complete));
            }
            Purpose::SeenEnd(_, snapshot) => {
                if let Some(snapshot) = snapshot {
                    self.show(&snapshot);
                }
                self.finish(summary.end.unwrap_or(EndStatus::Complete));
            }
            other => {
                self.purpose = other;
                self.reach_live();
            }
        }
    }

    /// One event of the handler's, or the gap that stands where it was.
    fn event(&mut self, event: &Event) {
        if event.oversize {
            let seq = self.claims.seq + 1;
            return self.gap(seq, seq, GapReason::Oversize);
        }
        self.advance(event);
        self.out.extend_from_slice(&event.lines);
        self.end_event(event.eol.as_bytes(), event.has_id);
    }

    fn advance(&mut self, event: &Event) {
        self.claims.seq += 1;
        self.brought += 1;
        if self.claims.step != event.step {
            self.claims.step = event.step.clone();
        }
    }

    /// The id, last before the blank line and with that one's own line end; and the blank line.
    fn end_event(&mut self, eol: &[u8], has_id: bool) {
        if !has_id && self.node.settings.event_ids != EventIds::Off {
            let token = self.signer.sign(&self.claims);
            self.out.extend_from_slice(b"id: ");
            self.out.extend_from_slice(token.as_bytes());
            self.out.extend_from_slice(eol);
        } else if eol == b"\n" && self.out.ends_with(b"\r") {
            // An id that was taken out stood between the two, which are one line end without it.
            self.out.push(b'\n');
        }
        self.out.extend_from_slice(eol);
    }

    fn gap(&mut self, from: u64, to: u64, reason: GapReason) {
        self.claims.seq = to;
        if let Some(step) = self.place.log().step_at(to) {
            self.claims.step = step;
        }
        self.announce(from, to, reason);
    }

    /// A gap, with the client's cursor where it is.
    fn announce(&mut self, from: u64, to: u64, reason: GapReason) {
        self.control(|_, _| Control::Gap { from, to, reason });
        self.node.telemetry.gap(self.claims.request_id, from, to, reason);
    }

    /// A snapshot in place of the events up to its seq: `complete` for a stream that is over, else `state`.
    ///
    /// Only that event moves the client's cursor. With a cursor behind the gap already, a client that is cut before the
    /// snapshot is whole would come back and never get it.
    fn show(&mut self, snapshot: &Snapshot) {
        let (seq, status) = (snapshot.seq, snapshot.status.map_or("running", EndStatus::as_str));
        if self.claims.seq < seq {
            self.announce(self.claims.seq + 1, seq, GapReason::Trimmed);
        }
        self.control(|_, _| Control::Snapshot { seq, status });
        self.claims.step = snapshot.step.clone();
        self.claims.seq = self.claims.seq.max(snapshot.seq);
        let token = (self.node.settings.event_ids != EventIds::Off).then(|| self.token());
        let name = if snapshot.status.is_some() { "complete" } else { "state" };
        write_event(&mut self.out, name, &snapshot.data, token.as_ref().map(Token::as_bytes));
    }

    fn finish(&mut self, status: EndStatus) {
        let log = Arc::clone(self.place.log());
        self.claims.ended = true;
        self.claims.seq = self.claims.seq.max(log.summary().last);
        self.recovered();
        let summary = log.summary();
        let request_id = log.id.to_string();
        let diagnostics = Diagnostics {
            resumes: summary.resumes,
            trims: summary.trimmed,
            recovered_events: summary.recovered,
            correlation_id: log.head.correlation_id.as_deref().unwrap_or(&request_id),
        };
        let token = self.token();
        self.write(&Control::End { status, seq: summary.last, diagnostics }, &token, None);
        self.phase = Phase::Ending;
    }

    // ---- where it comes from ----

    fn step(&mut self, cx: &mut Context<'_>) -> Step {
        if !self.in_part && self.is_replayed() {
            return self.close_replay();
        }
        if let Some(chunk) = self.chunks.pop_front() {
            self.chunk(&chunk);
            return Step::On;
        }
        if let Some(step) = self.poll_fetch(cx) {
            return step;
        }
        let mut batch = std::mem::take(&mut self.batch);
        let found = self.place.poll_read(self.claims.seq, &mut batch, cx);
        let step = match found {
            Poll::Pending => Step::Wait,
            // It was let go for stalling, and with it the rest of what it is in the middle of.
            Poll::Ready(Found::Events) if self.in_part => self.cut(),
            Poll::Ready(Found::Events) => {
                // One look at the clock for the whole batch: tokens live for minutes.
                self.claims.expires_at = self.node.now() + crate::clock::millis(self.node.settings.token_ttl);
                self.out.reserve(batch.iter().map(|event| event.size() + ID_BYTES).sum());
                for event in &batch {
                    self.event(event);
                    self.reach_live();
                }
                // An id of the handler's own is no token.
                if self.node.settings.event_ids != EventIds::Off && batch.iter().any(|event| !event.has_id) {
                    self.signed_at = Instant::now();
                }
                Step::On
            }
            Poll::Ready(Found::Passing(passing)) => {
                self.pass(&passing);
                Step::On
            }
            Poll::Ready(Found::Behind(first)) => {
                self.behind(first);
                Step::On
            }
            Poll::Ready(Found::End(_)) if self.in_part => self.cut(),
            Poll::Ready(Found::End(status)) => {
                self.finish(status);
                Step::On
            }
            Poll::Ready(Found::Abandoned) => self.cut(),
        };
        batch.clear();
        // What a burst has grown is given back, so that an idle stream costs next to nothing.
        self.batch = if batch.capacity() > 16 { Vec::new() } else { batch };
        step
    }

    fn pass(&mut self, passing: &Passing) {
        match passing {
            Passing::Comment(bytes) => {
                // A comment that is too large to be held comes in pieces, too.
                self.in_part = !matches!(bytes.last(), Some(b'\n' | b'\r'));
                self.out.extend_from_slice(bytes);
            }
            Passing::Part(bytes) => {
                self.in_part = true;
                self.out.extend_from_slice(bytes);
            }
            Passing::PartEnd { eol, has_id } => {
                self.in_part = false;
                self.claims.seq += 1;
                self.claims.expires_at = self.node.now() + crate::clock::millis(self.node.settings.token_ttl);
                if self.node.settings.event_ids != EventIds::Off && !has_id {
                    self.signed_at = Instant::now();
                }
                self.end_event(eol.as_bytes(), *has_id);
            }
            // Its client is in the middle of something: nothing can follow but the end of the connection.
            Passing::BrokenOff => drop(self.cut()),
        }
    }

    /// The live log begins at `first`, behind the next event: what lies between comes from the store, from a
    /// snapshot, or not at all.
    fn behind(&mut self, first: u64) {
        if self.in_part {
            self.cut();
            return;
        }
        let log = self.place.log();
        match log.summary().snapshot {
            Some(snapshot) if snapshot.seq + 1 >= first => self.stand_in(&snapshot),
            _ if log.recorded => self.gap(self.claims.seq + 1, first - 1, GapReason::Trimmed),
            _ => self.fetch = Fetch::Page(Arc::clone(&self.node.store).page(log.id, self.claims.seq)),
        }
    }

    fn stand_in(&mut self, snapshot: &Snapshot) {
        self.node.telemetry.partial_recovery(self.claims.request_id, "state");
        self.show(snapshot);
        self.reach_live();
    }

    fn poll_fetch(&mut self, cx: &mut Context<'_>) -> Option<Step> {
        match &mut self.fetch {
            Fetch::None => None,
            Fetch::Page(reply) => {
                let Poll::Ready(page) = reply.as_mut().poll(cx) else { return Some(Step::Wait) };
                self.fetch = Fetch::None;
                Some(match page {
                    Ok(Some(page)) => self.page(page),
                    // The log is gone or out of reach. Its writer may heal it: the client comes again.
                    Ok(None) | Err(_) => self.cut(),
                })
            }
            Fetch::Snapshot(to, reply) => {
                let to = *to;
                let Poll::Ready(snapshot) = reply.as_mut().poll(cx) else { return Some(Step::Wait) };
                self.fetch = Fetch::None;
                match snapshot {
                    Ok(Some(snapshot)) if snapshot.seq >= to => self.stand_in(&snapshot),
                    _ => self.gap(self.claims.seq + 1, to, GapReason::Trimmed),
                }
                Some(Step::On)
            }
        }
    }

    fn page(&mut self, page: Page) -> Step {
        let next = self.claims.seq + 1;
        // A page without an event behind the cursor (there may be an end in it) says that they are gone.
        let first = match page.chunks.iter().find(|chunk| chunk.last() >= next) {
            Some(chunk) => chunk.first,
            None => self.place.log().first(),
        };
        if first > next {
            // The chunks are fetched again behind the gap: a snapshot may reach beyond them.
            let snapshot = Arc::clone(&self.node.store).snapshot(self.claims.request_id);
            self.fetch = Fetch::Snapshot(first - 1, snapshot);
        } else {
            self.chunks = page.chunks.into();
        }
        Step::On
    }

    fn chunk(&mut self, chunk: &Chunk) {
        let next = self.claims.seq + 1;
        if chunk.first > next {
            self.gap(next, chunk.first - 1, GapReason::Lost);
        }
        self.claims.expires_at = self.node.now() + crate::clock::millis(self.node.settings.token_ttl);
        let known = usize::try_from(self.claims.seq + 1 - chunk.first).unwrap_or(usize::MAX);
        for event in chunk.events.iter().skip(known) {
            self.event(event);
            self.reach_live();
        }
    }

    // ---- replay, live, and the ways to end ----

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
            self.place.log().count_recovered(self.brought);
            self.node.telemetry.resume_success(self.claims.request_id, self.brought, from, to);
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

    /// Whether a long silence made it say something.
    fn idle(&mut self, cx: &mut Context<'_>) -> bool {
        let settings = &self.node.settings;
        while self.timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
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
        self.node.telemetry.reader_left(
            self.claims.request_id,
            self.claims.seq,
            self.claims.ended,
            self.began.elapsed(),
        );
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
