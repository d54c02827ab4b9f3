//! What the store has answered, and what follows from it.

use super::{Footing, MAX_BACKOFF, MIN_BACKOFF, Writer, renewal};
use crate::{
    EndStatus, StoreOut,
    store::{Appended, Chunk, StoreError, Tail, Touched},
};
use tokio::time::Instant;

impl Writer {
    pub(super) fn appended(&mut self, appended: Appended) {
        match appended {
            Appended::Stored { watched } => {
                if self.footing == Footing::Broken {
                    self.telemetry().healed(self.log.id, self.held_events);
                }
                self.watched = watched;
                self.acknowledge();
            }
            Appended::Diverged => self.footing = Footing::Broken,
            Appended::Fenced(status) => self.fenced(status),
        }
    }

    /// The store has written. (That it can be read says little: one that is full still can.)
    pub(super) fn wrote(&mut self) {
        self.log.set_reaches_store(true);
        self.backoff = MIN_BACKOFF;
        self.failing = false;
    }

    pub(super) fn acknowledge(&mut self) {
        self.wrote();
        if let Some(chunk) = self.sent.last() {
            self.acked = chunk.last();
            self.unacknowledged.set(self.last.saturating_sub(self.acked));
            self.end_stored = chunk.end.is_some();
            if self.end_stored {
                self.log.set_safe();
            }
            self.log.acknowledged(self.acked);
            if self.node.settings.is_stored() {
                self.log.stored(self.acked, self.end_stored);
            }
        }
        self.sent.clear();
        self.footing = Footing::Firm;
        if self.last > self.acked {
            self.waiting_since.get_or_insert_with(Instant::now);
        }
    }

    /// Decides by the log's newest entry what is to be done: architecture.md, "The first append" and "Healing".
    pub(super) fn looked(&mut self, tail: Option<&Tail>) {
        // While the store was away, word may have been left: a renewal brings it.
        self.touch_at = Instant::now();
        let sent = self.sent.last().map(|chunk| (chunk.last(), chunk.end));
        let acknowledged = (self.acked, self.end.filter(|_| self.end_stored));
        self.footing = match tail {
            None => Footing::Broken,
            Some(tail) if tail.writer != self.me && tail.end.is_some() => {
                return self.fenced(tail.end.unwrap_or(EndStatus::Interrupted));
            }
            Some(tail) if tail.writer != self.me => Footing::Broken,
            // That the log has it says nothing of its copies.
            Some(tail) if sent == Some((tail.last, tail.end)) && self.node.settings.replicas() > 0 => {
                Footing::Unconfirmed
            }
            Some(tail) if sent == Some((tail.last, tail.end)) => return self.acknowledge(),
            Some(tail) if (tail.last, tail.end) == acknowledged && sent.is_some() && !self.rewriting => Footing::Resend,
            Some(tail) if (tail.last, tail.end) == acknowledged && sent.is_none() => Footing::Firm,
            Some(_) => Footing::Broken,
        };
    }

    pub(super) fn touched(&mut self, touched: Touched) {
        self.touch_at = Instant::now() + renewal(self.node.settings.state_ttl);
        match touched {
            Touched::Lives { cancelled } => {
                self.cancelled |= cancelled;
                self.wrote();
            }
            Touched::Gone => self.footing = Footing::Broken,
        }
    }

    pub(super) fn fenced(&mut self, status: EndStatus) {
        self.telemetry().fenced(self.log.id, status);
        self.footing = Footing::Fenced(status);
        if self.node.settings.is_stored() {
            // Nothing can be stored any more.
            match self.node.settings.store_out {
                StoreOut::Cut => self.log.abandon(),
                StoreOut::Relax => drop(self.log.relax()),
            }
        }
    }

    /// What was sent and is let go of here meanwhile will not be sent again: what is left replaces all of it. That it was
    /// sent has to be known still, and no more: an outage may be long.
    pub(super) fn let_go_of_sent(&mut self) {
        if self.log.first() > self.acked + 1
            && let Some(last) = self.sent.pop()
        {
            self.rewriting = true;
            self.sent = vec![Chunk { first: last.last() + 1, events: Vec::new().into(), ..last }];
        }
    }

    pub(super) fn failed(&mut self, error: &StoreError) {
        if !self.failing {
            self.failing = true;
            self.telemetry().store_failed(self.log.id, error);
        }
        self.log.set_reaches_store(false);
        self.lost = !self.node.store_is_up();
        self.let_go_of_sent();
        // What was asked may have been done, so the log's end is looked at before anything is sent again.
        if !matches!(self.footing, Footing::Fenced(_)) {
            self.footing = Footing::Unsure;
        }
        let jitter = self.backoff.mul_f64(0.5 + fastrand::f64());
        self.retry_at = Some(Instant::now() + jitter);
        self.backoff = (self.backoff * 2).min(MAX_BACKOFF);
    }
}
