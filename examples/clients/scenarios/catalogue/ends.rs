//! How streams end, and how clients leave them.

use super::{PACE, cuts::refused, ticks};
use crate::{
    expect::Ending,
    fate::{Asked, At, Fate, How, Pass},
    plan::{Deed, Plan, Scenario},
    script::{Said, Script, Step},
};
use std::time::Duration;

pub(super) const ENDS_ERROR: Scenario = Scenario {
    name: "ends_error",
    about: "the handler fails: the end says `error`",
    seeds: &[1, 2],
    plan: |rng, seed| {
        let at = rng.u64(20..60);
        Plan::new(ticks(rng).and(Step::Fail))
            .begun_as(seed)
            .fates(move |asked| if asked.number == 1 { Pass::cut(At::Event(at), How::Reset) } else { Fate::pass() })
            .expect(|expect| (expect.ending, expect.cuts) = (Ending::End("error"), 1))
    },
};

/// A stream without clients ends after so long.
const DETACH: Duration = Duration::from_millis(300);

pub(super) const ENDS_INTERRUPTED: Scenario = Scenario {
    name: "ends_interrupted",
    about: "nobody came back for too long: the end says `interrupted`",
    seeds: &[1, 2],
    plan: |rng, seed| {
        let at = rng.u64(20..60);
        let script = Script::ticks(rng, 120, PACE).until(|_| false);
        Plan::new(script.and_ticks(rng, 121..=200, PACE))
            .begun_as(seed)
            .layer(|layer| layer.detach_time(DETACH))
            .fates(move |asked| match asked.number {
                1 => refused(at, How::Reset, |facts| facts.stopped > 0),
                _ => Fate::pass(),
            })
            .expect(|expect| (expect.ending, expect.cuts) = (Ending::End("interrupted"), 1))
    },
};

pub(super) const CANCELLED: Scenario = Scenario {
    name: "cancelled",
    about: "the client cancels: the end says `cancelled`",
    seeds: &[1, 2],
    plan: |rng, seed| {
        let after = rng.u64(40..100);
        Plan::new(Script::ticks(rng, 120, PACE).until(|_| false))
            .begun_as(seed)
            .action(after, Deed::Cancel)
            .expect(|expect| (expect.ending, expect.deletes) = (Ending::End("cancelled"), 1))
    },
};

pub(super) const CLOSED: Scenario = Scenario {
    name: "closed",
    about: "the client leaves; the handler is told nothing",
    seeds: &[1],
    plan: |rng, seed| {
        let after = rng.u64(40..100);
        Plan::new(ticks(rng)).begun_as(seed).action(after, Deed::Close).expect(|expect| {
            (expect.ending, expect.may_leave, expect.all_that_came) = (Ending::Closed, true, false);
            expect.requests = Some(1);
        })
    },
};

pub(super) const DISCONNECT: Scenario = Scenario {
    name: "disconnect",
    about: "the client cuts its own connection, and comes back by itself",
    seeds: &[1, 2],
    plan: |rng, seed| {
        let script = Script::ticks(rng, 60, PACE).until(|facts| facts.requests > 1);
        let script = script.and_ticks(rng, 61..=160, PACE).until(|facts| facts.requests > 2);
        Plan::new(script.and_ticks(rng, 161..=220, PACE))
            .begun_as(seed)
            .action(30, Deed::Disconnect)
            .action(110, Deed::Disconnect)
            .expect(|expect| (expect.may_leave, expect.requests) = (true, Some(3)))
    },
};

/// Each event of these, and how many.
const SLOW_BYTES: usize = 32 * 1024;
const SLOW_EVENTS: u64 = 640;
/// What a client may have read ahead: 256 events, and what fits the sockets' buffers where the kernel does not tell.
const AHEAD: u64 = 256 * (SLOW_BYTES as u64 + 256) + 4 * 1024 * 1024;

pub(super) const SLOW_CONSUMER: Scenario = Scenario {
    name: "slow_consumer",
    about: "the consumer takes nothing for a while: the client stops reading",
    seeds: &[1],
    plan: |rng, seed| {
        let after = rng.u64(5..20);
        let filler = "lorem ipsum ".repeat(SLOW_BYTES / 12);
        let mut script = Script::default();
        for number in 1..=SLOW_EVENTS {
            script = script.and(Step::Say(Said::new("message", &format!("{number} {filler}"))));
        }
        let paced = |_: &Asked<'_>| Fate::Pass(Pass { paced: true, ..Pass::default() });
        Plan::new(script).begun_as(seed).fates(paced).action(after, Deed::Slow).expect(|expect| {
            expect.bytes_while_slow = Some(after * SLOW_BYTES as u64 + AHEAD);
            expect.requests = Some(1);
        })
    },
};

pub(super) const TOO_LARGE: Scenario = Scenario {
    name: "too_large",
    about: "an event larger than the client takes",
    seeds: &[1],
    plan: |rng, seed| {
        let large = Said::new("large", &"x".repeat(300_000));
        let script = Script::ticks(rng, 60, PACE).and(Step::Say(large));
        Plan::new(script.and_ticks(rng, 62..=200, PACE)).begun_as(seed).option("max_event_bytes", 100_000).expect(
            |expect| {
                expect.ending = Ending::Error("too_large", None);
                (expect.may_leave, expect.all_that_came, expect.requests) = (true, false, Some(1));
            },
        )
    },
};

/// Tokens that hold for so long, and how far the clock moves: past every token that was given before.
const SHORT: Duration = Duration::from_secs(1);
const PAST_SKEW: Duration = Duration::from_secs(40);

pub(super) const TOKEN_REFRESH: Scenario = Scenario {
    name: "token_refresh",
    about: "a long silence, after which only a token that came meanwhile is good",
    seeds: &[1, 2],
    plan: |rng, seed| {
        // A few, as a browser may lose those that come right before the break, while it stands still.
        let script = Script::ticks(rng, 100, PACE)
            .until(|facts| facts.tokens > 0)
            .and(Step::Advance(PAST_SKEW))
            .until(|facts| facts.fresh_tokens > 4 && facts.cuts > 0);
        Plan::new(script.and_ticks(rng, 101..=200, PACE))
            .begun_as(seed)
            .layer(|layer| layer.token_ttl(SHORT))
            .fates(|asked| match asked.number {
                1 => Pass::cut(At::When(Box::new(|facts| facts.fresh_tokens > 4)), How::Close),
                _ => Fate::pass(),
            })
            .expect(|expect| (expect.cuts, expect.requests) = (1, Some(2)))
    },
};
