//! What a reader writes: control events, the handler's events with their ids, gaps, snapshots, the end.

use super::{Phase, Purpose, Reader, take::Fetch};
use crate::{
    EndStatus, Event, EventIds,
    control::{Control, Diagnostics, GapReason, Style, jittered, write_event},
    store::Snapshot,
    tally,
    token::Token,
};
use futures_util::FutureExt as _;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

impl Reader {
    pub(super) fn token(&mut self) -> Token {
        self.claims.expires_at = self.node.now() + crate::clock::millis(self.node.settings.token_ttl);
        self.signer.sign(&self.claims)
    }

    pub(super) fn control(&mut self, make: impl for<'t> FnOnce(&'t str, u64) -> Control<'t>) {
        let token = self.token();
        self.write(&make(token.as_str(), self.claims.expires_at), &token, None);
    }

    /// The first control event: its token is the one in the response's head.
    pub(super) fn greet(&mut self, make: impl for<'t> FnOnce(&'t str, u64) -> Control<'t>) {
        let token = self.signer.sign(&self.claims);
        let retry = jittered(self.node.settings.retry);
        self.write(&make(token.as_str(), self.claims.expires_at), &token, Some(retry));
    }

    pub(super) fn write(&mut self, control: &Control<'_>, token: &Token, retry: Option<Duration>) {
        let settings = &self.node.settings;
        let with_ids = settings.event_ids != EventIds::Off;
        let style = Style { name: &settings.control_name, as_comments: self.as_comments, with_ids };
        style.write(&mut self.out, control, token.as_bytes(), retry);
        self.signed_at = Instant::now();
    }

    /// The first thing in a response, with the snapshot where that is all there is to say.
    pub(super) fn open(&mut self) {
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
    pub(super) fn event(&mut self, event: &Event) {
        if event.oversize {
            let seq = self.claims.seq + 1;
            return self.gap(seq, seq, GapReason::Oversize);
        }
        self.advance(event);
        self.out.extend_from_slice(&event.lines);
        self.end_event(event.eol.as_bytes(), event.has_id);
    }

    pub(super) fn advance(&mut self, event: &Event) {
        self.claims.seq += 1;
        self.brought += 1;
        if self.brought == 1 && matches!(self.purpose, Purpose::First) {
            self.node.telemetry.first_event(self.since);
        }
        if self.claims.step != event.step {
            self.claims.step = event.step.clone();
        }
    }

    /// The id, last before the blank line and with that one's own line end; and the blank line.
    pub(super) fn end_event(&mut self, eol: &[u8], has_id: bool) {
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

    pub(super) fn gap(&mut self, from: u64, to: u64, reason: GapReason) {
        self.claims.seq = to;
        if let Some(step) = self.place.log().step_at(to) {
            self.claims.step = step;
        }
        self.announce(from, to, reason);
    }

    /// A gap, with the client's cursor where it is.
    pub(super) fn announce(&mut self, from: u64, to: u64, reason: GapReason) {
        self.control(|_, _| Control::Gap { from, to, reason });
        self.node.telemetry.gap(self.claims.request_id, from, to, reason);
    }

    /// A snapshot in place of the events up to its seq: `complete` for a stream that is over, else `state`.
    ///
    /// Only that event moves the client's cursor. With a cursor behind the gap already, a client that is cut before the
    /// snapshot is whole would come back and never get it.
    pub(super) fn show(&mut self, snapshot: &Snapshot) {
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

    /// All that there was is said: once it is known what other nodes have counted, comes the end.
    pub(super) fn finish(&mut self, status: EndStatus) {
        let log = self.place.log();
        self.claims.seq = self.claims.seq.max(log.summary().last);
        self.recovered();
        let counted = tally::bring_together(Arc::clone(&self.node), Arc::clone(self.place.log()));
        self.fetch = Fetch::Counts(status, counted.boxed());
    }

    pub(super) fn end(&mut self, status: EndStatus) {
        let log = Arc::clone(self.place.log());
        let summary = log.summary();
        let request_id = log.id.to_string();
        let diagnostics = Diagnostics {
            resumes: summary.counts.resumes,
            trims: summary.trimmed,
            recovered_events: summary.counts.recovered,
            correlation_id: log.head.correlation_id.as_deref().unwrap_or(&request_id),
        };
        // Not before: a client that is cut in front of this event has not seen the end.
        self.claims.ended = true;
        let token = self.token();
        self.write(&Control::End { status, seq: summary.last, diagnostics }, &token, None);
        self.phase = Phase::Ending;
    }
}
