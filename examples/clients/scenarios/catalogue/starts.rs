//! How streams begin, or do not.

use super::{PACE, ticks};
use crate::{
    expect::Ending,
    fate::{At, Cut, Fate, How, Pass},
    plan::{Deed, Plan, Scenario},
    script::Script,
};
use std::time::Duration;

/// The first answer never comes, though the handler was called.
fn lost(rng: &mut fastrand::Rng) -> Plan {
    Plan::new(ticks(rng)).fates(
        |asked| {
            if asked.number == 1 { Pass::cut(At::Nothing, How::Reset) } else { Fate::pass() }
        },
    )
}

pub(super) const IDEMPOTENT_START: Scenario = Scenario {
    name: "idempotent_start",
    about: "the answer to a POST is lost; with a key it is asked again, and the handler runs once",
    seeds: &[1, 3],
    plan: |rng, seed| {
        lost(rng).begun_as(seed).option("idempotency_key", true).expect(|expect| {
            (expect.posts, expect.runs, expect.key) = (2, Some(1), true);
            (expect.cuts, expect.requests) = (1, Some(2));
        })
    },
};

pub(super) const START_FAILED: Scenario = Scenario {
    name: "start_failed",
    about: "the answer to a POST without a key is lost: it is not asked again",
    seeds: &[1, 3],
    plan: |rng, seed| {
        lost(rng).begun_as(seed).expect(|expect| {
            expect.ending = Ending::Error("start_failed", None);
            (expect.cuts, expect.requests) = (1, Some(1));
        })
    },
};

pub(super) const WRONG_PORT: Scenario = Scenario {
    name: "wrong_port",
    about: "nobody listens: a GET is tried again, as often as the client is told",
    seeds: &[2],
    plan: |rng, seed| {
        let mut plan = Plan::new(ticks(rng)).begun_as(seed).option("max_attempts", 3).option("retry_base_ms", 50);
        plan.nobody = true;
        plan.expect(|expect| (expect.ending, expect.requests) = (Ending::Error("gave_up", None), Some(0)))
    },
};

/// How long tokens hold, for a client that is away for longer.
const SHORT: Duration = Duration::from_millis(1_500);

/// A break once the client has said that it takes nothing for now, after which nobody listens any more.
fn held_then_refused() -> Cut {
    Cut { at: At::When(Box::new(|facts| facts.held > 0)), how: How::Close, shut: Some(Box::new(|_| false)) }
}

pub(super) const EXPIRED_WHILE_AWAY: Scenario = Scenario {
    name: "expired_while_away",
    about: "nobody listens until the token is past its time: the client need not ask any more",
    seeds: &[1, 2],
    plan: |rng, seed| {
        let after = rng.u64(20..60);
        // It goes on until the client has said so, however late that is.
        let script = Script::ticks(rng, 150, PACE).until(|facts| facts.held > 0);
        Plan::new(script.and_ticks(rng, 151..=200, PACE))
            .begun_as(seed)
            .layer(|layer| layer.token_ttl(SHORT))
            // It has taken events, so it knows that time: a browser may discard all that came right before a break.
            .action(after, Deed::Slow)
            .fates(|_| Fate::Pass(Pass { cut: Some(held_then_refused()), ..Pass::default() }))
            .expect(|expect| {
                expect.ending = Ending::Error("unauthorized", None);
                (expect.cuts, expect.requests) = (1, Some(1));
            })
    },
};
