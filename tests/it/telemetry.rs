//! What operators are told, by names and typed fields that are frozen; and what nobody is ever told.

use crate::common::{Logs, Nodes, Request, Run, layer, pass};
use http::Method;
use std::{num::NonZeroUsize, time::Duration};
use tower_resume::{Class, EventView, Step, telemetry::Name};
use tracing::Level;

/// The fields of each event of this name, as `name=value` words.
fn told(logs: &Logs, name: Name) -> Vec<Vec<String>> {
    let event = format!("event={}", name.as_str());
    let words = |line: &String| line.split(' ').skip(1).map(str::to_owned).collect::<Vec<_>>();
    logs.all().iter().map(words).filter(|words| words.contains(&event)).map(|words| words[1..].to_vec()).collect()
}

fn fields<const N: usize>(run: &Run, fields: [&str; N]) -> Vec<String> {
    let id = format!("request_id={}", run.request_id);
    [id].into_iter().chain(fields.map(str::to_owned)).collect()
}

fn classify(event: &EventView<'_>) -> Class {
    match event.name() {
        "result" => Class::new().result(),
        "message" => Class::new(),
        name => Class::new().step(name),
    }
}

#[tokio::test]
async fn a_resume_is_told_from_its_token_to_its_success() {
    let logs = Logs::new();
    let nodes = Nodes::start([layer()]).await;
    let mut run = nodes.counted(3).await;
    let mut reply = nodes.resume(0, run.id(1)).send().await;
    reply.phase("replay").await;
    reply.counts([2, 3]).await;
    reply.phase("live").await;
    run.end().await;
    reply.phase("end").await;
    reply.rest().await;
    assert_eq!(told(&logs, Name::ResumeIssued), [fields(&run, ["seq=0", "step="])]);
    assert_eq!(told(&logs, Name::ResumeAttempt), [fields(&run, ["from_seq=1", "step=", "mode=live"])]);
    assert_eq!(told(&logs, Name::ResumeSuccess), [fields(&run, ["replayed_count=2", "from_seq=1", "to_seq=3"])]);
    assert_eq!(told(&logs, Name::ResumeReplayCount), [fields(&run, ["count=2"])]);
    assert_eq!(told(&logs, Name::ResumeLiveStart), [fields(&run, ["from_seq=3"])]);
    assert_eq!(told(&logs, Name::StreamEnded), [fields(&run, ["status=complete", "events=3"])]);
    for end in told(&logs, Name::ResumeLiveEnd) {
        assert_eq!(end[..3], fields(&run, ["seq=3", "state=ended"]));
        assert!(end[3].strip_prefix("duration_ms=").unwrap().parse::<u64>().is_ok(), "{end:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_resumed_is_told_with_its_reason() {
    let logs = Logs::new();
    let rule = |token: &Step, stream: &Step| token == stream;
    let nodes = Nodes::start([layer().classify_with(classify).step_rule(rule)]).await;
    let mut run = nodes.counted(1).await;
    run.say("event: next\ndata: 2\n\n").await;
    assert_eq!(nodes.resume(0, run.id(1)).send().await.status, 426);
    assert_eq!(told(&logs, Name::ResumeIncompatible), [fields(&run, ["expected_step=", "actual_step=next"])]);
    assert_eq!(told(&logs, Name::ResumeRefused), [["code=step_incompatible"]]);
    run.end().await;
    pass(Duration::from_secs(1000)).await;
    assert_eq!(nodes.resume(0, run.id(1)).send().await.status, 426);
    assert_eq!(told(&logs, Name::ResumeExpired), [fields(&run, ["reason=stream"])]);
    assert_eq!(told(&logs, Name::ResumeSuccess), [[""; 0]; 0]);
}

#[tokio::test]
async fn an_expired_token_is_told_without_its_stream() {
    let logs = Logs::new();
    let now = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(1_800_000_000_000));
    let hand = std::sync::Arc::clone(&now);
    let clock = tower_resume::Clock::new(move || hand.load(std::sync::atomic::Ordering::SeqCst));
    let nodes = Nodes::start([layer().clock(clock)]).await;
    let run = nodes.counted(1).await;
    now.fetch_add(1_000_000, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(nodes.resume(0, run.id(1)).send().await.status, 401);
    assert_eq!(told(&logs, Name::ResumeExpired), [["reason=token"]]);
    assert_eq!(told(&logs, Name::ResumeRefused), [["code=token_expired"]]);
}

#[tokio::test]
async fn trimming_gaps_and_snapshots_are_told() {
    let logs = Logs::new();
    let nodes = Nodes::start([layer().max_events(NonZeroUsize::new(2).unwrap()).classify_with(classify)]).await;
    let mut run = nodes.counted(3).await;
    let mut reply = nodes.resume(0, run.id(0)).header("x-resume-mode", "replay").send().await;
    reply.rest().await;
    assert_eq!(told(&logs, Name::BufferTrimmed), [fields(&run, ["trimmed=1"])]);
    assert_eq!(told(&logs, Name::Gap), [fields(&run, ["from=1", "to=1", "reason=Trimmed"])]);
    assert_eq!(told(&logs, Name::ResumeReplayCount), [fields(&run, ["count=2"])], "a gap brings nothing back");
    run.say("event: result\ndata: all\n\n").await;
    run.end().await;
    assert_eq!(told(&logs, Name::SnapshotCreated), [fields(&run, ["seq=4", "status=complete"])]);
    nodes.resume(0, run.id(0)).send().await.rest().await;
    assert_eq!(told(&logs, Name::PartialRecovery), [fields(&run, ["recovery_type=snapshot"])]);
}

#[tokio::test]
async fn a_cancel_is_told_with_its_result_and_never_by_its_token() {
    let logs = Logs::new();
    let nodes = Nodes::start([layer()]).await;
    let run = nodes.counted(1).await;
    let cancel = |token: &str| Request::new(nodes.addr(0), Method::DELETE, "/resume").header("x-resume-token", token);
    assert_eq!(cancel(run.id(1)).send().await.status, 204);
    assert_eq!(cancel("rubbish").send().await.status, 400);
    assert_eq!(told(&logs, Name::CancelAttempt), [fields(&run, [])]);
    assert_eq!(told(&logs, Name::CancelResult), [fields(&run, ["result=ended"])]);
    assert_eq!(told(&logs, Name::ResumeRefused), [["code=malformed_token"]]);
    assert_eq!(told(&logs, Name::StreamEnded), [fields(&run, ["status=cancelled", "events=1"])]);
    for line in logs.all() {
        assert!(!line.contains(run.id(1)), "{line}");
    }
}

#[tokio::test]
async fn no_line_ever_holds_a_token_a_secret_or_what_was_said() {
    let logs = Logs::new();
    let nodes = Nodes::start([layer().max_events(NonZeroUsize::new(2).unwrap()).classify_with(classify)]).await;
    let mut run = nodes.begin().await;
    for _ in 0..4 {
        run.say("data: a-most-private-thing\n\n").await;
    }
    run.say("event: result\ndata: a-most-private-thing\n\n").await;
    let spoiled = crate::common::Peek::flips(run.id(1)).swap_remove(300);
    let seen = run.end().await;
    for token in [run.id(0), run.id(4), &seen, &spoiled] {
        for request in [nodes.resume(0, token), nodes.reconnect(0, token), nodes.resume(0, "rubbish")] {
            request.header("x-request-id", "mine").send().await.text().await;
        }
    }
    let lines: Vec<_> = logs.all().into_iter().filter(|line| !line.starts_with(Level::TRACE.as_str())).collect();
    assert!(lines.len() > 20, "{lines:?}");
    let ids = run.ids.iter().map(String::as_str);
    for secret in ids.chain([&*seen, &spoiled, "rubbish", "private", "the secret of the tests", "127.0.0.1"]) {
        for line in &lines {
            assert!(!line.contains(secret), "{secret} in {line}");
        }
    }
}
