//! The judge finds nothing in what is right, and each wrong thing for what it is.

use crate::{
    expect::{Ending, Expect, From, Reload},
    facts::Facts,
    judge::{Evidence, judge},
    report::{Report, Seen},
    script::Said,
    wire::{Exchange, Gap, Over, Sent},
};
use axum::http::{HeaderMap, Method, StatusCode};
use serde_json::json;
use std::time::{Duration, Instant};

const LAST: u64 = 9;

/// A run in which events 4 and 5 were trimmed while the client was away.
struct Case {
    expect: Expect,
    evidence: Evidence,
    report: Report,
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [("x-tenant", "blue"), ("accept", "text/event-stream")].iter().chain(pairs) {
        headers.insert(*name, value.parse().unwrap());
    }
    headers
}

fn streamed(method: Method, pairs: &[(&'static str, &str)], over: Over, sent: Sent) -> Exchange {
    Exchange {
        status: Some(StatusCode::OK),
        is_stream: true,
        over,
        sent,
        ..Exchange::new(method, "/events".to_owned(), headers(pairs), Vec::new())
    }
}

fn event(seq: u64) -> Seen {
    Seen::Event { seq: Some(seq), event: "tick".to_owned(), data: format!("{seq}\nü") }
}

fn gap(from: u64, to: u64, reason: &str) -> Seen {
    Seen::Gap { from, to, reason: reason.to_owned() }
}

fn end(status: &str, seq: u64) -> Seen {
    Seen::End { status: status.to_owned(), seq }
}

fn error(code: &str, status: Option<u16>) -> Seen {
    Seen::Error { code: code.to_owned(), status }
}

fn right() -> Case {
    let events = (1..=LAST).map(|seq| Said::new("tick", &format!("{seq}\nü"))).collect();
    let trimmed = Gap { from: 4, to: 5, reason: "trimmed".to_owned() };
    let first = Sent { seq: 3, events: 3, ..Sent::default() };
    let second =
        Sent { seq: LAST, events: 4, gaps: vec![trimmed], end: Some((LAST, "complete".to_owned())), ..Sent::default() };
    let exchanges = vec![
        streamed(Method::POST, &[], Over::Reset, first),
        streamed(Method::GET, &[("x-resume-token", "t3")], Over::Whole, second),
    ];
    let seen =
        (1..=3).map(event).chain([gap(4, 5, "trimmed")]).chain((6..=LAST).map(event)).chain([end("complete", LAST)]);
    Case {
        expect: Expect { cuts: 1, gaps: vec!["trimmed"], ..Expect::whole(events) },
        evidence: Evidence {
            exchanges,
            tokens: ["t3".to_owned(), "t9".to_owned()].into(),
            facts: Facts { cuts: 1, begun: 1, ..Facts::default() },
            bytes_while_slow: None,
        },
        report: Report { seen: seen.collect(), state: "ended".to_owned(), stats: json!({"missed": 2}) },
    }
}

/// The same, ended by an error behind the gap.
fn failing() -> Case {
    let mut case = right();
    case.expect.ending = Ending::Error("gone", Some(426));
    case.evidence.exchanges[1].sent = Sent { seq: 0, ..Sent::default() };
    case.evidence.exchanges[1].is_stream = false;
    case.evidence.exchanges[1].status = Some(StatusCode::UPGRADE_REQUIRED);
    case.expect.gaps.clear();
    case.report = Report {
        seen: (1..=3).map(event).chain([error("gone", Some(426))]).collect(),
        state: "failed".to_owned(),
        stats: json!({}),
    };
    case
}

/// What the judge says of a case that was changed in this way.
fn problems(mut case: Case, change: impl FnOnce(&mut Case)) -> Vec<String> {
    change(&mut case);
    judge(&case.expect, &case.evidence, &case.report)
}

#[track_caller]
fn finds(case: Case, problem: &str, change: impl FnOnce(&mut Case)) {
    let problems = problems(case, change);
    assert!(problems.iter().any(|found| found.contains(problem)), "{problem:?} is not in {problems:#?}");
}

#[test]
fn what_is_right_passes() {
    assert_eq!(problems(right(), |_| ()), [""; 0]);
    assert_eq!(problems(failing(), |_| ()), [""; 0]);
}

#[test]
fn events_that_are_lost_repeated_swapped_or_changed() {
    let finds = |problem, change: fn(&mut Vec<Seen>)| finds(right(), problem, |case| change(&mut case.report.seen));
    finds("lost without a word: 2 to 2", |seen| drop(seen.remove(1)));
    finds("lost without a word: 9 to 9, the last ones", |seen| drop(seen.remove(7)));
    finds("event 2 came again, or late", |seen| seen.insert(2, event(2)));
    finds("event 7 came again, or late", |seen| seen.swap(5, 6));
    finds("event 10 was never sent", |seen| seen.insert(8, event(10)));
    finds("without seq", |seen| {
        seen[0] = Seen::Event { seq: None, event: "tick".into(), data: "1\nü".into() };
    });
    finds("is called \"tock\"", |seen| {
        seen[0] = Seen::Event { seq: Some(1), event: "tock".into(), data: "1\nü".into() };
    });
    finds("from character 2 on \"ü\" was sent and \"u\" seen", |seen| {
        seen[0] = Seen::Event { seq: Some(1), event: "tick".into(), data: "1\nu".into() };
    });
    // Whole numbering is off by one, so that every event is another one.
    finds("the data of event 1 is not what was sent", |seen| {
        for (index, seen) in seen.iter_mut().take(3).enumerate() {
            *seen =
                Seen::Event { seq: Some(index as u64 + 1), event: "tick".into(), data: format!("{}\nü", index + 2) };
        }
    });
}

#[test]
fn gaps_that_are_hidden_made_up_or_wrong() {
    let finds = |problem, change: fn(&mut Vec<Seen>)| finds(right(), problem, |case| change(&mut case.report.seen));
    finds("lost without a word: 4 to 5", |seen| drop(seen.remove(3)));
    finds("no gap (trimmed) was yielded", |seen| drop(seen.remove(3)));
    finds("a gap 4 to 6 (trimmed) was never announced", |seen| seen[3] = gap(4, 6, "trimmed"));
    finds("a gap 4 to 5 (lost) was never announced", |seen| seen[3] = gap(4, 5, "lost"));
    finds("a gap 3 to 5 (trimmed) was never announced", |seen| seen[3] = gap(3, 5, "trimmed"));
    finds("a gap 5 to 4 (trimmed) was never announced", |seen| seen[3] = gap(5, 4, "trimmed"));
    finds("a gap from 4 where 2 had come", |seen| seen.swap(2, 3));
    finds("a gap from 4 where 5 had come", |seen| seen.insert(4, gap(4, 5, "trimmed")));
}

#[test]
fn a_count_of_missed_events_that_is_not_what_the_gaps_come_to() {
    finds(right(), "stats.missed is 1, and the gaps come to 2", |case| case.report.stats = json!({"missed": 1}));
}

#[test]
fn snapshots_that_are_missing_not_due_or_wrong() {
    let stand = |event: &str, data: &str, seq| Seen::Snapshot {
        seq,
        status: "complete".to_owned(),
        event: event.to_owned(),
        data: data.to_owned(),
    };
    let snapshot = || {
        let mut case = right();
        case.expect.snapshot = Some(("complete", Box::new(|seq| format!("all {seq}"))));
        let sent = &mut case.evidence.exchanges[1].sent;
        sent.gaps[0].to = LAST;
        sent.snapshot = Some((LAST, "complete".to_owned()));
        case.report.stats = json!({});
        let seen = (1..=3).map(event).chain([gap(4, LAST, "trimmed"), stand("complete", "all 9", LAST)]);
        case.report.seen = seen.chain([end("complete", LAST)]).collect();
        case
    };
    assert_eq!(problems(snapshot(), |_| ()), [""; 0]);
    finds(snapshot(), "no snapshot was yielded", |case| drop(case.report.seen.remove(4)));
    finds(snapshot(), "is called \"state\"", |case| case.report.seen[4] = stand("state", "all 9", LAST));
    finds(snapshot(), "the snapshot's data is not", |case| case.report.seen[4] = stand("complete", "all", LAST));
    finds(snapshot(), "a snapshot at 8 (complete) was never sent", |case| {
        case.report.seen[4] = stand("complete", "all 8", 8);
    });
    finds(snapshot(), "a snapshot at 9 where 3 had come", |case| drop(case.report.seen.remove(3)));
    finds(snapshot(), "a snapshot where none is due", |case| case.expect.snapshot = None);
}

#[test]
fn ends_that_are_missing_or_wrong() {
    finds(right(), "no end", |case| drop(case.report.seen.pop()));
    finds(right(), "the end is \"error\", not \"complete\"", |case| case.report.seen[8] = end("error", LAST));
    finds(right(), "the end (complete, 8) was never sent", |case| case.report.seen[8] = end("complete", 8));
    finds(right(), "something came behind the end", |case| case.report.seen.push(event(10)));
    finds(right(), "something came behind the end", |case| case.report.seen.push(end("complete", LAST)));
    finds(right(), "the state is \"open\"", |case| case.report.state = "open".to_owned());
    finds(right(), "iteration should end without a word", |case| case.expect.ending = Ending::Over);
    finds(right(), "though the client was closed", |case| case.expect.ending = Ending::Closed);
    finds(right(), "1 restarts were yielded, not 0", |case| case.report.seen.insert(0, Seen::Restart));
    finds(right(), "0 restarts were yielded, not 1", |case| case.expect.restarts = 1);
}

#[test]
fn errors_that_are_missing_or_wrong() {
    let wrong = "expected Error";
    finds(failing(), wrong, |case| drop(case.report.seen.pop()));
    finds(failing(), wrong, |case| case.report.seen[3] = error("refused", Some(426)));
    finds(failing(), wrong, |case| case.report.seen[3] = error("gone", None));
    finds(failing(), "the state is \"ended\"", |case| case.report.state = "ended".to_owned());
    finds(failing(), "3 had come for certain, and 2 was the last", |case| {
        case.evidence.exchanges[0].over = Over::BrokenOff;
        case.report.seen.remove(2);
    });
}

#[test]
fn a_client_that_is_made_anew_may_be_given_one_event_again_and_no_more() {
    let reloaded = |from_start, seen: &[u64]| {
        let mut case = right();
        case.expect.gaps.clear();
        case.expect.reload = Some(Reload { after: 3, from_start });
        case.report.stats = json!({});
        case.report.seen = seen.iter().copied().map(event).chain([end("complete", LAST)]).collect();
        problems(case, |_| ())
    };
    assert_eq!(reloaded(false, &[1, 2, 3, 4, 5, 6, 7, 8, 9]), [""; 0]);
    assert_eq!(reloaded(false, &[1, 2, 3, 3, 4, 5, 6, 7, 8, 9]), [""; 0]);
    assert_eq!(reloaded(true, &[1, 2, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9]), [""; 0]);
    assert!(!reloaded(false, &[1, 2, 3, 2, 3, 4, 5, 6, 7, 8, 9]).is_empty());
    assert!(!reloaded(false, &[1, 2, 3, 3, 3, 4, 5, 6, 7, 8, 9]).is_empty());
    assert!(!reloaded(false, &[1, 2, 3, 4, 4, 5, 6, 7, 8, 9]).is_empty());
    assert!(!reloaded(false, &[1, 2, 3, 5, 6, 7, 8, 9]).is_empty());
    assert!(!reloaded(true, &[1, 2, 3, 4, 5, 6, 7, 8, 9]).is_empty());
}

#[test]
fn requests_that_a_client_may_not_make() {
    let request = |pairs: &[(&'static str, &str)], method| streamed(method, pairs, Over::Reset, Sent::default());
    let finds = |problem, change: &dyn Fn(&mut Case)| finds(right(), problem, change);
    let headers_of = |case: &mut Case, change: &dyn Fn(&mut HeaderMap)| change(&mut case.evidence.exchanges[1].headers);
    finds("POST was asked 2 times, not 1", &|case| {
        case.evidence.exchanges.insert(1, request(&[], Method::POST));
    });
    finds("DELETE was asked 1 times, not 0", &|case| {
        case.evidence.exchanges.insert(1, request(&[("x-resume-token", "t3")], Method::DELETE));
    });
    finds("a resume is a GET", &|case| case.evidence.exchanges[1].method = Method::PUT);
    finds("a resume has no body", &|case| case.evidence.exchanges[1].body = b"{}".to_vec());
    finds("it brings no X-Resume-Token", &|case| headers_of(case, &|headers| drop(headers.remove("x-resume-token"))));
    finds("its token was never given", &|case| {
        headers_of(case, &|headers| drop(headers.insert("x-resume-token", "t4".parse().unwrap())));
    });
    finds("header x-tenant is not there", &|case| headers_of(case, &|headers| drop(headers.remove("x-tenant"))));
    finds("does not accept text/event-stream", &|case| {
        case.evidence.exchanges[0].headers.remove("accept");
    });
    finds("the client had seen the end, or a 204", &|case| {
        case.evidence.exchanges.push(request(&[("x-resume-token", "t9")], Method::GET));
    });
    finds("the client had seen the end, or a 204", &|case| {
        case.evidence.exchanges[0].status = Some(StatusCode::NO_CONTENT);
    });
    finds("ms before Retry-After let it", &|case| {
        let exchange = &mut case.evidence.exchanges;
        exchange[0].not_before = Some(exchange[1].at + Duration::from_secs(1));
    });
    finds("the client left it while it went on", &|case| case.evidence.exchanges[0].over = Over::Left);
    finds("1 requests, not 2", &|case| {
        case.expect.requests = Some(2);
        case.evidence.exchanges.remove(0);
    });
    finds("the client does not back off", &|case| {
        for _ in 0..100 {
            case.evidence.exchanges.insert(1, request(&[("x-resume-token", "t3")], Method::GET));
        }
    });
    finds("went through 0 of 1 breaks", &|case| case.evidence.facts.cuts = 0);
    finds("the handler ran 2 times, not 1", &|case| {
        (case.expect.runs, case.evidence.facts.begun) = (Some(1), 2);
    });
}

#[test]
fn a_client_may_leave_a_silence_that_was_long_enough() {
    let left = |silence| {
        problems(right(), |case| {
            case.expect.may_leave_after = Some(Duration::from_millis(1_000));
            (case.evidence.exchanges[0].over, case.evidence.exchanges[0].silence) = (Over::Left, silence);
        })
    };
    assert_eq!(left(Duration::from_millis(1_000)), [""; 0]);
    assert!(!left(Duration::from_millis(300)).is_empty());
}

#[test]
fn a_client_that_left_has_not_seen_the_end_that_was_still_written_to_it() {
    let came_back = |may_leave| {
        problems(right(), |case| {
            case.expect.may_leave = may_leave;
            let back = streamed(Method::GET, &[("x-resume-token", "t9")], Over::Reset, Sent::default());
            case.evidence.exchanges.push(back);
        })
    };
    assert!(!came_back(true).iter().any(|problem| problem.contains("had seen the end")));
    assert!(came_back(false).iter().any(|problem| problem.contains("had seen the end")));
}

#[test]
fn retry_after_is_obeyed_where_the_time_has_come() {
    let came = |after: Duration| {
        problems(right(), |case| {
            let now = Instant::now();
            case.evidence.exchanges[0].not_before = Some(now + Duration::from_secs(1));
            case.evidence.exchanges[1].at = now + after;
        })
    };
    assert_eq!(came(Duration::from_millis(1_000)), [""; 0]);
    assert!(!came(Duration::from_millis(900)).is_empty());
}

#[test]
fn what_a_scenario_asks_for_besides() {
    finds(right(), "lacks X-Resume-From", |case| case.expect.from = From::Always);
    finds(right(), "X-Resume-From: 0", |case| case.expect.from = From::Start);
    finds(right(), "0 different Idempotency-Keys", |case| {
        case.expect.key = true;
        case.evidence.exchanges.remove(0);
    });
    finds(right(), "1 different Idempotency-Keys on the POSTs, or none", |case| case.expect.key = true);
    finds(right(), "2 different Idempotency-Keys", |case| {
        (case.expect.key, case.expect.posts) = (true, 2);
        for (index, key) in ["a", "b"].into_iter().enumerate() {
            let lost = streamed(Method::POST, &[("idempotency-key", key)], Over::Reset, Sent::default());
            case.evidence.exchanges.insert(index, lost);
        }
        case.evidence.exchanges.remove(2);
    });
    finds(right(), "never said that it was slow", |case| case.expect.bytes_while_slow = Some(10));
    finds(right(), "11 bytes were read ahead", |case| {
        (case.expect.bytes_while_slow, case.evidence.bytes_while_slow) = (Some(10), Some(11));
    });
}

#[test]
fn without_the_layer_events_are_known_by_their_data_and_clients_by_their_last_event_id() {
    let bare = || {
        let mut case = right();
        (case.expect.counted, case.expect.ending) = (false, Ending::Over);
        case.expect.gaps.clear();
        let seen = |seq| Seen::Event { seq: None, event: "tick".to_owned(), data: format!("{seq}\nü") };
        case.report = Report { seen: (1..=LAST).map(seen).collect(), state: "ended".to_owned(), stats: json!({}) };
        let second = &mut case.evidence.exchanges[1];
        (second.headers, second.sent) = (headers(&[("last-event-id", "3")]), Sent::default());
        case.evidence.tokens.insert("3".to_owned());
        case
    };
    assert_eq!(problems(bare(), |_| ()), [""; 0]);
    finds(bare(), "lost without a word: 2 to 2", |case| drop(case.report.seen.remove(1)));
    finds(bare(), "event 2 came again", |case| {
        let again = case.report.seen[1].clone();
        case.report.seen.insert(2, again);
    });
    finds(bare(), "8 of 9 events were seen", |case| drop(case.report.seen.pop()));
    finds(bare(), "no Last-Event-ID that was given", |case| {
        case.evidence.exchanges[1].headers = headers(&[]);
    });
}
