//! What a client may be told when it asks.

use super::ticks;
use crate::{
    expect::Ending,
    fate::{Answer, At, Fate, How, Pass, RetryAfter},
    plan::{Plan, Scenario, Servers},
};
use axum::http::StatusCode;
use std::time::Duration;
use tower_resume::store::{AnyStore, MemoryStore};

const SECOND: Duration = Duration::from_secs(1);

fn busy(status: StatusCode, after: RetryAfter) -> Fate {
    Fate::Answer(Answer::new(status).retry_after(after))
}

pub(super) const BUSY: Scenario = Scenario {
    name: "busy",
    about: "503 and 429 with Retry-After, at the start and on the way",
    seeds: &[1, 2, 3],
    plan: |rng, seed| {
        let date = RetryAfter::Date(2 * SECOND);
        Plan::new(ticks(rng))
            .begun_as(seed)
            .fates(move |asked| match asked.number {
                1 => busy(StatusCode::SERVICE_UNAVAILABLE, RetryAfter::Seconds(1)),
                2 => Pass::cut(At::Event(40), How::Reset),
                3 if seed == 1 => busy(StatusCode::TOO_MANY_REQUESTS, date),
                3 => busy(StatusCode::TOO_MANY_REQUESTS, RetryAfter::Seconds(1)),
                _ => Fate::pass(),
            })
            .expect(|expect| {
                (expect.cuts, expect.requests) = (1, Some(4));
                expect.posts *= 2;
                expect.runs = Some(1);
            })
    },
};

/// Past every token's time, and the skew that clocks are allowed.
const LATER: Duration = Duration::from_secs(3600);

/// A stream that is broken once, whose tokens are past their time when the client comes back.
fn expired(rng: &mut fastrand::Rng) -> Plan {
    let at = rng.u64(20..60);
    Plan::new(ticks(rng)).fates(move |asked| {
        if asked.resume == 1 {
            asked.world.advance(LATER);
        }
        if asked.number == 1 { Pass::cut(At::Event(at), How::Close) } else { Fate::pass() }
    })
}

pub(super) const EXPIRED: Scenario = Scenario {
    name: "expired",
    about: "401: the token is past its time",
    seeds: &[1, 2, 3],
    plan: |rng, seed| {
        expired(rng).begun_as(seed).expect(|expect| {
            expect.ending = Ending::Error("unauthorized", Some(401));
            (expect.cuts, expect.requests) = (1, Some(2));
        })
    },
};

pub(super) const EXPIRED_RESTART: Scenario = Scenario {
    name: "expired_restart",
    about: "401, and the client begins anew by itself",
    seeds: &[1, 3],
    plan: |rng, seed| {
        expired(rng).begun_as(seed).option("restart", true).expect(|expect| {
            (expect.restarts, expect.posts, expect.runs) = (1, 2, Some(2));
            (expect.cuts, expect.requests) = (1, Some(3));
        })
    },
};

/// A stream that is broken once, and whose server is another by then, which has never heard of it.
fn gone(rng: &mut fastrand::Rng, seed: u64) -> Plan {
    let at = rng.u64(20..60);
    let mut plan = Plan::new(ticks(rng));
    plan.servers = Servers::Nodes((0..2).map(|_| AnyStore::new(MemoryStore::new())).collect());
    let status = if seed == 2 { StatusCode::GONE } else { StatusCode::UPGRADE_REQUIRED };
    plan.layer(move |layer| layer.gone_status(status)).fates(move |asked| match asked.number {
        1 => Pass::cut(At::Event(at), How::Close),
        _ => Fate::Pass(Pass { to: 1, ..Pass::default() }),
    })
}

pub(super) const GONE: Scenario = Scenario {
    name: "gone",
    about: "426, or 410 where the server is set so: there is no such stream any more",
    seeds: &[1, 2, 3],
    plan: |rng, seed| {
        gone(rng, seed).begun_as(seed).expect(|expect| {
            expect.ending = Ending::Error("gone", Some(if seed == 2 { 410 } else { 426 }));
            (expect.cuts, expect.requests) = (1, Some(2));
        })
    },
};

pub(super) const GONE_RESTART: Scenario = Scenario {
    name: "gone_restart",
    about: "426, and the client begins anew by itself",
    seeds: &[1, 3],
    plan: |rng, seed| {
        gone(rng, seed).begun_as(seed).option("restart", true).expect(|expect| {
            (expect.restarts, expect.posts, expect.runs) = (1, 2, Some(2));
            (expect.cuts, expect.requests) = (1, Some(3));
        })
    },
};

/// The first answer is broken off, then so many times this, and then all is well.
fn meanwhile(plan: Plan, at: u64, times: usize, answer: Answer) -> Plan {
    plan.fates(move |asked| match asked.number {
        1 => Pass::cut(At::Event(at), How::Reset),
        number if number <= 1 + times => Fate::Answer(answer.clone()),
        _ => Fate::pass(),
    })
    .expect(|expect| (expect.cuts, expect.requests) = (1, Some(2 + times)))
}

const BAD_GATEWAY_PAGE: &str = "<html><h1>502 Bad Gateway</h1></html>";

pub(super) const BAD_GATEWAY: Scenario = Scenario {
    name: "bad_gateway",
    about: "a proxy on the way says 502, in HTML, for a while",
    seeds: &[1, 2],
    plan: |rng, seed| {
        let at = rng.u64(20..60);
        let answer = Answer::html(StatusCode::BAD_GATEWAY, BAD_GATEWAY_PAGE);
        meanwhile(Plan::new(ticks(rng)).begun_as(seed), at, 3, answer)
    },
};

const LOGIN_PAGE: &str = "<html><h1>Welcome to our Wi-Fi</h1></html>";

pub(super) const CAPTIVE_PORTAL: Scenario = Scenario {
    name: "captive_portal",
    about: "a page in place of the stream, with status 200, twice",
    seeds: &[1],
    plan: |rng, seed| {
        let at = rng.u64(20..60);
        meanwhile(Plan::new(ticks(rng)).begun_as(seed), at, 2, Answer::html(StatusCode::OK, LOGIN_PAGE))
    },
};

/// One client at a time, and another one is there.
fn crowded(rng: &mut fastrand::Rng, as_browser: bool) -> Plan {
    let at = rng.u64(20..60);
    Plan::new(ticks(rng))
        .layer(|layer| layer.max_stream_readers(1))
        .fates(move |asked| match asked.number {
            1 => Pass::cut(At::Event(at), How::Reset),
            number => Fate::Pass(Pass { as_browser, crowd: number < 4, ..Pass::default() }),
        })
        .expect(|expect| expect.cuts = 1)
}

pub(super) const TOO_MANY_READERS: Scenario = Scenario {
    name: "too_many_readers",
    about: "429 by the layer: there is no room for one more reader, for a while",
    seeds: &[1],
    plan: |rng, seed| crowded(rng, false).begun_as(seed),
};

pub(super) const WAIT: Scenario = Scenario {
    name: "wait",
    about: "the control event `wait`, as the layer answers those who come as browsers do",
    seeds: &[1, 2],
    plan: |rng, seed| crowded(rng, true).begun_as(seed),
};

pub(super) const SEEN_END: Scenario = Scenario {
    name: "seen_end",
    about: "204: there is nothing more",
    seeds: &[1, 2],
    plan: |rng, seed| {
        let at = rng.u64(20..60);
        Plan::new(ticks(rng))
            .begun_as(seed)
            .fates(move |asked| match asked.number {
                1 => Pass::cut(At::Event(at), How::Close),
                _ => Fate::Answer(Answer::new(StatusCode::NO_CONTENT)),
            })
            .expect(|expect| {
                expect.ending = Ending::Over;
                (expect.cuts, expect.requests) = (1, Some(2));
            })
    },
};

pub(super) const NOTHING_THERE: Scenario = Scenario {
    name: "nothing_there",
    about: "204 at the start: iteration ends without an event",
    seeds: &[2],
    plan: |rng, seed| {
        Plan::new(ticks(rng))
            .begun_as(seed)
            .fates(|_| Fate::Answer(Answer::new(StatusCode::NO_CONTENT)))
            .expect(|expect| (expect.ending, expect.requests) = (Ending::Over, Some(1)))
    },
};

pub(super) const NOT_EVENT_STREAM: Scenario = Scenario {
    name: "not_event_stream",
    about: "a page, with status 200, at the start",
    seeds: &[1, 2],
    plan: |rng, seed| {
        Plan::new(ticks(rng)).begun_as(seed).fates(|_| Fate::Answer(Answer::html(StatusCode::OK, LOGIN_PAGE))).expect(
            |expect| {
                (expect.ending, expect.requests) = (Ending::Error("not_event_stream", Some(200)), Some(1));
            },
        )
    },
};

pub(super) const NOT_FOUND: Scenario = Scenario {
    name: "not_found",
    about: "404: the resume URL is wrong",
    seeds: &[1],
    plan: |rng, _| {
        let at = rng.u64(20..60);
        let mut plan = Plan::new(ticks(rng));
        plan.resume = Some("/resmue");
        plan.fates(move |asked| if asked.number == 1 { Pass::cut(At::Event(at), How::Close) } else { Fate::pass() })
            .expect(|expect| {
                expect.ending = Ending::Error("refused", Some(404));
                (expect.cuts, expect.requests) = (1, Some(2));
            })
    },
};

const FORBIDDEN: &str = r#"{"type":"about:blank","title":"Forbidden","status":403,"code":"not_allowed"}"#;

pub(super) const FORBIDDEN_RESUME: Scenario = Scenario {
    name: "forbidden",
    about: "403 with a problem's code",
    seeds: &[1, 2],
    plan: |rng, seed| {
        let at = rng.u64(20..60);
        Plan::new(ticks(rng))
            .begun_as(seed)
            .fates(move |asked| match asked.number {
                1 => Pass::cut(At::Event(at), How::Close),
                _ => Fate::Answer(Answer::problem(StatusCode::FORBIDDEN, FORBIDDEN)),
            })
            .expect(|expect| {
                expect.ending = Ending::Error("refused", Some(403));
                (expect.cuts, expect.requests) = (1, Some(2));
            })
    },
};
