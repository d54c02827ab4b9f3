//! The scenarios themselves are tried: a right client passes each, and a wrong one does not.

mod api;
mod client;
mod faults;

use crate::{
    catalogue::SCENARIOS,
    plan::Scenario,
    redis::Redis,
    report::{Report, Verdict},
    run::Run,
};
use client::{Client, Flaw};
use futures_util::{StreamExt as _, stream};
use std::time::Duration;
use tokio::time::timeout;

/// A run that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(150);

/// Runs at a time: with more of them on few cores, silences come where none are meant.
const AT_A_TIME: usize = 16;

async fn tried(scenario: &'static Scenario, seed: u64, flaw: Flaw, redis: &Redis) -> (Verdict, String) {
    let (run, told) = Run::start(scenario, seed, "trial".to_owned(), redis).await.unwrap();
    let report = timeout(PATIENCE, Client::new(told, flaw).run(async || run.slow().await)).await;
    let report = report.unwrap_or_else(|_| panic!("{} {seed}: hangs: {:#}", scenario.name, run.log()));
    let report: Report = serde_json::from_value(report).unwrap();
    (run.judge(&report).await, format!("{:#}", run.log()))
}

fn named(name: &str) -> &'static Scenario {
    SCENARIOS.iter().find(|scenario| scenario.name == name).unwrap_or_else(|| panic!("no scenario {name}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_client_passes_every_scenario() {
    let only = std::env::var("SCENARIO").ok();
    let redis = &Redis::default();
    let has_redis = Redis::can_start().await;
    let mut trials = Vec::new();
    for scenario in SCENARIOS {
        if only.as_ref().is_some_and(|only| only != scenario.name)
            || (!has_redis && scenario.name.starts_with("two_nodes"))
        {
            continue;
        }
        for seed in scenario.seeds {
            trials.push(async move { (scenario.name, *seed, tried(scenario, *seed, Flaw::None, redis).await) });
        }
    }
    let mut failed = Vec::new();
    for (name, seed, (verdict, log)) in stream::iter(trials).buffer_unordered(AT_A_TIME).collect::<Vec<_>>().await {
        if !verdict.passed {
            failed.push(format!("{name} {seed}: {:#?}\n{log}", verdict.problems));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_client_is_caught() {
    let redis = &Redis::default();
    let flaws = [
        (Flaw::NoToken, "cut_anywhere", "it brings no X-Resume-Token"),
        (Flaw::TrustsEof, "clean_eof", "no end"),
        (Flaw::HidesGaps, "trimmed", "lost without a word"),
        (Flaw::Repeats, "cut_anywhere", "came again"),
        (Flaw::Impatient, "busy", "before Retry-After let it"),
        (Flaw::BeginsAnew, "expired", "unauthorized"),
        (Flaw::BeginsAnew, "gone", "gone"),
        (Flaw::WaitsForEver, "half_open", "no end"),
        (Flaw::Forgets, "reload", "came again"),
        (Flaw::Greedy, "slow_consumer", "read ahead of a consumer"),
        (Flaw::HidesGaps, "oversize", "lost without a word"),
        (Flaw::NoToken, "comments", "POST was asked"),
    ];
    let mut trials = Vec::new();
    for (flaw, name, problem) in flaws {
        trials.push(async move { (flaw, name, problem, tried(named(name), 1, flaw, redis).await) });
    }
    for (flaw, name, problem, (verdict, _)) in
        stream::iter(trials).buffer_unordered(AT_A_TIME).collect::<Vec<_>>().await
    {
        let caught = !verdict.passed && verdict.problems.iter().any(|found| found.contains(problem));
        assert!(caught, "{flaw:?} in {name}: {:#?}", verdict.problems);
    }
}
