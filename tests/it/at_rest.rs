//! Encryption at rest, through the whole layer: what Redis is sent and what it holds.

use crate::{
    common::{Ended, Nodes, Reply, Request, Run, keys, until},
    redis_server::RedisServer,
};
use bytes::Bytes;
use std::{num::NonZeroUsize, time::Duration};
use tower_resume::{
    Class, EventView, Keys, ResumeLayer, SnapshotFold,
    store::{RedisConfig, RedisStore},
};

/// In everything that the application says.
const MARK: &str = "MARKOFTHEPAYLOAD";
/// Where only the first client's request says it.
const ASKED: &str = "MARKOFTHEREQUEST";

/// All data so far.
#[derive(Default)]
struct All(String);

impl SnapshotFold for All {
    fn event(&mut self, event: &EventView<'_>) {
        self.0.push_str(&String::from_utf8_lossy(&event.data()));
    }

    fn snapshot(&self) -> Option<Bytes> {
        (!self.0.is_empty()).then(|| self.0.clone().into())
    }
}

async fn node(redis: &RedisServer, set: impl FnOnce(RedisConfig) -> RedisConfig) -> ResumeLayer<RedisStore> {
    // Nothing is lost here, and this machine may be busy.
    let config = RedisConfig::new(&redis.url()).command_timeout(Duration::from_secs(20));
    let store = RedisStore::with_config(set(config)).unwrap();
    assert!(store.ready(Duration::from_secs(60)).await);
    ResumeLayer::new(store, keys())
        .tokens_are_enough()
        .max_events(NonZeroUsize::new(32).unwrap())
        .classify_with(|_: &EventView<'_>| Class::new().step(MARK))
        .snapshot_with(|_| All::default())
}

async fn said(reply: &mut Reply, run: &mut Run, number: u64) {
    let data = format!("{MARK} {number} {MARK} {MARK}");
    run.say(&format!("event: {MARK}\ndata: {data}\n\n")).await;
    loop {
        let event = reply.event().await;
        if event.data == data {
            return;
        }
        assert!(event.phase().is_some(), "{event:?}");
    }
}

/// Runs a stream through two nodes, a follower, trimming, snapshots and its end, and gives back all that Redis was sent
/// and, at two moments, held.
async fn seen_by_redis(set: impl Fn(RedisConfig) -> RedisConfig) -> Option<String> {
    let redis = RedisServer::start().await?;
    let overheard = redis.monitor().await;
    let nodes = Nodes::start([node(&redis, &set).await, node(&redis, &set).await]).await;
    let request = Request::post(nodes.addr(0), "/stream").header("x-request-id", ASKED);
    let mut run = Run::of(&nodes.handler, request).await;
    nodes.knows(1, run.id(0), 0).await;
    let mut follower = nodes.resume(1, run.id(0)).send().await;
    for number in 1..=60 {
        said(&mut follower, &mut run, number).await;
    }
    let pushed = || overheard.text().lines().filter(|line| line.to_lowercase().contains(r#""publish""#)).count();
    until("chunks are pushed", async || pushed() > 8).await;
    let mut seen = redis.dump().await;
    run.end().await;
    until("its end is stored", async || redis.dump().await.contains("complete")).await;
    seen.push_str(&redis.dump().await);
    // Another node has the whole of it: a snapshot in place of what was trimmed, and the diagnostics' id.
    let (events, ended) = nodes.resume(1, run.id(0)).send().await.events().await;
    assert_eq!(ended, Ended::Clean);
    let complete = events.iter().find(|event| event.event == "complete").expect("a snapshot");
    assert_eq!(complete.data.matches(MARK).count(), 180);
    assert_eq!(events.last().unwrap().json()["diagnostics"]["correlation_id"], ASKED);
    seen.push_str(&overheard.text());
    Some(seen)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_byte_of_a_payload_reaches_redis_in_the_clear() {
    let keys = keys();
    // That the marks are looked for where they would be.
    let Some(plain) = seen_by_redis(|config| config).await else { return };
    for (mark, least) in [(MARK, 300), (ASKED, 3)] {
        assert!(plain.matches(mark).count() > least, "{mark}: {}", plain.matches(mark).count());
    }
    for command in ["xadd", "publish", "eval"] {
        let carries = |line: &&str| line.to_lowercase().contains(command) && line.contains(MARK);
        assert!(plain.lines().any(|line| carries(&line)), "in the clear, {command} carries the payload");
    }
    let sealing: [&dyn Fn(RedisConfig) -> RedisConfig; 3] = [
        &|config| config.encrypt(&keys),
        &|config| config.require_encryption(&keys),
        #[cfg(feature = "compression")]
        &|config| config.compress(true).encrypt(&keys),
        #[cfg(not(feature = "compression"))]
        &|config| config.encrypt(&keys),
    ];
    for set in sealing {
        let seen = seen_by_redis(set).await.unwrap();
        assert!(seen.contains(":log") && seen.len() > 10_000, "everything was looked at");
        for part in [MARK, ASKED, &MARK[..6], &ASKED[6..]] {
            assert_eq!(seen.matches(part).count(), 0, "{part} is seen by redis");
        }
    }
}

/// Waits until Redis holds this stream up to this event.
async fn stored(redis: &RedisServer, run: &Run, last: u64) {
    let (log, last) = (format!("tower-resume:{{{}}}:log", run.request_id), format!("{last}-0"));
    until("it is stored", async || {
        let newest = redis.cli(&["XREVRANGE", &log, "+", "-", "COUNT", "1"]).await;
        newest.list().first().is_some_and(|entry| entry.list()[0].text() == last)
    })
    .await;
}

/// A stream that begins on a node of one setting is followed and resumed on a node of the other, if it can be read there.
async fn crosses(redis: &RedisServer, one: ResumeLayer<RedisStore>, other: ResumeLayer<RedisStore>, served: bool) {
    let nodes = Nodes::start([one, other]).await;
    let mut run = nodes.begin().await;
    run.count(3).await;
    stored(redis, &run, 3).await;
    let status = nodes.resume(1, run.id(0)).header("x-resume-mode", "status");
    if !served {
        assert_eq!(status.send().await.status, 503);
        return;
    }
    assert_eq!(status.send().await.json().await["last"], 3);
    let mut reply = nodes.resume(1, run.id(1)).send().await;
    reply.phase("replay").await;
    reply.counts(2..=3).await;
    run.count(2).await;
    run.end().await;
    reply.phase("live").await;
    reply.counts(4..=5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn encryption_is_switched_on_and_off_in_steps_and_a_skipped_one_says_not_now() {
    let Some(redis) = RedisServer::start().await else { return };
    let ring = |secrets: &[&str]| Keys::ring(secrets.iter().map(|secret| secret.repeat(32))).unwrap();
    let (old, new) = (ring(&["a"]), ring(&["b"]));
    let (new_second, new_first) = (ring(&["a", "b"]), ring(&["b", "a"]));
    type Set<'a> = &'a dyn Fn(RedisConfig) -> RedisConfig;
    let plain: Set<'_> = &|config| config;
    let decrypts: Set<'_> = &|config| config.decrypt(&old);
    let encrypts: Set<'_> = &|config| config.encrypt(&old);
    let requires: Set<'_> = &|config| config.require_encryption(&old);
    let with_new: Set<'_> = &|config| config.encrypt(&new_second);
    let by_new: Set<'_> = &|config| config.encrypt(&new_first);
    let new_alone: Set<'_> = &|config| config.encrypt(&new);
    // Two settings that stand side by side in a deploy; whether a stream of the first is served by the second.
    let cases: [(&str, Set<'_>, Set<'_>, bool); 17] = [
        ("on: first step", plain, decrypts, true),
        ("on: first step", decrypts, plain, true),
        ("on: second step", decrypts, encrypts, true),
        ("on: second step", encrypts, decrypts, true),
        ("on: third step", encrypts, requires, true),
        ("on: third step", requires, encrypts, true),
        ("the first step left out", encrypts, plain, false),
        ("the second step left out", decrypts, requires, false),
        ("rotation: first step", encrypts, with_new, true),
        ("rotation: first step", with_new, encrypts, true),
        ("rotation: second step", with_new, by_new, true),
        ("rotation: second step", by_new, with_new, true),
        ("rotation: last step", by_new, new_alone, true),
        ("rotation: last step", new_alone, by_new, true),
        ("the first step left out", by_new, encrypts, false),
        ("the last step too early", encrypts, new_alone, false),
        ("in the clear, as long as it is read", plain, encrypts, true),
    ];
    for (case, one, other, served) in cases {
        println!("{case}");
        crosses(&redis, node(&redis, one).await, node(&redis, other).await, served).await;
        redis.cli(&["FLUSHALL"]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sealed_entries_cannot_be_swapped_between_streams_or_positions() {
    let Some(redis) = RedisServer::start().await else { return };
    let keys = keys();
    let set = |config: RedisConfig| config.require_encryption(&keys);
    let nodes = Nodes::start([node(&redis, set).await, node(&redis, set).await]).await;
    let (mut one, mut other) = (nodes.begin().await, nodes.begin().await);
    for run in [&mut one, &mut other] {
        for _ in 0..2 {
            run.count(1).await;
            stored(&redis, run, run.last()).await;
            nodes.knows(1, run.id(0), run.last()).await;
        }
        run.end().await;
    }
    until("both are over", async || redis.dump().await.matches("complete").count() == 2).await;
    let log = |run: &Run| format!("tower-resume:{{{}}}:log", run.request_id);
    // Bytes go from entry to entry inside of Redis.
    let swap = "local e = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])[1]
                local all = redis.call('XRANGE', KEYS[2], '-', '+')
                redis.call('DEL', KEYS[2])
                for _, entry in ipairs(all) do
                  local c = entry[2][2]
                  if entry[1] == ARGV[2] then c = e[2][2] end
                  redis.call('XADD', KEYS[2], entry[1], 'c', c)
                end";
    for (from, entry) in [(&other, "2-0"), (&one, "1-0")] {
        let fresh = Nodes::start([node(&redis, set).await]).await;
        assert_eq!(fresh.resume(0, one.id(0)).send().await.status, 200, "before");
        let fresh = Nodes::start([node(&redis, set).await]).await;
        let (of, into) = (log(from), log(&one));
        redis.cli(&["EVAL", "redis.call('COPY', KEYS[1], 'kept')", "1", &into]).await;
        redis.cli(&["EVAL", swap, "2", &of, &into, entry, "2-0"]).await;
        assert_eq!(fresh.resume(0, one.id(0)).send().await.status, 503, "{entry} in the place of 2-0");
        redis.cli(&["EVAL", "redis.call('COPY', 'kept', KEYS[1], 'REPLACE')", "1", &into]).await;
    }
}
