//! Clients that are made anew and go on with what they have stored.

use super::{PACE, cuts::anywhere};
use crate::{
    expect::{From, Reload},
    fate::Fate,
    plan::{Deed, Plan, Scenario},
    script::Script,
};

fn reloaded(rng: &mut fastrand::Rng, seed: u64, from_start: bool) -> Plan {
    let after = rng.u64(40..120);
    // There is something left to come back for.
    let script = Script::ticks(rng, 150, PACE).until(|facts| facts.requests > 1);
    let plan =
        Plan::new(script.and_ticks(rng, 151..=220, PACE)).begun_as(seed).action(after, Deed::Reload).expect(|expect| {
            expect.reload = Some(Reload { after, from_start });
            expect.may_leave = true;
            expect.runs = Some(1);
        });
    // By the third, connections break besides.
    if seed == 3 { plan.fates(anywhere(rng, 8)) } else { plan.fates(|_| Fate::pass()) }
}

pub(super) const RELOAD: Scenario = Scenario {
    name: "reload",
    about: "the client is made anew with the same storage, and goes on where it was",
    seeds: &[1, 2, 3],
    plan: |rng, seed| reloaded(rng, seed, false),
};

pub(super) const RELOAD_FROM_START: Scenario = Scenario {
    name: "reload_from_start",
    about: "the client is made anew with the same storage, and asks for everything again",
    seeds: &[1, 2, 3],
    plan: |rng, seed| reloaded(rng, seed, true).option("from", "start").expect(|expect| expect.from = From::Start),
};
