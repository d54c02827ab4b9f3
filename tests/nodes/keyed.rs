//! Keys and names over real processes: of all requests with a key, on two nodes, one runs the handler; and no claimant that
//! has died, was stopped, has failed, or whose client has left, is in anybody's way.

use crate::{
    common::{Ended, Reply, Request, until},
    node::{
        Node,
        keyed_routes::{RUNS, WAIT},
    },
    redis_server::RedisServer,
    two_nodes::expect,
};
use std::{
    collections::HashMap,
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, Instant},
};

/// Two nodes, and the runs of their handlers.
struct Pair {
    redis: RedisServer,
    nodes: [Node; 2],
    runs: PathBuf,
}

impl Pair {
    async fn new() -> Option<Self> {
        Self::with(&[]).await
    }

    async fn with(env: &[(&str, &str)]) -> Option<Self> {
        let redis = RedisServer::start().await?;
        let runs = std::env::temp_dir().join(format!("tower-resume-runs-{:016x}", fastrand::u64(..)));
        let env = [&[(RUNS, runs.to_str().unwrap())], env].concat();
        let url = redis.url();
        let (one, other) = tokio::join!(Node::start_with(&url, &env), Node::start_with(&url, &env));
        let pair = Self { redis, nodes: [one, other], runs };
        pair.have_found_redis().await;
        Some(pair)
    }

    /// Nodes that have just started, and those whose Redis is back, may take a while.
    async fn have_found_redis(&self) {
        for node in 0..2 {
            until("the node has found Redis", async || {
                let reply = self.start(node, "n=1").send().await;
                reply.header("x-resume-stream").is_some() && reply.header("x-resume-degraded").is_none()
            })
            .await;
        }
    }

    fn addr(&self, node: usize) -> SocketAddr {
        self.nodes[node].addr
    }

    fn start(&self, node: usize, told: &str) -> Request {
        Request::post(self.addr(node), "/start").header("x-told", told)
    }

    fn ask(&self, node: usize, key: &str, told: &str) -> Request {
        self.start(node, told).header("idempotency-key", key).patience(Duration::from_secs(90))
    }

    /// How often the handler has run for each key.
    fn runs(&self) -> HashMap<String, usize> {
        let mut runs = HashMap::new();
        for key in std::fs::read_to_string(&self.runs).unwrap_or_default().lines() {
            *runs.entry(key.to_owned()).or_default() += 1;
        }
        runs.remove("");
        runs
    }

    fn ran(&self, key: &str) -> usize {
        self.runs().get(key).copied().unwrap_or_default()
    }

    async fn runs_of(&self, key: &str, runs: usize) {
        until("the handler runs", async || self.ran(key) == runs).await;
    }

    /// Asks as a client does that is told to come back; the answer, and how long it took.
    async fn insists(&self, node: usize, key: &str, told: &str) -> (Reply, Duration, usize) {
        let (since, mut tries) = (Instant::now(), 1);
        loop {
            let reply = self.ask(node, key, told).send().await;
            if reply.status != 409 {
                return (reply, since.elapsed(), tries);
            }
            assert_eq!(reply.header("retry-after"), Some("1"));
            assert_eq!(reply.json().await["code"], "in_progress");
            assert!(since.elapsed() < Duration::from_secs(90), "for ever in progress");
            tries += 1;
        }
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.runs);
    }
}

/// The numbers of a whole stream, behind `open` or `replay`, and whether it was joined.
async fn whole(mut reply: Reply, to: u64) -> bool {
    let joined = reply.header("idempotency-replayed").is_some();
    reply.phase(if joined { "replay" } else { "open" }).await;
    expect(&mut reply, 1..=to).await;
    let mut event = reply.event().await;
    if event.phase().as_deref() == Some("live") {
        event = reply.event().await;
    }
    assert_eq!(event.phase().as_deref(), Some("end"));
    assert_eq!((event.json()["status"].as_str(), reply.rest().await), (Some("complete"), (vec![], Ended::Clean)));
    joined
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_requests_at_the_same_instant_on_two_nodes_one_runs_the_handler() {
    let Some(pair) = Pair::new().await else { return };
    let keys = 100;
    let since = Instant::now();
    let asked = (0..keys).flat_map(|key| {
        let pair = &pair;
        [0, 1].map(|node| async move {
            // Half of the handlers think for a while, so that there is something to wait for.
            let told = format!("n=20&pace=2&think={}", key % 2 * 300);
            pair.insists(node, &format!("key-{key}"), &told).await.0
        })
    });
    let (mut joined, mut ran) = (0, 0);
    for reply in futures_util::future::join_all(asked).await {
        assert_eq!(reply.status, 200);
        if whole(reply, 20).await {
            joined += 1;
        } else {
            ran += 1;
        }
    }
    let runs = pair.runs();
    let twice = runs.values().filter(|runs| **runs != 1).count();
    println!(
        "{keys} keys, two requests each at once on two nodes: {} keys ran, {twice} not once, {ran} first and {joined} \
         joined responses, all whole, in {:?}",
        runs.len(),
        since.elapsed()
    );
    assert_eq!((runs.len(), twice, ran, joined), (keys, 0, keys, keys));
}

#[tokio::test]
async fn a_claimant_that_is_killed_before_its_first_byte_is_in_nobodys_way() {
    let Some(mut pair) = Pair::new().await else { return };
    let first = tokio::spawn(pair.ask(0, "k", "think=60000").ask());
    pair.runs_of("k", 1).await;
    pair.nodes[0].kill().await;
    assert!(first.await.unwrap().is_err(), "its connection broke");
    let (reply, took, tries) = pair.insists(1, "k", "n=5").await;
    println!("a killed node's claim was taken over after {took:?}, in {tries} tries");
    assert!(!whole(reply, 5).await, "it ran itself");
    assert!(whole(pair.ask(1, "k", "n=5").send().await, 5).await);
    assert_eq!(pair.ran("k"), 2);
}

#[tokio::test]
async fn a_claimant_that_stands_still_is_taken_for_dead_and_serves_its_own_client_when_it_goes_on() {
    let Some(pair) = Pair::new().await else { return };
    let first = tokio::spawn(pair.ask(0, "k", "think=10000&n=3").send());
    pair.runs_of("k", 1).await;
    pair.nodes[0].pause().await;
    let (mut reply, took, tries) = pair.insists(1, "k", "n=5").await;
    println!("a stopped node's claim was taken over after {took:?}, in {tries} tries");
    pair.nodes[0].go_on().await;
    assert!(!whole(first.await.unwrap(), 3).await, "its own client has its stream");
    // The key is the second one's, also for the node that went on.
    let stream = reply.header("x-resume-stream").unwrap().to_owned();
    for node in [0, 1] {
        let joined = pair.ask(node, "k", "n=5").send().await;
        assert_eq!(joined.header("x-resume-stream"), Some(&*stream), "node {node}");
        assert!(whole(joined, 5).await);
    }
    reply.phase("open").await;
    assert_eq!(pair.ran("k"), 2);
}

#[tokio::test]
async fn a_claimant_that_answers_no_stream_is_in_nobodys_way() {
    let Some(pair) = Pair::new().await else { return };
    for answer in ["json", "fail", "panic"] {
        let told = format!("think=500&answer={answer}");
        let first = tokio::spawn(pair.ask(0, answer, &told).ask());
        pair.runs_of(answer, 1).await;
        let waits = tokio::spawn(pair.ask(1, answer, "n=5").send());
        match (answer, first.await.unwrap()) {
            ("json", Ok(reply)) => assert_eq!(reply.text().await, "\"no stream\""),
            ("fail", Ok(reply)) => assert_eq!(reply.status, 500),
            ("panic", Err(_)) => {}
            (_, odd) => panic!("{answer}: {:?}", odd.map(|reply| reply.status)),
        }
        assert!(!whole(waits.await.unwrap(), 5).await, "{answer}");
        assert!(whole(pair.ask(0, answer, "n=5").send().await, 5).await, "{answer}");
        assert_eq!(pair.ran(answer), 2, "{answer}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_before_the_first_byte_comes_back_to_its_stream_on_either_node() {
    let Some(pair) = Pair::new().await else { return };
    for node in [0, 1] {
        let key = format!("k{node}");
        let told = "think=700&n=20&pace=5";
        let first = tokio::spawn(pair.ask(0, &key, told).ask());
        pair.runs_of(&key, 1).await;
        first.abort();
        assert!(whole(pair.ask(node, &key, told).send().await, 20).await, "it waits, and joins");
        assert!(whole(pair.ask(1 - node, &key, told).send().await, 20).await, "also when it is over");
        assert_eq!(pair.ran(&key), 1);
    }
}

#[tokio::test]
async fn a_claimant_whose_lease_is_lost_says_itself_that_it_lives() {
    let Some(pair) = Pair::with(&[(WAIT, "3000")]).await else { return };
    let first = tokio::spawn(pair.ask(0, "k", "think=12000&n=5").send());
    pair.runs_of("k", 1).await;
    let lose = async {
        loop {
            let leases = pair.redis.cli(&["KEYS", "tower-resume:node:*"]).await;
            for lease in leases.list() {
                pair.redis.cli(&["DEL", lease.text()]).await;
            }
        }
    };
    let waits = async {
        // Longer than an answer about leases is remembered.
        let reply = pair.ask(1, "k", "n=5").send().await;
        assert_eq!((reply.status.as_u16(), reply.header("retry-after")), (409, Some("1")));
        assert_eq!(reply.json().await["code"], "in_progress");
    };
    tokio::select! {
        () = waits => {}
        never = lose => never,
    }
    assert!(!whole(first.await.unwrap(), 5).await);
    assert!(whole(pair.ask(1, "k", "n=5").send().await, 5).await);
    assert_eq!(pair.ran("k"), 1);
}

#[tokio::test]
async fn names_that_redis_has_lost_are_set_again() {
    let Some(pair) = Pair::new().await else { return };
    let mut first = pair.ask(0, "k", "n=2000&pace=200&name=chat").send().await;
    first.phase("open").await;
    expect(&mut first, 1..=5).await;
    let names = async || pair.redis.cli(&["KEYS", "tower-resume:name:*"]).await.list().len();
    until("both are set", async || names().await == 2).await;
    pair.redis.cli(&["FLUSHALL"]).await;
    let since = Instant::now();
    until("both are set again", async || names().await == 2).await;
    println!("the names of a running stream were back {:?} after a flush", since.elapsed());
    // The log is, too, in its own time.
    let mut joined = loop {
        let joined = pair.ask(1, "k", "").send().await;
        if joined.status != 503 {
            break joined;
        }
    };
    assert_eq!(joined.header("x-resume-stream"), first.header("x-resume-stream"));
    joined.phase("replay").await;
    expect(&mut joined, 1..=10).await;
    let attached = Request::get(pair.addr(1), "/attach?name=chat").send().await;
    assert_eq!(attached.header("x-resume-stream"), first.header("x-resume-stream"));
    assert_eq!(pair.ran("k"), 1);
}

#[tokio::test]
async fn with_redis_away_each_node_runs_once_and_what_ran_is_joined_when_it_is_back() {
    let Some(mut pair) = Pair::new().await else { return };
    pair.redis.kill().await;
    let mut first = pair.ask(0, "k", "n=2000&pace=200").send().await;
    assert_eq!(first.header("x-resume-degraded"), Some("store"));
    first.phase("open").await;
    let mut second = pair.ask(0, "k", "n=2000&pace=200").send().await;
    assert_eq!(second.header("idempotency-replayed"), Some("true"));
    second.phase("replay").await;
    expect(&mut second, 1..=5).await;
    assert_eq!(pair.ran("k"), 1);
    assert!(pair.redis.restart().await);
    pair.have_found_redis().await;
    until("the name is there", async || !pair.redis.cli(&["KEYS", "tower-resume:name:*"]).await.list().is_empty())
        .await;
    let mut third = loop {
        let third = pair.ask(1, "k", "n=2000&pace=200").send().await;
        if third.status != 503 {
            break third;
        }
    };
    assert_eq!(third.header("x-resume-stream"), first.header("x-resume-stream"));
    third.phase("replay").await;
    expect(&mut third, 1..=5).await;
    assert_eq!(pair.ran("k"), 1);
}

#[tokio::test]
async fn a_caller_is_attached_on_the_other_node_to_a_stream_that_runs_or_is_over_or_to_none() {
    let Some(mut pair) = Pair::new().await else { return };
    let nothing = async |addr, query: &str| {
        let reply = Request::get(addr, &format!("/attach?{query}")).send().await;
        assert_eq!(reply.status, 204, "{query}");
    };
    nothing(pair.addr(1), "name=chat&finished=true").await;
    let mut first = pair.start(0, "n=100&pace=60&name=chat").send().await;
    first.phase("open").await;
    expect(&mut first, 1..=10).await;
    let mut attached = None;
    until("the other node knows of it", async || {
        let reply = Request::get(pair.addr(1), "/attach?name=chat&from=5").send().await;
        attached = Some(reply);
        attached.as_ref().is_some_and(|reply| reply.status == 200)
    })
    .await;
    let mut attached = attached.unwrap();
    assert_eq!(attached.header("x-resume-stream"), first.header("x-resume-stream"));
    assert_eq!(attached.phase("replay").await["from"], 5);
    expect(&mut attached, 6..=100).await;
    attached.phase("end").await;
    expect(&mut first, 11..=100).await;
    first.phase("end").await;
    // Over, and its node gone.
    until("the end is stored", async || Request::get(pair.addr(1), "/attach?name=chat").send().await.status == 204)
        .await;
    pair.nodes[0].kill().await;
    let mut late = Request::get(pair.addr(1), "/attach?name=chat&finished=true").send().await;
    assert_eq!(late.phase("replay").await["status"], "complete");
    expect(&mut late, 1..=100).await;
    late.phase("end").await;
    nothing(pair.addr(1), "name=chat").await;
}

#[tokio::test]
async fn what_the_store_holds_of_keys_and_names_tells_nothing_of_them() {
    let Some(pair) = Pair::new().await else { return };
    let reply = pair.ask(0, "a-key-of-mine", "n=3&name=a-chat-of-mine").send().await;
    whole(reply, 3).await;
    until("both are set", async || pair.redis.cli(&["KEYS", "tower-resume:name:*"]).await.list().len() == 2).await;
    let dump = pair.redis.dump().await;
    for secret in ["a-key-of-mine", "a-chat-of-mine", "/start"] {
        assert!(!dump.contains(secret), "{secret}");
    }
}
