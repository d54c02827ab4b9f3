//! When each event of a stream is due: evenly, with a little unevenness, like a model that thinks.

use std::time::Duration;

use crate::draft::Draft;
use crate::output::Diagnostics;
use crate::progress;

/// How long a client looks at nothing before the placeholder is shown.
pub(crate) const PLACEHOLDER_AFTER: Duration = Duration::from_millis(2500);
/// How much earlier or later than evenly an event may come, as a share of the time for one event.
const JITTER: f64 = 0.3;

/// How fast a draft is told, and in how many events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    per_event: Duration,
    at_least: usize,
}

impl Pace {
    /// One event each `per_event`. Zero: as fast as possible, with no placeholder.
    pub(crate) fn every(per_event: Duration) -> Self {
        Self { per_event, at_least: 0 }
    }

    /// The same with another time for one event.
    #[must_use]
    pub(crate) fn with_each(self, per_event: Duration) -> Self {
        Self { per_event, ..self }
    }

    /// Adds steps that bring nothing new until there are at least `steps`. Defaults to none.
    #[must_use]
    pub(crate) fn at_least(mut self, steps: usize) -> Self {
        self.at_least = steps;
        self
    }
}

impl Default for Pace {
    /// 300 ms an event: some ten seconds for a draft.
    fn default() -> Self {
        Self::every(Duration::from_millis(300))
    }
}

/// An event's data and when it is due, counted from the start of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) at: Duration,
    pub(crate) data: String,
}

/// All events of a draft, in order.
pub(crate) fn timeline(draft: &Draft, pace: Pace, diagnostics: Diagnostics) -> Vec<Due> {
    let mut events = vec![Due { at: Duration::ZERO, data: progress::STARTED.to_owned() }];
    let mut due = Duration::ZERO;
    for (i, data) in progress::steps(draft, pace.at_least).into_iter().enumerate() {
        let uneven = 1.0 + JITTER * (2.0 * draft.seed.share(&format!("pace {i}")) - 1.0);
        due += pace.per_event.mul_f64(uneven);
        events.push(Due { at: due, data });
    }
    if !draft.instant {
        due += pace.per_event;
    }
    if due > PLACEHOLDER_AFTER {
        let next = events.partition_point(|event| event.at <= PLACEHOLDER_AFTER);
        let placeholder = Due { at: PLACEHOLDER_AFTER, data: progress::placeholder() };
        events.insert(next, placeholder);
    }
    events.push(Due { at: due, data: progress::complete(draft, diagnostics) });
    events
}

#[cfg(test)]
#[path = "pace_tests.rs"]
mod tests;
