//! A row of the table: what a fault did to the streams that were under way.

use crate::load::Seen;
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Row {
    pub fault: &'static str,
    pub streams: usize,
    pub clients: usize,
    pub events: u64,
    pub lost: u64,
    pub repeated: u64,
    pub hung: u64,
    /// Events within gaps.
    pub gapped: u64,
    pub breaks: u64,
    pub waits: u64,
    pub recover: Option<Duration>,
}

impl Row {
    pub fn of(fault: &'static str, streams: usize, seen: &[Seen], recover: Option<Duration>) -> Self {
        let done = || seen.iter().filter_map(|seen| seen.outcome.as_ref());
        Self {
            fault,
            streams,
            clients: seen.len(),
            events: done().map(|outcome| outcome.ledger.last - outcome.ledger.gapped()).sum(),
            lost: done().map(|outcome| outcome.ledger.lost).sum(),
            repeated: done().map(|outcome| outcome.ledger.repeated).sum(),
            hung: seen.iter().filter(|seen| seen.outcome.is_none()).count() as u64,
            gapped: done().map(|outcome| outcome.ledger.gapped()).sum(),
            breaks: done().map(|outcome| outcome.breaks).sum(),
            waits: done().map(|outcome| outcome.waits).sum(),
            recover,
        }
    }

    /// Prints it, and fails unless nothing was lost, repeated or hung.
    pub fn check(&self) {
        println!("{self}");
        assert_eq!((self.lost, self.repeated, self.hung), (0, 0, 0), "{self:?}");
    }
}

impl std::fmt::Display for Row {
    /// Fault, streams, clients, events received, lost, repeated, hung, in gaps, connections broken, told to wait, time
    /// to recover.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { fault, streams, clients, events, lost, repeated, hung, gapped, breaks, waits, recover } = self;
        let recover = recover.map_or_else(|| "–".to_owned(), |recover| format!("{:.2} s", recover.as_secs_f64()));
        write!(
            f,
            "| {fault} | {streams} | {clients} | {events} | {lost} | {repeated} | {hung} | {gapped} | {breaks} | {waits} \
             | {recover} |"
        )
    }
}
