//! The recorder: one task a stream. It owns the handler's body, reads it to its end whether or not anybody is
//! connected, and is the only one that adds to the stream.

mod alone;

use crate::{
    EndStatus, Event, EventView, Step, WhenAlone,
    deploy::Stage,
    framer::{Frame, Framer, Unfinished},
    hooks::{Class, SnapshotFold},
    live::{LiveLog, Passing},
    node::Node,
    source::{BoxError, Source},
    store::{CHUNK_MAX_EVENTS, Snapshot},
    telemetry::{Stopwatch, spans},
    writer::Writer,
};
use alone::{Alone, Company};
use bytes::Bytes;
use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::time::{Instant, Sleep, sleep_until};
use tracing::Span;

/// Events taken before the log is locked and readers are woken: what makes a busy stream cheap.
const BATCH_EVENTS: usize = 64;
/// Bytes taken before that.
const BATCH_BYTES: usize = 64 * 1024;
/// Batches taken, or answers of the store's, before other tasks of this thread get their turn.
const ROUNDS_A_TURN: usize = 16;

pub(crate) struct Recorder {
    node: Arc<Node>,
    log: Arc<LiveLog>,
    source: Option<Pin<Box<dyn Source>>>,
    framer: Framer,
    writer: Writer,
    fold: Option<Box<dyn SnapshotFold>>,
    batch: Vec<Event>,
    /// What the node counts for an event in progress.
    assembling: usize,
    /// The last event's seq, those of the batch included.
    seq: u64,
    step: Step,
    result: Option<Bytes>,
    failed: bool,
    kicks: u32,
    timer: Pin<Box<Sleep>>,
    began: Stopwatch,
    /// What all of it is logged within, until its end is in the store.
    span: Span,
    alone: Alone,
    /// Since when the furthest reader has held the source back.
    held_since: Option<Instant>,
    over: bool,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("log", &self.log).field("seq", &self.seq).finish_non_exhaustive()
    }
}

impl Recorder {
    pub(crate) fn new(
        node: Arc<Node>,
        log: Arc<LiveLog>,
        source: Pin<Box<dyn Source>>,
        fold: Option<Box<dyn SnapshotFold>>,
    ) -> Self {
        let span = spans::record(log.id, log.head.correlation_id.as_deref());
        log.recorded_in(&span);
        let settings = &node.settings;
        let strip_ids = settings.event_ids == crate::EventIds::Token;
        Self {
            framer: Framer::new(strip_ids, settings.max_event_bytes),
            fold,
            writer: Writer::new(Arc::clone(&node), Arc::clone(&log)),
            source: Some(source),
            batch: Vec::new(),
            assembling: 0,
            seq: 0,
            step: Step::NONE,
            result: None,
            failed: false,
            kicks: 0,
            timer: Box::pin(sleep_until(Instant::now())),
            began: Stopwatch::start(),
            span,
            alone: Alone::default(),
            held_since: None,
            over: false,
            node,
            log,
        }
    }

    /// Reads one batch. Whether there was anything.
    ///
    /// The application's own code runs in here: its body, its classifier, its fold. Where that panics, the stream has
    /// failed, and ends as any other.
    fn poll_batch(&mut self, cx: &mut Context<'_>) -> bool {
        catch_unwind(AssertUnwindSafe(|| self.poll_source(cx))).unwrap_or_else(|_| {
            self.node.telemetry.handler_failed(self.log.id, &*BoxError::from("the application's code panicked"));
            self.fold = None;
            self.end(EndStatus::Error);
            true
        })
    }

    fn poll_source(&mut self, cx: &mut Context<'_>) -> bool {
        let Poll::Ready(room) = self.log.poll_room(cx) else {
            self.held_since.get_or_insert_with(Instant::now);
            return false;
        };
        self.held_since = None;
        let most = room.bytes.min(BATCH_BYTES);
        let mut frames = room.events.min(BATCH_EVENTS);
        let mut bytes = 0;
        let mut progress = false;
        while frames > 0 && bytes < most {
            if let Some(frame) = self.framer.next() {
                progress = true;
                bytes += self.take(frame);
                frames -= 1;
                continue;
            }
            let Some(source) = &mut self.source else { break };
            match source.as_mut().poll_bytes(cx) {
                Poll::Pending => break,
                Poll::Ready(Some(Ok(data))) => self.framer.push(data),
                Poll::Ready(Some(Err(error))) => {
                    self.node.telemetry.handler_failed(self.log.id, &*error);
                    self.node.order.body_failed(&*error);
                    self.end(EndStatus::Error);
                    return true;
                }
                Poll::Ready(None) => {
                    self.end(EndStatus::Complete);
                    return true;
                }
            }
        }
        self.flush();
        self.framer.turn_over();
        self.weigh();
        progress
    }

    /// Tells the node what an event takes of which a part is still to come.
    fn weigh(&mut self) {
        let room = self.framer.room();
        if room != self.assembling {
            self.node.usage.change(room, std::mem::replace(&mut self.assembling, room));
        }
    }

    /// Takes a frame in. Its size: what merely passes counts too, or a source that is always ready would be read
    /// without bound.
    fn take(&mut self, frame: Frame) -> usize {
        match frame {
            Frame::Event { lines, eol, has_id } => {
                let class = self.classify(&lines);
                self.seq += 1;
                let event =
                    Event { lines, eol, has_id, oversize: false, priority: class.priority, step: self.step.clone() };
                let size = event.size();
                self.batch.push(event);
                size
            }
            Frame::Comment(bytes) => {
                let size = bytes.len();
                self.flush();
                self.log.pass(Passing::Comment(bytes));
                size
            }
            Frame::OversizePart(bytes) => {
                let size = bytes.len();
                self.flush();
                self.log.pass(Passing::Part(bytes));
                size
            }
            Frame::OversizeEnd { eol, has_id, size } => {
                self.flush();
                self.seq += 1;
                self.node.telemetry.oversized(self.log.id, self.seq, size);
                self.log.pass(Passing::PartEnd { eol, has_id });
                self.batch.push(Event { oversize: true, eol, step: self.step.clone(), ..Event::default() });
                self.flush();
                eol.as_bytes().len()
            }
        }
    }

    fn classify(&mut self, lines: &Bytes) -> Class {
        if self.node.settings.classify.is_none() && self.fold.is_none() {
            return Class::new();
        }
        let view = EventView::new(self.seq + 1, lines);
        if let Some(fold) = &mut self.fold {
            fold.event(&view);
        }
        let class = self.node.settings.classify.as_ref().map_or(Class::new(), |classify| classify.classify(&view));
        if let Some(step) = &class.step
            && *step != self.step
        {
            self.step = step.clone();
        }
        if class.result {
            self.result = Some(Bytes::copy_from_slice(&view.data()));
        }
        self.failed |= class.failed;
        class
    }

    /// Puts the batch into the live log.
    fn flush(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let is_full = self.node.is_full();
        self.node.telemetry.recorded(&self.batch);
        self.fold_what_goes(is_full);
        let gone = self.log.push(self.batch.drain(..), self.node.now(), is_full);
        self.writer.grown(self.seq);
        if gone > 0 {
            self.node.telemetry.buffer_trimmed(self.log.id, gone);
        }
    }

    /// While the stream runs, a fold's snapshot stands in for what the log lets go of: it is there before that goes, so
    /// that no reader meets the one without the other. One is made only when the last one will no longer reach the
    /// oldest event, so about once for each time that the whole log has been replaced. The store, which trims by whole
    /// chunks, is up to a chunk ahead of the live log.
    fn fold_what_goes(&mut self, is_full: bool) {
        let Some(fold) = &self.fold else { return };
        let first = self.log.first_with(&self.batch, is_full);
        let oldest = (first + CHUNK_MAX_EVENTS as u64).min(self.seq + 1);
        if first == 1 || self.log.snapshot_reaches().is_some_and(|seq| seq + 1 >= oldest) {
            return;
        }
        if let Some(data) = fold.snapshot() {
            self.keep_snapshot(data, None);
        }
    }

    fn keep_snapshot(&mut self, data: Bytes, status: Option<EndStatus>) {
        let snapshot = Arc::new(Snapshot { seq: self.seq, status, step: self.step.clone(), data });
        self.log.set_snapshot(Arc::clone(&snapshot));
        self.writer.snapshot(snapshot);
        self.node.telemetry.snapshot_created(self.log.id, self.seq, status);
    }

    /// The stream is over: its snapshot first, so that nobody sees an end that has one without it.
    fn end(&mut self, status: EndStatus) {
        if self.over {
            return;
        }
        self.source = None;
        self.flush();
        if let Some(unfinished) = self.framer.finish() {
            self.node.telemetry.unfinished_block(self.log.id);
            if unfinished == Unfinished::Open {
                self.log.pass(Passing::BrokenOff);
            }
        }
        self.weigh();
        let status = if status == EndStatus::Complete && self.failed { EndStatus::Error } else { status };
        let snapshot = self.fold.take().and_then(|fold| fold.snapshot()).or_else(|| self.result.take());
        if let Some(data) = snapshot {
            self.keep_snapshot(data, Some(status));
        }
        self.over = true;
        self.log.finish(status, self.node.now());
        self.writer.end(status);
        self.node.ended();
        self.told_end(status);
    }

    fn told_end(&self, status: EndStatus) {
        self.span.record("status", status.as_str());
        self.span.record("events", self.seq);
        self.node.telemetry.stream_ended(self.log.id, status, self.seq, self.began);
    }

    /// [`end`](Self::end), also where the application's fold panics: it is gone then, the end is not.
    fn end_for_sure(&mut self, status: EndStatus) {
        if catch_unwind(AssertUnwindSafe(|| self.end(status))).is_err() {
            self.fold = None;
            self.end(status);
        }
    }

    /// Somebody came or went or asked for something, or the store is back.
    fn look_around(&mut self) {
        self.writer.look();
        let orders = self.log.take_orders();
        if orders.amiss {
            self.writer.amiss();
        }
        if orders.cancel || self.writer.is_cancelled() {
            self.end_for_sure(EndStatus::Cancelled);
        }
        if self.node.deploy.stage() >= Stage::Overdue {
            self.end_for_sure(EndStatus::Interrupted);
        }
        // Its own clients still get the whole stream, unless they may see only what is stored; with none left, nobody
        // would.
        if let Some(status) = self.writer.fenced_as()
            && (status == EndStatus::Cancelled || self.log.readers() == 0 || self.log.is_abandoned())
        {
            self.end_for_sure(status);
        }
        let company = self.company();
        if self.node.settings.when_alone == WhenAlone::Pause {
            self.log.set_read_elsewhere(company == Company::Elsewhere);
        }
        self.alone.look(company, &self.node.settings, Instant::now());
    }

    fn company(&self) -> Company {
        let node = &self.node;
        if self.log.readers() > 0 {
            return Company::Here;
        }
        if self.writer.is_watched() {
            return Company::Elsewhere;
        }
        // Those whom a drain has sent away have yet to find another node.
        let can_tell = !node.store.is_shared() || (node.store_is_up() && node.deploy.stage() == Stage::Serving);
        if can_tell { Company::Nobody } else { Company::Unknown }
    }

    fn on_time(&mut self, now: Instant) {
        if self.over {
            return;
        }
        let settings = &self.node.settings;
        if self.held_since.is_some_and(|since| now >= since + settings.stall_time) {
            let stalled = self.log.let_stalled_go();
            self.held_since = Some(now);
            if stalled > 0 {
                self.node.telemetry.reader_stalled(self.log.id, stalled);
            }
        }
        if self.alone.due(settings).is_some_and(|due| now >= due) {
            // Somebody may have come, or gone, elsewhere.
            self.look_around();
        }
        if let Some(status) = self.alone.verdict(&self.node.settings, now) {
            self.end_for_sure(status);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let settings = &self.node.settings;
        let stall = self.held_since.map(|since| since + settings.stall_time);
        let alone = self.alone.due(settings);
        [self.writer.deadline(), stall.filter(|_| !self.over), alone.filter(|_| !self.over)].into_iter().flatten().min()
    }

    /// Whether the timer has struck.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(deadline) = self.deadline() else { return false };
        if self.timer.deadline() != deadline {
            self.timer.as_mut().reset(deadline);
        }
        self.timer.as_mut().poll(cx).is_ready()
    }
}

impl Future for Recorder {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let span = this.span.clone();
        let _within = span.enter();
        let mut rounds = 0;
        loop {
            let mut progress = false;
            if !this.over && this.poll_batch(cx) {
                progress = true;
            }
            if this.writer.poll(cx).is_ready() {
                // The answer may say that somebody follows from elsewhere, or no longer.
                this.look_around();
                progress = true;
            }
            let now = Instant::now();
            progress |= this.writer.start(now);
            if let Poll::Ready(kicks) = this.log.poll_kick(this.kicks, cx) {
                this.kicks = kicks;
                this.look_around();
                progress = true;
            }
            if this.over && this.log.is_safe() {
                this.span = Span::none();
            }
            if this.over && this.writer.is_done(now) {
                this.node.forget(this.log.id);
                return Poll::Ready(());
            }
            if this.poll_timer(cx) {
                this.on_time(Instant::now());
                progress = true;
            }
            if !progress {
                return Poll::Pending;
            }
            rounds += 1;
            if rounds >= ROUNDS_A_TURN {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }
}

impl Drop for Recorder {
    /// A task that is dropped (its runtime shuts down) still finishes its stream for those who read it here, and in the
    /// store where that needs no waiting. Elsewhere the others find that nobody knows the stream any more, and end it.
    fn drop(&mut self) {
        let span = self.span.clone();
        let _within = span.enter();
        self.node.usage.change(0, self.assembling);
        if !self.over {
            self.log.finish(EndStatus::Interrupted, self.node.now());
            self.node.ended();
            self.writer.end_at_once(EndStatus::Interrupted);
            self.told_end(EndStatus::Interrupted);
        }
        if self.node.settings.is_stored() {
            // What the store has not got by now, it never will.
            self.log.abandon();
        }
        self.node.forget(self.log.id);
    }
}
