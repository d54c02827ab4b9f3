//! Takes in what the handler says, a batch at a time: from its bytes to events in the live log, by the hooks of the
//! application and its fold.

use super::Recorder;
use crate::{
    EndStatus, Event, EventView,
    framer::Frame,
    hooks::Class,
    live::Passing,
    source::BoxError,
    store::{CHUNK_MAX_EVENTS, Snapshot},
};
use bytes::Bytes;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::{Context, Poll},
};
use tokio::time::Instant;

/// Events taken before the log is locked and readers are woken: what makes a busy stream cheap.
const BATCH_EVENTS: usize = 64;
/// Bytes taken before that.
const BATCH_BYTES: usize = 64 * 1024;

impl Recorder {
    /// Reads one batch. Whether there was anything.
    ///
    /// The application's own code runs in here: its body, its classifier, its fold. Where that panics, the stream has
    /// failed, and ends as any other.
    pub(super) fn poll_batch(&mut self, cx: &mut Context<'_>) -> bool {
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
    pub(super) fn weigh(&mut self) {
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
    pub(super) fn flush(&mut self) {
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

    pub(super) fn keep_snapshot(&mut self, data: Bytes, status: Option<EndStatus>) {
        let snapshot = Arc::new(Snapshot { seq: self.seq, status, step: self.step.clone(), data });
        self.log.set_snapshot(Arc::clone(&snapshot));
        self.writer.snapshot(snapshot);
        self.node.telemetry.snapshot_created(self.log.id, self.seq, status);
    }
}
