//! When events are due, and where the placeholder comes.

use super::*;
use crate::draft::draft;
use crate::input;
use serde_json::json;

fn drafted(fixtures: bool) -> Draft {
    let body = json!({ "brief": "Should we raise the price from £49 to £59, or keep it?", "fixtures": fixtures });
    draft(&input::parse(body.to_string().as_bytes()).unwrap(), &[])
}

fn run(draft: &Draft, pace: Pace) -> Vec<Due> {
    timeline(draft, pace, Diagnostics::whole("id"))
}

fn placeholders(events: &[Due]) -> Vec<usize> {
    let fixture = |due: &Due| due.data.contains(r#""source":"fixtures""#);
    let found = events.iter().enumerate().filter(|(_, due)| fixture(due));
    found.map(|(at, _)| at).collect()
}

#[test]
fn a_draft_takes_about_ten_seconds_and_shows_the_placeholder_at_two_and_a_half() {
    let events = run(&drafted(false), Pace::default());
    assert_eq!((events[0].at, events[0].data.as_str()), (Duration::ZERO, r#"{"stage":"DRAFTING"}"#));
    assert!(events.windows(2).all(|pair| pair[0].at <= pair[1].at));
    let end = events.last().unwrap();
    assert!((7..=12).contains(&end.at.as_secs()), "{:?}", end.at);
    assert!(end.data.starts_with(r#"{"stage":"COMPLETE""#));
    let placed = placeholders(&events);
    assert_eq!(placed.len(), 1);
    assert_eq!(events[placed[0]].at, PLACEHOLDER_AFTER);
    assert!(events[placed[0]].data.contains(r#""confidence":0.5"#));
    assert!((20..=40).contains(&events.len()));
}

#[test]
fn events_are_uneven_but_the_same_each_time() {
    let events = run(&drafted(false), Pace::default());
    assert_eq!(events, run(&drafted(false), Pace::default()));
    let gaps: std::collections::BTreeSet<Duration> = events.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    assert!(gaps.len() > 10);
    assert!(gaps.iter().all(|gap| *gap <= Duration::from_millis(390)), "{gaps:?}");
}

#[test]
fn with_no_pace_all_is_due_at_once_and_there_is_no_placeholder() {
    let events = run(&drafted(false), Pace::every(Duration::ZERO));
    assert!(events.iter().all(|due| due.at.is_zero()));
    assert!(placeholders(&events).is_empty());
}

#[test]
fn a_draft_that_is_done_in_time_has_no_placeholder() {
    let events = run(&drafted(false), Pace::every(Duration::from_millis(50)));
    assert!(events.last().unwrap().at < PLACEHOLDER_AFTER);
    assert!(placeholders(&events).is_empty());
}

#[test]
fn the_fixture_is_two_events_at_once() {
    let events = run(&drafted(true), Pace::default());
    assert_eq!(events.len(), 2);
    assert!(events.iter().all(|due| due.at.is_zero()));
}

#[test]
fn a_stream_can_be_as_long_as_wanted() {
    let pace = Pace::every(Duration::ZERO).at_least(998);
    assert_eq!(run(&drafted(false), pace).len(), 1000);
}
