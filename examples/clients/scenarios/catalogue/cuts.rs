//! Connections that break, in every manner.

use super::ticks;
use crate::{
    fate::{At, Cut, Fate, How, Pass, Spot},
    plan::{Plan, Scenario},
    script::{Script, Step},
};
use fastrand::Rng;
use std::time::Duration;

pub(super) const PLAIN: Scenario = Scenario {
    name: "plain",
    about: "nothing goes wrong",
    seeds: &[1, 2, 3],
    plan: |rng, seed| Plan::new(ticks(rng)).begun_as(seed).expect(|expect| expect.requests = Some(1)),
};

/// Bytes of an answer up to the next reset: many small pieces, some large.
fn piece(rng: &mut Rng) -> u64 {
    if rng.bool() { rng.u64(50..1_500) } else { rng.u64(1_500..9_000) }
}

/// How the first answer is broken. Its head comes through for certain, else there is no stream to come back to.
fn first(rng: &mut Rng) -> Fate {
    let bytes = rng.u64(0..4_000);
    Pass::cut(At::Body(bytes), if bytes < 2_000 { How::Close } else { How::Reset })
}

/// Breaks the first answer and the next ones, up to `most` in all, at random bytes.
pub(super) fn anywhere(rng: &mut Rng, most: usize) -> impl FnMut(&crate::fate::Asked<'_>) -> Fate + Send + 'static {
    let mut rng = rng.fork();
    let mut broken = 0;
    move |asked| {
        broken += 1;
        if broken > most {
            Fate::pass()
        } else if asked.resume == 0 {
            first(&mut rng)
        } else {
            Pass::cut(At::Bytes(piece(&mut rng)), if rng.u8(..) < 200 { How::Reset } else { How::Close })
        }
    }
}

pub(super) const CUT_ANYWHERE: Scenario = Scenario {
    name: "cut_anywhere",
    about: "connections are reset at random bytes, again and again",
    seeds: &[1, 2, 3, 4, 5, 6],
    plan: |rng, seed| Plan::new(ticks(rng)).begun_as(seed).fates(anywhere(rng, 16)).expect(|expect| expect.cuts = 3),
};

pub(super) const CLEAN_EOF: Scenario = Scenario {
    name: "clean_eof",
    about: "answers end as if they were whole, before the end",
    seeds: &[1, 2, 3],
    plan: |rng, seed| {
        let mut own = rng.fork();
        Plan::new(ticks(rng))
            .begun_as(seed)
            .fates(move |asked| match asked.number {
                1 | 3 => Pass::cut(At::Event(own.u64(20..60)), How::Clean),
                2 | 4 => Pass::cut(At::Body(own.u64(700..8_000)), How::Clean),
                _ => Fate::pass(),
            })
            .expect(|expect| expect.cuts = 3)
    },
};

/// The silence after which a client takes a connection for dead, and the layer's comments, which come more often.
const IDLE: u64 = 2_000;
const HEARTBEAT: Duration = Duration::from_millis(100);
/// Longer than a client waits, but comments come meanwhile.
const QUIET: Duration = Duration::from_millis(3_000);

pub(super) const HALF_OPEN: Scenario = Scenario {
    name: "half_open",
    about: "bytes stop and the connection stays; comments alone keep one alive",
    seeds: &[1, 2],
    plan: |rng, seed| {
        let at = rng.u64(4_000..9_000);
        let script = Script::ticks(rng, 120, super::PACE).and(Step::Pause(QUIET));
        Plan::new(script.and_ticks(rng, 121..=220, super::PACE))
            .begun_as(seed)
            .layer(|layer| layer.heartbeat(HEARTBEAT))
            .option("idle_timeout_ms", IDLE)
            // The first connection that gets so far: a client may have left one before, for the reason below.
            .fates(move |asked| match asked.world.facts().cuts {
                0 => Pass::cut(At::Body(at), How::Stall),
                _ => Fate::pass(),
            })
            // Where this machine is so busy that comments do not come in time, the client is right to leave.
            .expect(|expect| (expect.cuts, expect.may_leave_after) = (1, Some(Duration::from_millis(IDLE))))
    },
};

/// A break at this event, after which connections are refused until it is so.
pub(super) fn refused(
    events: u64,
    how: How,
    until: impl Fn(&crate::facts::Facts) -> bool + Send + Sync + 'static,
) -> Fate {
    let cut = Cut { at: At::Event(events), how, shut: Some(Box::new(until)) };
    Fate::Pass(Pass { cut: Some(cut), ..Pass::default() })
}

fn inside(rng: &mut Rng, seed: u64, spot: Spot, script: Script) -> Plan {
    let mut own = rng.fork();
    Plan::new(script)
        .begun_as(seed)
        .fates(move |asked| match asked.number {
            1..=6 => {
                let how = own.choice([How::Reset, How::Close, How::Clean]).unwrap_or(How::Reset);
                Pass::cut(At::Inside(spot, own.u64(1_000..5_000)), how)
            }
            _ => Fate::pass(),
        })
        .expect(|expect| expect.cuts = 3)
}

pub(super) const CUT_IN_UTF8: Scenario = Scenario {
    name: "cut_in_utf8",
    about: "answers are broken off between the bytes of a character",
    seeds: &[1, 2],
    plan: |rng, seed| {
        let script = ticks(rng);
        inside(rng, seed, Spot::Utf8, script)
    },
};

pub(super) const CUT_IN_CRLF: Scenario = Scenario {
    name: "cut_in_crlf",
    about: "answers are broken off between CR and LF",
    seeds: &[1, 2],
    plan: |rng, seed| {
        let script = ticks(rng).with_lines("\r\n");
        inside(rng, seed, Spot::CrLf, script)
    },
};

pub(super) const CUT_IN_ID: Scenario = Scenario {
    name: "cut_in_id",
    about: "answers are broken off within a token",
    seeds: &[1, 2],
    plan: |rng, seed| {
        let script = ticks(rng);
        inside(rng, seed, Spot::Id, script)
    },
};

pub(super) const REFUSED_FOR_A_WHILE: Scenario = Scenario {
    name: "refused_for_a_while",
    about: "nobody listens for a while",
    seeds: &[1, 2],
    plan: |rng, seed| {
        let at = rng.u64(20..60);
        Plan::new(ticks(rng))
            .begun_as(seed)
            .fates(move |asked| match asked.number {
                1 => refused(at, How::Reset, |facts| facts.stopped > 0),
                _ => Fate::pass(),
            })
            .expect(|expect| (expect.cuts, expect.requests) = (1, Some(2)))
    },
};
