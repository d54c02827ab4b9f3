//! Events that are gone, and what stands in for them.

use super::cuts::refused;
use crate::{
    fate::{Fate, How},
    plan::{Plan, Scenario},
    script::{Said, Script, Step},
};
use axum::body::Bytes;
use std::{num::NonZeroUsize, time::Duration};
use tower_resume::{Class, EventView, SnapshotFold};

/// Less than a client misses.
const KEPT: NonZeroUsize = NonZeroUsize::new(64).unwrap();
const PACE: Duration = Duration::from_millis(1);

pub(super) const TRIMMED: Scenario = Scenario {
    name: "trimmed",
    about: "the client was away for more than is kept: a gap with its exact bounds",
    seeds: &[1, 2, 3],
    plan: |rng, seed| {
        let at = rng.u64(10..40);
        // In the second the stream still runs when the client comes back.
        let back = 250;
        let mut script = Script::ticks(rng, back, PACE);
        if seed == 2 {
            script = script.until(|facts| facts.resumed > 0);
        }
        Plan::new(script.and_ticks(rng, back + 1..=back + 50, PACE))
            .begun_as(seed)
            .layer(|layer| layer.max_events(KEPT))
            .fates(move |asked| match asked.number {
                1 if seed == 2 => refused(at, How::Close, move |facts| facts.given >= back),
                1 => refused(at, How::Reset, |facts| facts.stopped > 0),
                _ => Fate::pass(),
            })
            .expect(|expect| {
                expect.gaps = vec!["trimmed"];
                (expect.cuts, expect.requests) = (1, Some(2));
            })
    },
};

/// The data of events up to a seq: what a fold of text comes to.
fn text_up_to(events: &[Said], seq: u64) -> String {
    let count = usize::try_from(seq).unwrap_or(usize::MAX);
    events.iter().take(count).map(|said| &*said.data).collect::<Vec<_>>().join("\n")
}

/// The text so far.
#[derive(Default)]
struct Text(Option<String>);

impl SnapshotFold for Text {
    fn event(&mut self, event: &EventView<'_>) {
        let data = event.data();
        let data = String::from_utf8_lossy(&data);
        match &mut self.0 {
            Some(text) => {
                text.push('\n');
                text.push_str(&data);
            }
            none => *none = Some(data.into_owned()),
        }
    }

    fn snapshot(&self) -> Option<Bytes> {
        self.0.clone().map(Bytes::from)
    }
}

pub(super) const SNAPSHOT: Scenario = Scenario {
    name: "snapshot",
    about: "events are gone, and the stream is over: its result stands in for them",
    seeds: &[1, 2],
    plan: |rng, seed| {
        let at = rng.u64(10..40);
        let result = Said::new("result", "{\n \"answer\": \"forty-two, 😀\"\n}");
        let script = Script::ticks(rng, 200, PACE).and(Step::Say(result.clone()));
        Plan::new(script)
            .begun_as(seed)
            .layer(|layer| {
                layer.max_events(KEPT).classify_with(|event: &EventView<'_>| match event.name() {
                    "result" => Class::new().result(),
                    _ => Class::new(),
                })
            })
            .fates(move |asked| match asked.number {
                1 => refused(at, How::Reset, |facts| facts.stopped > 0),
                _ => Fate::pass(),
            })
            .expect(|expect| {
                expect.gaps = vec!["trimmed"];
                expect.snapshot = Some(("complete", Box::new(move |_| result.data.clone())));
                (expect.cuts, expect.requests) = (1, Some(2));
            })
    },
};

pub(super) const STATE_SNAPSHOT: Scenario = Scenario {
    name: "state_snapshot",
    about: "events are gone, and the stream runs on: a snapshot of the state stands in for them",
    seeds: &[1, 2],
    plan: |rng, seed| {
        let at = rng.u64(10..40);
        let script = Script::ticks(rng, 200, PACE).until(|facts| facts.resumed > 0);
        let script = script.and_ticks(rng, 201..=260, PACE);
        let events = script.events();
        Plan::new(script)
            .begun_as(seed)
            .layer(|layer| layer.max_events(KEPT).snapshot_with(|_| Text::default()))
            .fates(move |asked| match asked.number {
                1 => refused(at, How::Reset, |facts| facts.given >= 200),
                _ => Fate::pass(),
            })
            .expect(|expect| {
                expect.gaps = vec!["trimmed"];
                expect.snapshot = Some(("state", Box::new(move |seq| text_up_to(&events, seq))));
                (expect.cuts, expect.requests) = (1, Some(2));
            })
    },
};

/// Larger than what is kept of one event.
const OVERSIZE: usize = 40_000;
const KEPT_OF_ONE: NonZeroUsize = NonZeroUsize::new(20_000).unwrap();

pub(super) const OVERSIZE_EVENT: Scenario = Scenario {
    name: "oversize",
    about: "an event too large to keep: whole at the live edge, and a gap for who was away",
    seeds: &[1, 2],
    plan: |rng, seed| {
        let large = Said::new("large", &"0123456789".repeat(OVERSIZE / 10));
        let script = Script::ticks(rng, 80, PACE);
        // The second client is there when it comes, and away later.
        let script = if seed == 1 { script.until(|facts| facts.cuts > 0) } else { script };
        let script = script.and(Step::Say(large)).and_ticks(rng, 82..=220, super::PACE);
        let plan = Plan::new(script).begun_as(seed).layer(|layer| layer.max_event_bytes(KEPT_OF_ONE));
        let at = if seed == 1 { 40 } else { 120 };
        plan.fates(move |asked| match asked.number {
            1 => refused(at, How::Close, |facts| facts.given >= 150),
            _ => Fate::pass(),
        })
        .expect(|expect| {
            if seed == 1 {
                expect.gaps = vec!["oversize"];
            }
            (expect.cuts, expect.requests) = (1, Some(2));
        })
    },
};
