//! What one client has of one stream: every event once and as the handler said it, or within an announced gap.

use crate::{common::SseEvent, node::said};

/// A stretch that a client was told it will never get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    pub from: u64,
    pub to: u64,
    pub reason: String,
}

#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// The last event that it has, or was told it will not get.
    pub last: u64,
    pub lost: u64,
    pub repeated: u64,
    pub gaps: Vec<Gap>,
    /// How the stream ended, and its last event.
    pub end: Option<(String, u64)>,
}

impl Ledger {
    /// Takes one of the handler's events.
    pub fn event(&mut self, event: &SseEvent, pad: usize) {
        let number = event.data.split('\n').next().unwrap_or_default().parse().expect("a number");
        assert_eq!((&*event.event, &*event.data), ("count", &*said(number, pad)), "not what the handler said");
        if number <= self.last {
            self.repeated += 1;
        } else {
            self.lost += number - self.last - 1;
            self.last = number;
        }
    }

    /// Takes a `gap`, which has to begin right behind what the client has.
    pub fn gap(&mut self, gap: &serde_json::Value) {
        let (from, to) = (gap["from"].as_u64().unwrap(), gap["to"].as_u64().unwrap());
        assert_eq!(from, self.last + 1, "a gap begins behind the last event: {gap}");
        assert!(to >= from, "{gap}");
        self.last = to;
        self.gaps.push(Gap { from, to, reason: gap["reason"].as_str().unwrap().to_owned() });
    }

    /// Takes the `end`, behind which nothing is missing.
    pub fn end(&mut self, end: &serde_json::Value) {
        let seq = end["seq"].as_u64().unwrap();
        self.lost += seq.saturating_sub(self.last);
        self.end = Some((end["status"].as_str().unwrap().to_owned(), seq));
    }

    /// The events within gaps.
    pub fn gapped(&self) -> u64 {
        self.gaps.iter().map(|gap| gap.to + 1 - gap.from).sum()
    }
}

mod tests {
    use super::*;

    fn count(number: u64) -> SseEvent {
        SseEvent { event: "count".to_owned(), data: said(number, 3), ..SseEvent::default() }
    }

    #[test]
    fn what_is_missing_or_comes_twice_is_counted() {
        let mut ledger = Ledger::default();
        for number in [1, 2, 2, 5] {
            ledger.event(&count(number), 3);
        }
        ledger.gap(&serde_json::json!({"from": 6, "to": 8, "reason": "lost"}));
        ledger.end(&serde_json::json!({"seq": 10, "status": "complete"}));
        assert_eq!((ledger.repeated, ledger.lost, ledger.gapped()), (1, 4, 3));
        assert_eq!(ledger.end, Some(("complete".to_owned(), 10)));
    }

    #[test]
    #[should_panic(expected = "not what the handler said")]
    fn another_byte_is_noticed() {
        let mut event = count(1);
        event.data.push('x');
        Ledger::default().event(&event, 3);
    }

    #[test]
    #[should_panic(expected = "a gap begins behind the last event")]
    fn a_gap_that_begins_too_early_is_noticed() {
        let mut ledger = Ledger::default();
        ledger.event(&count(1), 3);
        ledger.gap(&serde_json::json!({"from": 1, "to": 2, "reason": "trimmed"}));
    }
}
