//! The scenarios that all clients go through, with a server that judges.

use super::driver::Run;
use futures_util::{StreamExt as _, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    env,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tokio::time::timeout;
use tower_resume::client::Client;

/// How many go at the same time.
const AT_ONCE: usize = 8;
/// Far beyond what the longest takes.
const LONGEST: Duration = Duration::from_secs(110);

/// The scenarios' server. It ends when its input does: with this process, at the latest.
struct Server {
    child: Child,
    control: String,
}

impl Server {
    fn start() -> Self {
        let path = env::var_os("CLIENT_SCENARIOS").map_or_else(build, PathBuf::from);
        let mut child = Command::new(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let told: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        Self { child, control: told["control"].as_str().unwrap().to_owned() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
    }
}

/// Builds the server beside this test, with the features of this test: what is built already is not built again.
fn build() -> PathBuf {
    let features: Vec<_> = [
        ("client", cfg!(feature = "client")),
        ("compression", cfg!(feature = "compression")),
        ("conformance", cfg!(feature = "conformance")),
        ("encryption", cfg!(feature = "encryption")),
        ("metrics", cfg!(feature = "metrics")),
        ("redis", cfg!(feature = "redis")),
        ("redis-tls", cfg!(feature = "redis-tls")),
    ]
    .into_iter()
    .filter_map(|(name, is_on)| is_on.then_some(name))
    .collect();
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "--quiet", "--example", "client-scenarios", "--no-default-features", "--features"])
        .arg(features.join(","))
        .status();
    assert!(built.is_ok_and(|status| status.success()), "the scenarios' server cannot be built");
    let deps = env::current_exe().unwrap();
    deps.ancestors().nth(2).unwrap().join("examples/client-scenarios")
}

#[derive(Clone, Debug, Deserialize)]
struct Scenario {
    name: String,
    about: String,
    seeds: Vec<u64>,
}

#[derive(Debug, Deserialize)]
struct Verdict {
    passed: bool,
    problems: Vec<String>,
    facts: Facts,
}

#[derive(Debug, Default, Deserialize)]
struct Facts {
    connections: u64,
    cuts: u64,
    requests: u64,
    bytes: u64,
}

/// Talks to the server.
#[derive(Clone)]
struct Control {
    http: reqwest::Client,
    base: String,
}

impl Control {
    async fn get(&self, path: &str) -> Vec<u8> {
        let answer = self.http.get(format!("{}{path}", self.base)).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.bytes().await.unwrap().to_vec()
    }

    async fn post(&self, path: &str, body: &Value) -> Vec<u8> {
        let request = self.http.post(format!("{}{path}", self.base)).header("content-type", "application/json");
        let answer = request.body(body.to_string()).send().await.unwrap();
        let (status, body) = (answer.status(), answer.bytes().await.unwrap().to_vec());
        assert!(status.is_success(), "{path}: {status}: {}", String::from_utf8_lossy(&body));
        body
    }

    /// One run of a scenario, with a client of its own.
    async fn run(&self, scenario: &str, seed: u64) -> Verdict {
        let wanted = json!({ "scenario": scenario, "seed": seed, "client": "rust" });
        let run: Run = serde_json::from_slice(&self.post("/runs", &wanted).await).unwrap();
        let slow = || async {
            self.get(&format!("/runs/{}/slow", run.run)).await;
        };
        let Ok(report) = timeout(LONGEST, run.go(&Client::new(), slow)).await else {
            let so_far = String::from_utf8_lossy(&self.get(&format!("/runs/{}", run.run)).await).into_owned();
            return Verdict { passed: false, problems: vec![format!("it hangs: {so_far}")], facts: Facts::default() };
        };
        let report = serde_json::to_value(&report).unwrap();
        serde_json::from_slice(&self.post(&format!("/runs/{}/report", run.run), &report).await).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_scenario_comes_out_as_it_should() {
    let server = tokio::task::spawn_blocking(Server::start).await.unwrap();
    let control = Control { http: reqwest::Client::new(), base: server.control.clone() };
    let scenarios: Vec<Scenario> = serde_json::from_slice(&control.get("/scenarios").await).unwrap();
    assert!(scenarios.len() >= 30, "{}", scenarios.len());
    // One of them alone: `CLIENT_SCENARIO=cut_anywhere`.
    let only = env::var("CLIENT_SCENARIO").ok();
    let runs: Vec<_> = scenarios
        .iter()
        .filter(|scenario| only.as_ref().is_none_or(|only| *only == scenario.name))
        .flat_map(|scenario| scenario.seeds.iter().map(move |seed| (scenario.clone(), *seed)))
        .collect();
    assert!(!runs.is_empty(), "there is no scenario {only:?}");
    let judged: Vec<_> = stream::iter(runs)
        .map(|(scenario, seed)| {
            let control = control.clone();
            async move {
                // A task of its own: a client can be moved between threads.
                let name = scenario.name.clone();
                let verdict = tokio::spawn(async move { control.run(&name, seed).await }).await;
                (scenario, seed, verdict)
            }
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let (mut failed, mut all) = (Vec::new(), Facts::default());
    let runs = judged.len();
    for (scenario, seed, verdict) in judged {
        let Scenario { name, about, .. } = scenario;
        match verdict {
            Ok(verdict) if verdict.passed => {
                println!("{name} ({seed}): {:?}", verdict.facts);
                all.connections += verdict.facts.connections;
                all.cuts += verdict.facts.cuts;
                all.requests += verdict.facts.requests;
                all.bytes += verdict.facts.bytes;
            }
            Ok(verdict) => failed.push(format!("{name} ({seed}), {about}: {}", verdict.problems.join("; "))),
            Err(panic) => failed.push(format!("{name} ({seed}), {about}: {panic}")),
        }
    }
    println!("{runs} runs of {} scenarios: {all:?}", scenarios.len());
    assert!(failed.is_empty(), "{} of {runs} failed:\n{}", failed.len(), failed.join("\n"));
}
