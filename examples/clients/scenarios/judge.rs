//! Holds what a client reports against what was sent: every event once, in order, with its bytes; gaps as they were
//! announced; and the end.

use crate::{
    expect::{Ending, Expect},
    facts::Facts,
    report::{Report, Seen},
    rules,
    script::Said,
    wire::{Exchange, Gap, Over},
};
use serde_json::Value;
use std::collections::HashSet;

/// What the servers know of a run.
pub(crate) struct Evidence {
    pub(crate) exchanges: Vec<Exchange>,
    pub(crate) tokens: HashSet<String>,
    pub(crate) facts: Facts,
    /// What had gone out when the slow client was released.
    pub(crate) bytes_while_slow: Option<u64>,
}

/// Everything that is wrong with the client; nothing, where it is right.
pub(crate) fn judge(expect: &Expect, evidence: &Evidence, report: &Report) -> Vec<String> {
    let mut walk = Walk {
        expect,
        evidence,
        problems: Vec::new(),
        at: 0,
        taken: 0,
        restarts: 0,
        again: None,
        gaps: vec![],
        stand: false,
    };
    for seen in &report.seen {
        walk.see(seen);
    }
    walk.ending(report);
    let mut problems = brief_list(walk.problems);
    problems.extend(brief_list(rules::check(expect, evidence)));
    problems
}

/// One loss can make every later event wrong.
fn brief_list(mut problems: Vec<String>) -> Vec<String> {
    let more = problems.len().saturating_sub(MAX_PROBLEMS);
    if more > 0 {
        problems.truncate(MAX_PROBLEMS);
        problems.push(format!("and {more} more"));
    }
    problems
}

const MAX_PROBLEMS: usize = 12;

struct Walk<'a> {
    expect: &'a Expect,
    evidence: &'a Evidence,
    problems: Vec<String>,
    /// The cursor.
    at: u64,
    /// Events taken since the client began.
    taken: u64,
    restarts: usize,
    /// The event that may come once more, since the client was made anew before it had asked for the next.
    again: Option<u64>,
    gaps: Vec<String>,
    stand: bool,
}

impl Walk<'_> {
    fn wrong(&mut self, problem: String) {
        self.problems.push(problem);
    }

    fn see(&mut self, seen: &Seen) {
        match seen {
            Seen::Event { seq, event, data } => self.event(*seq, event, data),
            Seen::Gap { from, to, reason } => self.gap(&Gap { from: *from, to: *to, reason: reason.clone() }),
            Seen::Snapshot { seq, status, event, data } => self.snapshot(*seq, status, event, data),
            Seen::Restart => {
                self.restarts += 1;
                self.at = 0;
                self.again = None;
            }
            Seen::End { .. } | Seen::Error { .. } => {}
        }
    }

    fn event(&mut self, seq: Option<u64>, event: &str, data: &str) {
        let seq = match seq {
            Some(seq) if self.expect.counted => seq,
            None if self.expect.counted => return self.wrong(format!("an event without seq behind {}", self.at)),
            // It is known by its data.
            _ => self.number(data).unwrap_or(0),
        };
        let repeats = self.again.take() == Some(seq);
        if seq <= self.at && !repeats {
            return self.wrong(format!("event {seq} came again, or late: {} had come", self.at));
        }
        if seq > self.at + 1 {
            self.wrong(format!("lost without a word: {} to {}", self.at + 1, seq - 1));
        }
        self.at = seq;
        match said(&self.expect.events, seq) {
            None => self.wrong(format!("event {seq} was never sent")),
            Some(said) if said.event != event => {
                self.wrong(format!("event {seq} is called {event:?}, and was sent as {:?}", said.event));
            }
            Some(said) if said.data != data => {
                self.wrong(format!("the data of event {seq} is not what was sent: {}", difference(&said.data, data)));
            }
            Some(_) => {}
        }
        self.taken += 1;
        if let Some(reload) = self.expect.reload.filter(|reload| reload.after == self.taken) {
            if reload.from_start {
                self.at = 0;
            } else {
                self.again = Some(seq);
            }
        }
    }

    /// Which event has this data.
    fn number(&self, data: &str) -> Option<u64> {
        let at = self.expect.events.iter().position(|said| said.data == data)?;
        u64::try_from(at + 1).ok()
    }

    fn gap(&mut self, gap: &Gap) {
        let announced = |exchange: &Exchange| {
            exchange.sent.gaps.iter().any(|sent| {
                (sent.to, &sent.reason) == (gap.to, &gap.reason) && sent.from <= gap.from && gap.from <= gap.to
            })
        };
        if !self.evidence.exchanges.iter().any(announced) {
            self.wrong(format!("a gap {} to {} ({}) was never announced", gap.from, gap.to, gap.reason));
        }
        if gap.from != self.at + 1 {
            self.wrong(format!("a gap from {} where {} had come", gap.from, self.at));
        }
        self.at = self.at.max(gap.to);
        self.gaps.push(gap.reason.clone());
    }

    fn snapshot(&mut self, seq: u64, status: &str, event: &str, data: &str) {
        let announced = (seq, status.to_owned());
        if !self.evidence.exchanges.iter().any(|exchange| exchange.sent.snapshot.as_ref() == Some(&announced)) {
            self.wrong(format!("a snapshot at {seq} ({status}) was never sent"));
        }
        if seq != self.at {
            self.wrong(format!("a snapshot at {seq} where {} had come", self.at));
        }
        self.at = self.at.max(seq);
        match &self.expect.snapshot {
            None => self.wrong("a snapshot where none is due".to_owned()),
            Some((name, _)) if *name != event => self.wrong(format!("the snapshot is called {event:?}, not {name:?}")),
            Some((_, expected)) => {
                let expected = expected(seq);
                if expected != data {
                    self.wrong(format!("the snapshot's data is not what was sent: {}", difference(&expected, data)));
                }
            }
        }
        self.stand = true;
    }

    fn ending(&mut self, report: &Report) {
        let expect = self.expect;
        let last = report.seen.last();
        let ends = |seen: &&Seen| matches!(seen, Seen::End { .. } | Seen::Error { .. });
        let count = report.seen.iter().filter(ends).count();
        if count > usize::from(last.is_some_and(|last| ends(&last))) {
            self.wrong("something came behind the end".to_owned());
        }
        let state = match &expect.ending {
            Ending::End(status) => {
                self.end(status, last);
                "ended"
            }
            Ending::Over => {
                if count > 0 {
                    self.wrong(format!("{last:?}, where iteration should end without a word"));
                }
                "ended"
            }
            Ending::Error(code, status) => {
                let error = Seen::Error { code: (*code).to_owned(), status: *status };
                if last != Some(&error) {
                    self.wrong(format!("expected {error:?} at last, and got {}", brief(last)));
                }
                "failed"
            }
            Ending::Closed => {
                if count > 0 {
                    self.wrong(format!("{last:?} though the client was closed"));
                }
                "closed"
            }
        };
        if report.state != state {
            self.wrong(format!("the state is {:?}, not {state:?}", report.state));
        }
        self.floor();
        self.missed(report);
        if self.restarts != expect.restarts {
            self.wrong(format!("{} restarts were yielded, not {}", self.restarts, expect.restarts));
        }
        for reason in &expect.gaps {
            if !self.gaps.iter().any(|gap| gap == reason) {
                self.wrong(format!("no gap ({reason}) was yielded, and one is due"));
            }
        }
        if expect.snapshot.is_some() && !self.stand {
            self.wrong("no snapshot was yielded, and one is due".to_owned());
        }
    }

    fn end(&mut self, status: &str, last: Option<&Seen>) {
        let Some(Seen::End { status: seen, seq }) = last else {
            return self.wrong(format!("no end: the last thing was {}", brief(last)));
        };
        if seen != status {
            self.wrong(format!("the end is {seen:?}, not {status:?}"));
        }
        let sent = (*seq, seen.clone());
        if !self.evidence.exchanges.iter().any(|exchange| exchange.sent.end.as_ref() == Some(&sent)) {
            self.wrong(format!("the end ({seen}, {seq}) was never sent"));
        }
        if *seq > self.at {
            self.wrong(format!("lost without a word: {} to {seq}, the last ones", self.at + 1));
        }
    }

    /// What the client counts as missed, where it says so, is what the gaps come to.
    fn missed(&mut self, report: &Report) {
        let gap = |seen: &Seen| if let Seen::Gap { from, to, .. } = seen { (to + 1).saturating_sub(*from) } else { 0 };
        let missed: u64 = report.seen.iter().map(gap).sum();
        let counted = report.stats.get("missed").and_then(Value::as_u64);
        if let Some(counted) = counted.filter(|counted| *counted != missed) {
            self.wrong(format!("stats.missed is {counted}, and the gaps come to {missed}"));
        }
    }

    /// What has come for certain has to be seen, whatever came then.
    fn floor(&mut self) {
        if !self.expect.all_that_came || self.restarts > 0 {
            return;
        }
        let certain = |exchange: &&Exchange| match exchange.over {
            Over::Whole => true,
            // A browser discards what it has not given to the page yet.
            Over::BrokenOff => exchange.header("origin").is_none(),
            Over::Reset | Over::Left | Over::Not => false,
        };
        let floor = self.evidence.exchanges.iter().filter(certain).map(|exchange| exchange.sent.seq).max();
        if self.expect.counted && floor.is_some_and(|floor| floor > self.at) {
            self.wrong(format!(
                "{} had come for certain, and {} was the last that was seen",
                floor.unwrap_or(0),
                self.at
            ));
        }
        if !self.expect.counted && self.expect.ending == Ending::Over {
            let all = self.expect.events.len();
            if usize::try_from(self.at).is_ok_and(|at| at < all) {
                self.wrong(format!("{} of {all} events were seen", self.at));
            }
        }
    }
}

fn said(events: &[Said], seq: u64) -> Option<&Said> {
    events.get(usize::try_from(seq.checked_sub(1)?).ok()?)
}

fn brief(seen: Option<&Seen>) -> String {
    match seen {
        None => "nothing".to_owned(),
        Some(Seen::Event { seq, .. }) => format!("event {seq:?}"),
        Some(other) => format!("{other:?}").chars().take(120).collect(),
    }
}

/// Where two texts part.
fn difference(sent: &str, seen: &str) -> String {
    let at = sent.chars().zip(seen.chars()).take_while(|(sent, seen)| sent == seen).count();
    let part = |text: &str| text.chars().skip(at).take(24).collect::<String>();
    format!(
        "from character {at} on {:?} was sent and {:?} seen ({} and {} bytes in all)",
        part(sent),
        part(seen),
        sent.len(),
        seen.len()
    )
}
