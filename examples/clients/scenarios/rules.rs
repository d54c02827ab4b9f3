//! What a client may ask for, and when.

use crate::{
    expect::{Expect, From},
    judge::Evidence,
    wire::{Exchange, Over},
};
use axum::http::{Method, StatusCode};
use std::{collections::HashSet, time::Duration};

/// A header that the caller gave, and that has to go along with every request.
pub(crate) const CALLERS: (&str, &str) = ("x-tenant", "blue");

/// Clocks of clients are not as fine as ours.
const SLACK: Duration = Duration::from_millis(30);

/// More than this is no back-off.
const MAX_REQUESTS: usize = 100;

pub(crate) fn check(expect: &Expect, evidence: &Evidence) -> Vec<String> {
    let mut problems = Vec::new();
    let exchanges = &evidence.exchanges;
    counts(expect, evidence, &mut problems);
    let mut before: Option<&Exchange> = None;
    let (mut streamed, mut posts, mut seen_end) = (false, 0, false);
    for (index, exchange) in exchanges.iter().enumerate() {
        let number = index + 1;
        let mut wrong = |problem: String| problems.push(format!("request {number} ({}): {problem}", exchange.method));
        posts += usize::from(exchange.method == Method::POST);
        if exchange.header(CALLERS.0) != Some(CALLERS.1) {
            wrong(format!("the caller's header {} is not there", CALLERS.0));
        }
        if index == 0 && !exchange.header("accept").is_some_and(|accept| accept.contains("text/event-stream")) {
            wrong("it does not accept text/event-stream".to_owned());
        }
        if let Some(early) =
            before.and_then(|before| before.not_before).and_then(|at| at.checked_duration_since(exchange.at + SLACK))
        {
            wrong(format!("it came {} ms before Retry-After let it", early.as_millis()));
        }
        if seen_end && exchange.method != Method::DELETE {
            wrong("the client had seen the end, or a 204".to_owned());
        }
        let begins = exchange.method == Method::POST && expect.posts > 1 && posts <= expect.posts;
        if exchange.method == Method::DELETE {
            token(exchange, evidence, &mut wrong);
        } else if streamed && !begins {
            resume(expect, exchange, evidence, &mut wrong);
        }
        let ended = exchange.sent.end.is_some();
        let may_leave =
            expect.may_leave || expect.may_leave_after.is_some_and(|silence| exchange.silence + SLACK >= silence);
        if exchange.over == Over::Left && exchange.streamed() && !ended && !may_leave {
            wrong("the client left it while it went on".to_owned());
        }
        streamed |= exchange.streamed();
        seen_end |= exchange.status == Some(StatusCode::NO_CONTENT) && exchange.method != Method::DELETE;
        // One that left may have gone before what was still written to it.
        seen_end |= ended && exchange.over == Over::Whole && expect.reload.is_none() && !may_leave;
        before = Some(exchange);
    }
    from(expect, exchanges, &mut problems);
    key(expect, exchanges, &mut problems);
    problems
}

fn counts(expect: &Expect, evidence: &Evidence, problems: &mut Vec<String>) {
    let exchanges = &evidence.exchanges;
    for (method, expected) in [(Method::POST, expect.posts), (Method::DELETE, expect.deletes)] {
        let count = exchanges.iter().filter(|exchange| exchange.method == method).count();
        if count != expected {
            problems.push(format!("{method} was asked {count} times, not {expected}"));
        }
    }
    let requests = exchanges.len();
    if let Some(expected) = expect.requests.filter(|expected| *expected != requests) {
        problems.push(format!("{requests} requests, not {expected}"));
    }
    if requests > MAX_REQUESTS {
        problems.push(format!("{requests} requests: the client does not back off"));
    }
    let facts = &evidence.facts;
    if facts.cuts < expect.cuts {
        problems.push(format!("the client went through {} of {} breaks", facts.cuts, expect.cuts));
    }
    if let Some(expected) = expect.runs.filter(|expected| *expected != facts.begun) {
        problems.push(format!("the handler ran {} times, not {expected}", facts.begun));
    }
    // What a browser reads ahead is the browser's own affair.
    let in_browser = exchanges.iter().any(|exchange| exchange.header("origin").is_some());
    if let Some(most) = expect.bytes_while_slow.filter(|_| !in_browser) {
        match evidence.bytes_while_slow {
            None => problems.push("the client never said that it was slow".to_owned()),
            Some(bytes) if bytes > most => {
                problems.push(format!("{bytes} bytes were read ahead of a consumer that took nothing, {most} at most"));
            }
            Some(_) => {}
        }
    }
}

/// A token that the client was given.
fn token(exchange: &Exchange, evidence: &Evidence, wrong: &mut impl FnMut(String)) {
    match exchange.header("x-resume-token") {
        None | Some("") => wrong("it brings no X-Resume-Token".to_owned()),
        Some(token) if !evidence.tokens.contains(token) => wrong("its token was never given".to_owned()),
        Some(_) => {}
    }
}

fn resume(expect: &Expect, exchange: &Exchange, evidence: &Evidence, wrong: &mut impl FnMut(String)) {
    if exchange.method != Method::GET {
        wrong("a resume is a GET".to_owned());
    }
    if !exchange.body.is_empty() {
        wrong("a resume has no body".to_owned());
    }
    if expect.counted {
        token(exchange, evidence, wrong);
    } else {
        match exchange.header("last-event-id") {
            Some(id) if evidence.tokens.contains(id) => {}
            // A browser may have discarded all that came.
            None if exchange.header("origin").is_some() => {}
            _ => wrong("it brings no Last-Event-ID that was given".to_owned()),
        }
    }
}

fn from(expect: &Expect, exchanges: &[Exchange], problems: &mut Vec<String>) {
    let resumes = || exchanges.iter().filter(|exchange| exchange.headers.contains_key("x-resume-token"));
    match expect.from {
        From::Any => {}
        From::Always => {
            for resume in resumes().filter(|exchange| exchange.method == Method::GET) {
                if resume.header("x-resume-from").is_none_or(|from| from.parse::<u64>().is_err()) {
                    problems.push("a resume where events have no ids lacks X-Resume-From".to_owned());
                }
            }
        }
        From::Start => {
            if !resumes().any(|resume| resume.header("x-resume-from") == Some("0")) {
                problems.push("no resume asked for everything again, with X-Resume-From: 0".to_owned());
            }
        }
    }
}

fn key(expect: &Expect, exchanges: &[Exchange], problems: &mut Vec<String>) {
    let posts = exchanges.iter().filter(|exchange| exchange.method == Method::POST);
    let keys: HashSet<&str> = posts.map(|post| post.header("idempotency-key").unwrap_or_default()).collect();
    if expect.key && (keys.len() != 1 || keys.contains("")) {
        problems.push(format!("{} different Idempotency-Keys on the POSTs, or none", keys.len()));
    }
}
