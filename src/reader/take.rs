//! Where a reader takes its events from: the live log, or the store for what that has let go.

use super::{Reader, Step};
use crate::{
    EndStatus, EventIds,
    control::GapReason,
    live::{Found, Passing},
    store::{Ask, Chunk, Page, Snapshot, StoreError},
};
use futures_util::future::BoxFuture;
use std::{
    sync::Arc,
    task::{Context, Poll},
};
use tokio::time::Instant;

/// About what an id line adds to an event.
const ID_BYTES: usize = 96;

/// What is being fetched from the store for a reader that is behind the live log.
pub(super) enum Fetch {
    None,
    Page(BoxFuture<'static, Result<Option<Page>, StoreError>>),
    /// What other nodes have counted, before the end of this status.
    Counts(EndStatus, BoxFuture<'static, ()>),
    /// The snapshot that may stand in for the gap up to this seq.
    Snapshot(u64, GapReason, BoxFuture<'static, Result<Option<Snapshot>, StoreError>>),
}

impl Reader {
    pub(super) fn step(&mut self, cx: &mut Context<'_>) -> Step {
        self.say_lifted();
        if let Fetch::Counts(status, counted) = &mut self.fetch {
            let status = *status;
            if counted.as_mut().poll(cx).is_pending() {
                return Step::Wait;
            }
            self.fetch = Fetch::None;
            self.end(status);
            return Step::On;
        }
        if !self.in_part && self.is_replayed() {
            return self.close_replay();
        }
        if let Some(chunk) = self.chunks.pop() {
            self.chunk(chunk);
            return Step::On;
        }
        if let Some(step) = self.poll_fetch(cx) {
            return step;
        }
        if self.in_part && !self.place.takes_passing() {
            // It was let go for stalling, and with it the rest of what it is in the middle of.
            return self.cut();
        }
        let mut batch = std::mem::take(&mut self.batch);
        let found = self.place.poll_read(self.claims.seq, &mut batch, cx);
        let step = match found {
            Poll::Pending => Step::Wait,
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
            Poll::Ready(Found::Lifted(lifted)) => {
                self.lifted = Some(lifted);
                Step::On
            }
        };
        batch.clear();
        // What a burst has grown is given back, so that an idle stream costs next to nothing.
        self.batch = if batch.capacity() > 16 { Vec::new() } else { batch };
        step
    }

    pub(super) fn pass(&mut self, passing: &Passing) {
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
    pub(super) fn behind(&mut self, first: u64) {
        if self.in_part {
            self.cut();
            return;
        }
        let log = self.place.log();
        let (summary, next) = (log.summary(), self.claims.seq + 1);
        match summary.snapshot {
            Some(snapshot) if snapshot.seq + 1 >= first => self.stand_in(&snapshot),
            _ if log.recorded && next < summary.first => {
                self.gap(next, summary.first.min(first) - 1, GapReason::Trimmed);
            }
            // A hole between what is kept here is one for good.
            _ if log.recorded && next >= log.first() => self.gap(next, first - 1, GapReason::Trimmed),
            _ => self.fetch = Fetch::Page(Arc::clone(&self.node.store).page(log.id, self.claims.seq)),
        }
    }

    pub(super) fn stand_in(&mut self, snapshot: &Snapshot) {
        self.node.telemetry.partial_recovery(self.claims.request_id, "state");
        self.show(snapshot);
        self.reach_live();
    }

    pub(super) fn poll_fetch(&mut self, cx: &mut Context<'_>) -> Option<Step> {
        match &mut self.fetch {
            Fetch::None | Fetch::Counts(..) => None,
            Fetch::Page(reply) => {
                let Poll::Ready(page) = reply.as_mut().poll(cx) else { return Some(Step::Wait) };
                self.fetch = Fetch::None;
                Some(match page {
                    Ok(Some(page)) => self.page(page),
                    Ok(None) => self.come_again(),
                    Err(_) => self.cut(),
                })
            }
            Fetch::Snapshot(to, reason, reply) => {
                let (to, reason) = (*to, *reason);
                let Poll::Ready(snapshot) = reply.as_mut().poll(cx) else { return Some(Step::Wait) };
                self.fetch = Fetch::None;
                self.no_snapshot = matches!(snapshot, Ok(None));
                match snapshot {
                    Ok(Some(snapshot)) if snapshot.seq >= to => self.stand_in(&snapshot),
                    _ => self.gap(self.claims.seq + 1, to, reason),
                }
                Some(Step::On)
            }
        }
    }

    /// The store holds less than this node has seen. The stream's writer is told, as it can write it again, and the
    /// client comes again.
    fn come_again(&mut self) -> Step {
        let (store, log) = (Arc::clone(&self.node.store), self.place.log());
        let (writer, id) = (log.head.node, log.id);
        drop(tokio::spawn(async move { store.ask(writer, id, Ask::Amiss).await }));
        self.cut()
    }

    pub(super) fn page(&mut self, page: Page) -> Step {
        let next = self.claims.seq + 1;
        let (first, reason) = match page.chunks.iter().find(|chunk| chunk.last() >= next) {
            // What the store has let go of meanwhile may still be here.
            Some(chunk) => match self.place.log().kept_from(next) {
                here if here > next => (chunk.first.min(here), GapReason::Trimmed),
                _ => (chunk.first, GapReason::Trimmed),
            },
            None => {
                // The log was set back. With an end in it all the same, nobody can write it again.
                let Some(end) = page.chunks.iter().find(|chunk| chunk.end.is_some()) else { return self.come_again() };
                let first = self.place.log().kept_from(next);
                let is_trimmed = end.totals.trimmed + 1 >= first || end.totals.holes.is_some();
                let reason = if is_trimmed { GapReason::Trimmed } else { GapReason::Lost };
                (first, reason)
            }
        };
        if first > next {
            // The chunks are fetched again behind the gap: a snapshot may reach beyond them.
            let snapshot = Arc::clone(&self.node.store).snapshot(self.claims.request_id);
            self.fetch = Fetch::Snapshot(first - 1, reason, snapshot);
        } else {
            self.chunks.put(page.chunks);
        }
        Step::On
    }

    /// A chunk that begins behind the next event. What lies between was let go, or lost.
    fn hole(&mut self, chunk: Chunk) {
        let next = self.claims.seq + 1;
        let log = self.place.log();
        let here = log.kept_from(next);
        if here == next && next <= log.last() {
            // It is here by now.
            return self.chunks.clear();
        }
        let to = if here > next { chunk.first.min(here) - 1 } else { chunk.first - 1 };
        let let_go = chunk.totals.holes.is_some();
        if let_go && !self.no_snapshot {
            // The chunks are fetched again behind the gap: a snapshot may reach beyond them.
            let snapshot = Arc::clone(&self.node.store).snapshot(self.claims.request_id);
            self.fetch = Fetch::Snapshot(to, GapReason::Trimmed, snapshot);
            return self.chunks.clear();
        }
        self.claims.step = chunk.step_before.clone();
        self.gap(next, to, if let_go { GapReason::Trimmed } else { GapReason::Lost });
        self.chunks.put_back(chunk);
    }

    pub(super) fn chunk(&mut self, chunk: Chunk) {
        if chunk.first > self.claims.seq + 1 {
            return self.hole(chunk);
        }
        self.claims.expires_at = self.node.now() + crate::clock::millis(self.node.settings.token_ttl);
        let known = usize::try_from(self.claims.seq + 1 - chunk.first).unwrap_or(usize::MAX);
        for event in chunk.events.iter().skip(known) {
            self.event(event);
            self.reach_live();
        }
    }
}
