//! Other forms of the same: ids, comments, large events, several nodes, no layer.

use super::{PACE, cuts::anywhere, ticks};
use crate::{
    expect::{Ending, From},
    fate::{At, Fate, How, Pass},
    plan::{Plan, Scenario, Servers},
    script::{Said, Script, Step},
};
use std::num::NonZeroUsize;
use tower_resume::{ControlEvents, EventIds};

pub(super) const COMMENTS: Scenario = Scenario {
    name: "comments",
    about: "control events are comments",
    seeds: &[1, 2, 3],
    plan: |rng, seed| {
        Plan::new(ticks(rng))
            .begun_as(seed)
            .layer(|layer| layer.control_events(ControlEvents::Comments))
            .fates(anywhere(rng, 8))
            .expect(|expect| expect.cuts = 3)
    },
};

pub(super) const IDS_OFF: Scenario = Scenario {
    name: "ids_off",
    about: "events carry no ids: the client counts, and says where it is",
    seeds: &[1, 2, 3],
    plan: |rng, seed| {
        Plan::new(ticks(rng))
            .begun_as(seed)
            .layer(|layer| layer.event_ids(EventIds::Off))
            .fates(anywhere(rng, 8))
            .expect(|expect| (expect.cuts, expect.from) = (3, From::Always))
    },
};

pub(super) const CONTROL_NAME: Scenario = Scenario {
    name: "control_name",
    about: "control events have another name, and `resume` is the application's own",
    seeds: &[1],
    plan: |rng, seed| {
        let script = ticks(rng).and(Step::Say(Said::new("resume", r#"{"phase":"end","mine":true}"#)));
        let mut plan = Plan::new(script.and_ticks(rng, 1_000..1_020, PACE)).begun_as(seed);
        plan.control = "x-control";
        plan.layer(|layer| layer.control_name("x-control"))
            .option("control_event", "x-control")
            .fates(anywhere(rng, 6))
            .expect(|expect| expect.cuts = 2)
    },
};

/// A large text with all that confuses parsers.
fn large(rng: &mut fastrand::Rng, number: usize) -> Said {
    let mut data = format!("{number} \u{feff}");
    while data.len() < 200_000 {
        data.push_str(
            ["😀", "é\u{301}", "\n", " : ", "data: ", "\n\n", "id: 1", "\u{feff}", "日本", "x"]
                .get(rng.usize(0..10))
                .copied()
                .unwrap_or_default(),
        );
    }
    data.push_str(&"y".repeat(rng.usize(0..800_000)));
    Said::new("large", &data)
}

const KEPT_OF_ONE: NonZeroUsize = NonZeroUsize::new(4 << 20).unwrap();
const KEPT_BYTES: NonZeroUsize = NonZeroUsize::new(64 << 20).unwrap();

pub(super) const BIG_EVENTS: Scenario = Scenario {
    name: "big_events",
    about: "events of up to 1 MB, of many lines, with every line end, byte order marks and emoji",
    seeds: &[1, 2, 3],
    plan: |rng, seed| {
        let mut script = Script::default();
        for number in 0..6 {
            script = script.and(Step::Say(large(rng, number))).and_ticks(
                rng,
                100 * number as u64 + 1..=100 * number as u64 + 20,
                PACE,
            );
        }
        // A byte order mark at the very beginning belongs to no event.
        let script = script.with_lines(["\r\n", "\r", "\n"].get(rng.usize(0..3)).copied().unwrap_or("\n")).with_mark();
        let mut own = rng.fork();
        Plan::new(script)
            .begun_as(seed)
            .layer(|layer| layer.max_event_bytes(KEPT_OF_ONE).max_bytes(KEPT_BYTES))
            .fates(move |asked| match asked.number {
                1..=4 => Pass::cut(At::Body(own.u64(2_000..900_000)), How::Reset),
                _ => Fate::pass(),
            })
            .expect(|expect| expect.cuts = 2)
    },
};

pub(super) const TWO_NODES: Scenario = Scenario {
    name: "two_nodes",
    about: "two nodes on one Redis: each connection leads to the other one, and is reset",
    seeds: &[1, 2, 3],
    plan: |rng, seed| {
        let mut fates = anywhere(rng, 10);
        let mut plan = Plan::new(ticks(rng)).begun_as(seed);
        plan.servers = Servers::Redis(2);
        plan.fates(move |asked| match fates(asked) {
            Fate::Pass(pass) => Fate::Pass(Pass { to: (asked.number + 1) % 2, ..pass }),
            fate => fate,
        })
        .expect(|expect| (expect.cuts, expect.runs) = (3, Some(1)))
    },
};

fn bare(rng: &mut fastrand::Rng) -> Plan {
    let mut plan = Plan::new(ticks(rng));
    (plan.servers, plan.resume, plan.expect.counted) = (Servers::Bare, None, false);
    plan
}

pub(super) const PLAIN_SERVER: Scenario = Scenario {
    name: "plain_server",
    about: "a server without the layer, that goes on behind a Last-Event-ID",
    seeds: &[1, 2],
    plan: |rng, seed| {
        let at = [rng.u64(20..60), rng.u64(20..60)];
        let mut plan = bare(rng).option("retry_base_ms", 50);
        (plan.method, plan.expect.posts) = ("GET", 0);
        plan.fates(move |asked| match (asked.number, at) {
            (1, [at, _]) => Pass::cut(At::Event(at), if seed == 1 { How::Reset } else { How::Clean }),
            (2, [_, at]) => Pass::cut(At::Event(at), How::Close),
            _ => Fate::pass(),
        })
        .expect(|expect| {
            // Nothing says that the end is the end: the connection's does, by 204.
            expect.ending = Ending::Over;
            expect.cuts = 2;
        })
    },
};

pub(super) const PLAIN_POST: Scenario = Scenario {
    name: "plain_post",
    about: "a server without the layer: a POST that was broken off cannot go on",
    seeds: &[1],
    plan: |rng, _| {
        let at = rng.u64(20..60);
        bare(rng).fates(move |_| Pass::cut(At::Event(at), How::Close)).expect(|expect| {
            expect.ending = Ending::Error("not_resumable", None);
            (expect.cuts, expect.requests) = (1, Some(1));
        })
    },
};
