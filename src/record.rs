//! The recorder: one task a stream. It owns the handler's body, reads it to its end whether or not anybody is
//! connected, and is the only one that adds to the stream.

mod alone;
mod take;

use crate::{
    EndStatus, Event, EventIds, Step, WhenAlone,
    deploy::Stage,
    framer::{Framer, Unfinished},
    hooks::SnapshotFold,
    live::{LiveLog, Passing},
    node::Node,
    source::Source,
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
        let strip_ids = settings.event_ids == EventIds::Token;
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
