//! The Redis store: the suite for all stores, and what is special to Redis.
#![cfg(all(feature = "redis", feature = "conformance"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "test code"
)]

#[cfg(feature = "redis-tls")]
#[path = "redis_server/ca.rs"]
mod ca;
#[path = "store_redis/cluster.rs"]
mod cluster;
#[cfg(feature = "compression")]
#[path = "store_redis/packing.rs"]
mod packing;
#[path = "redis_server/cluster.rs"]
mod redis_cluster;
mod redis_server;
#[path = "store_redis/hangs.rs"]
mod hangs;
#[path = "store_redis/replicas.rs"]
mod replicas;
#[cfg(feature = "encryption")]
#[path = "store_redis/sealing.rs"]
mod sealing;
#[path = "store_redis/sentinel.rs"]
mod sentinel;
#[path = "redis_server/sentinel.rs"]
mod sentinels;
#[cfg(feature = "redis-tls")]
#[path = "store_redis/tls.rs"]
mod tls;
#[path = "store_redis/user.rs"]
mod user;
#[path = "redis_server/writer.rs"]
mod writer;

use redis_server::{RedisServer, Reply};
use std::time::{Duration, Instant};
use tokio::time::timeout;
use tower_resume::{
    NodeId, RequestId,
    store::{Appended, Onto, Pushed, RedisConfig, RedisStore, Store, StoreErrorKind, Touched, Watch, conformance},
};
use writer::{STORED, TTL, Writer};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// The time-out of commands where nothing is lost, and other tests have the processors.
const UNHURRIED: Duration = Duration::from_secs(20);

async fn connected(server: &RedisServer) -> RedisStore {
    reached(RedisConfig::new(&server.url()).command_timeout(UNHURRIED)).await
}

async fn reached(config: RedisConfig) -> RedisStore {
    let store = RedisStore::with_config(config).unwrap();
    assert!(store.ready(PATIENCE).await, "redis is reached");
    store
}

/// Waits until it is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < PATIENCE, "not so within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn it_keeps_every_promise_of_the_contract() {
    let Some(server) = RedisServer::start().await else { return };
    conformance::run(async || connected(&server).await).await;
}

#[tokio::test]
async fn two_nodes_keep_every_promise_of_the_contract() {
    let Some(server) = RedisServer::start().await else { return };
    conformance::run_shared(async || (connected(&server).await, connected(&server).await)).await;
}

#[tokio::test]
async fn an_append_is_one_xadd_and_nothing_else() {
    let Some(server) = RedisServer::start().await else { return };
    let store = connected(&server).await;
    let mut writer = Writer::begun(&store).await;
    // The last of its connections is made by then.
    until("the inbox is subscribed", async || !server.cli(&["PUBSUB", "CHANNELS"]).await.list().is_empty()).await;
    server.reset_calls().await;
    for _ in 0..20 {
        assert_eq!(writer.write(3).await.unwrap(), STORED);
    }
    // Probes of the node's own inbox and its lease go on by the clock, whatever is appended.
    let mut calls = server.calls().await;
    calls.retain(|(name, _)| !matches!(&**name, "publish" | "subscribe" | "set"));
    assert_eq!(calls, [("xadd".to_owned(), 20)]);
}

#[tokio::test]
async fn a_streams_keys_share_a_hash_tag_and_each_has_a_time_to_live() {
    let Some(server) = RedisServer::start().await else { return };
    let store = reached(RedisConfig::new(&server.url()).command_timeout(UNHURRIED).prefix("mine")).await;
    let mut writer = Writer::begun(&store).await;
    assert_eq!(writer.write(1).await.unwrap(), STORED);
    assert_eq!(writer.end().await, STORED);
    let keys = server.cli(&["KEYS", "*"]).await;
    let mut names: Vec<&str> = keys.list().iter().map(Reply::text).filter(|name| !name.contains(":node:")).collect();
    names.sort_unstable();
    let id = writer.id;
    assert_eq!(names, [format!("mine:{{{id}}}:log"), format!("mine:{{{id}}}:meta"), format!("mine:{{{id}}}:snap")]);
    for (name, most) in names.iter().zip([900_000, 900_000, 60_000]) {
        let left = server.cli(&["PTTL", name]).await.int();
        assert!((most - 30_000..=most).contains(&left), "{name} lives for {left} ms");
    }
}

#[tokio::test]
async fn a_store_that_was_made_before_redis_works_once_redis_is_there() {
    let mut server = RedisServer::reserved(&[]).await;
    let config = RedisConfig::new(&server.url()).command_timeout(UNHURRIED);
    let store = RedisStore::with_config(config).unwrap();
    assert!(!store.ready(Duration::ZERO).await);
    // It does not wait for a server that may never come.
    let error = store.tail(RequestId::from_bytes([1; 16])).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    if !server.restart().await {
        return;
    }
    assert!(store.ready(PATIENCE).await);
    let mut writer = Writer::begun(&store).await;
    assert_eq!(writer.write(2).await.unwrap(), STORED);
    assert_eq!(store.health().borrow().epoch, 0, "a first connection is no reconnect");
}

#[tokio::test]
async fn a_log_that_a_restart_has_lost_is_found_missing_and_written_again() {
    let Some(mut server) = RedisServer::start().await else { return };
    let store = connected(&server).await;
    let mut writer = Writer::begun(&store).await;
    assert_eq!(writer.write(2).await.unwrap(), STORED);
    let mut health = store.health();
    server.kill().await;
    timeout(PATIENCE, health.wait_for(|health| !health.up)).await.expect("down").unwrap();
    assert_eq!(writer.write(1).await.unwrap_err().kind(), StoreErrorKind::Unavailable);
    server.restart().await;
    timeout(PATIENCE, health.wait_for(|health| health.up)).await.expect("up").unwrap();
    assert!(health.borrow().epoch > 0, "it says that it was away");
    assert_eq!(writer.write(1).await.unwrap(), Appended::Diverged);
    assert_eq!(writer.rewrite().await.unwrap(), STORED);
    assert_eq!(writer.write(1).await.unwrap(), STORED);
    assert_eq!(writer.read(&store).await, writer.log[1..]);
}

#[tokio::test]
async fn a_log_that_came_back_older_is_found_by_the_next_append() {
    let Some(mut server) = RedisServer::start().await else { return };
    let store = connected(&server).await;
    let mut writer = Writer::begun(&store).await;
    for _ in 0..3 {
        assert_eq!(writer.write(2).await.unwrap(), STORED);
    }
    let mut health = store.health();
    server.restart().await;
    timeout(PATIENCE, health.wait_for(|health| health.up && health.epoch > 0)).await.expect("up").unwrap();
    // What an older dump would hold.
    let other = connected(&server).await;
    let older = writer.append(Onto::Anything(writer.head()), writer.log[..2].to_vec());
    assert_eq!(other.append(older).await.unwrap(), STORED);
    assert_eq!(writer.write(1).await.unwrap(), Appended::Diverged, "no hole");
    assert_eq!(writer.rewrite().await.unwrap(), STORED);
    assert_eq!(writer.read(&other).await, writer.log[1..]);
}

#[tokio::test]
async fn a_log_that_was_flushed_is_diverged() {
    let Some(server) = RedisServer::start().await else { return };
    let store = connected(&server).await;
    let mut writer = Writer::begun(&store).await;
    assert_eq!(writer.write(1).await.unwrap(), STORED);
    server.cli(&["FLUSHALL"]).await;
    assert_eq!(writer.write(1).await.unwrap(), Appended::Diverged);
    assert_eq!(server.cli(&["DBSIZE"]).await.int(), 0, "nothing was written");
    assert_eq!(store.touch(writer.id, TTL).await.unwrap(), Touched::Gone);
}

#[tokio::test]
async fn a_full_redis_refuses_and_is_not_down() {
    let Some(server) = RedisServer::start().await else { return };
    let store = connected(&server).await;
    let mut writer = Writer::begun(&store).await;
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]).await;
    for events in [1, 2] {
        // The second goes by the script, as the first has failed.
        let error = writer.write(events).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Refused, "{error:?}");
    }
    assert!(store.health().borrow().up);
    server.cli(&["CONFIG", "SET", "maxmemory", "0"]).await;
    assert_eq!(writer.write(1).await.unwrap(), STORED);
}

#[tokio::test]
async fn a_password_opens_redis_and_is_never_shown() {
    let Some(server) = RedisServer::start_with(&["--requirepass", "hunter2@#"]).await else { return };
    let url = |password: &str| server.url().replace("://", &format!("://:{password}@"));
    let store = reached(RedisConfig::new(&url("hunter2%40%23")).command_timeout(UNHURRIED)).await;
    Writer::begun(&store).await;
    let refused = RedisStore::connect(&url("hunter3")).unwrap();
    assert!(!refused.ready(Duration::from_millis(300)).await);
    let error = refused.tail(RequestId::from_bytes([1; 16])).await.unwrap_err();
    for shown in [
        format!("{store:?} {refused:?}"),
        format!("{error:?} {error}"),
        format!("{:?}", RedisConfig::new(&url("hunter3"))),
    ] {
        assert!(!shown.contains("hunter") && !shown.contains("127.0.0.1"), "{shown}");
    }
}

#[tokio::test]
async fn a_store_that_is_dropped_leaves_no_connection() {
    let Some(server) = RedisServer::start().await else { return };
    let store = connected(&server).await;
    Writer::begun(&store).await;
    let clients = async || server.cli(&["CLIENT", "LIST"]).await.text().lines().count();
    assert!(clients().await > 1);
    drop(store);
    until("only this test is connected", async || clients().await == 1).await;
}

#[tokio::test]
async fn a_log_is_served_without_its_meta_and_not_when_it_is_not_one() {
    let Some(server) = RedisServer::start().await else { return };
    let store = connected(&server).await;
    let mut writer = Writer::begun(&store).await;
    assert_eq!(writer.write(1).await.unwrap(), STORED);
    let opened = store.open(writer.id, 0).await.unwrap().expect("a log");
    assert_eq!(opened.head, writer.head());
    server.cli(&["DEL", &format!("tower-resume:{{{}}}:meta", writer.id)]).await;
    let opened = store.open(writer.id, 0).await.unwrap().expect("a log");
    assert_eq!((opened.head.node, opened.head.started_at), (store.node(), 1_000), "by its first chunk");
    let log = format!("tower-resume:{{{}}}:log", writer.id);
    server.cli(&["XADD", &log, "9-0", "c", "nonsense"]).await;
    assert_eq!(store.tail(writer.id).await.unwrap_err().kind(), StoreErrorKind::Corrupt);
    assert_eq!(store.page(writer.id, 0).await.unwrap_err().kind(), StoreErrorKind::Corrupt);
    server.cli(&["SET", &log, "a string"]).await;
    assert_eq!(store.tail(writer.id).await.unwrap_err().kind(), StoreErrorKind::Corrupt);
}

/// Writes until the watch brings one of the chunks, and a watched writer is told so.
async fn pushed(writer: &mut Writer<'_>, watch: &mut Watch) {
    let (begun, mut is_pushed, mut is_told) = (Instant::now(), false, false);
    loop {
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: pushed {is_pushed}, told {is_told}");
        is_told |= writer.write(1).await.unwrap() == Appended::Stored { watched: true };
        // Long enough for what was written before the watch was there; then comes the next one.
        while let Ok(Some(news)) = timeout(Duration::from_millis(100), watch.news.recv()).await {
            if let Pushed::Chunk(chunk) = news {
                assert!(writer.log.contains(&chunk), "{chunk:?}");
                is_pushed = true;
            }
            if is_pushed && is_told {
                return;
            }
        }
    }
}

#[tokio::test]
async fn what_is_appended_is_pushed_to_a_node_that_watches() {
    let Some(server) = RedisServer::start().await else { return };
    let (one, other) = (connected(&server).await, connected(&server).await);
    let mut writer = Writer::begun(&one).await;
    let mut watch = other.watch(writer.id, one.node(), 0);
    let mut second = other.watch(writer.id, one.node(), 0);
    pushed(&mut writer, &mut watch).await;
    let chunk = async { while !matches!(second.news.recv().await, Some(Pushed::Chunk(_))) {} };
    timeout(PATIENCE, chunk).await.expect("several watches share the pushes");
    drop((watch, second));
    until("nobody watches any longer", async || writer.write(1).await.unwrap() == STORED).await;
}

#[tokio::test]
async fn a_watch_outlives_the_loss_of_its_connection() {
    let Some(server) = RedisServer::start().await else { return };
    let (one, other) = (connected(&server).await, connected(&server).await);
    let mut writer = Writer::begun(&one).await;
    let mut watch = other.watch(writer.id, one.node(), 0);
    pushed(&mut writer, &mut watch).await;
    let killed = server.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]).await.int();
    assert!(killed >= 1, "somebody was subscribed");
    pushed(&mut writer, &mut watch).await;
}

#[tokio::test]
async fn a_watch_that_was_begun_while_redis_was_away_works_once_it_is_there() {
    let mut server = RedisServer::reserved(&[]).await;
    let [one, other] =
        [(); 2].map(|()| RedisStore::with_config(RedisConfig::new(&server.url()).command_timeout(UNHURRIED)).unwrap());
    let id = RequestId::from_bytes(fastrand::u128(..).to_be_bytes());
    let mut watch = other.watch(id, one.node(), 0);
    drop(other.watch(RequestId::from_bytes([1; 16]), NodeId::random(), 0));
    if !server.restart().await {
        return;
    }
    assert!(one.ready(PATIENCE).await && other.ready(PATIENCE).await);
    let mut writer = Writer { id, ..Writer::begun(&one).await };
    let begin = writer.log.clone();
    let appended = writer.send(Onto::Nothing(writer.head()), begin).await.unwrap();
    assert!(matches!(appended, Appended::Stored { .. }), "{appended:?}");
    let _same = other.watch(id, one.node(), 0);
    pushed(&mut writer, &mut watch).await;
}

#[test]
fn outside_a_runtime_it_says_so() {
    let error = RedisStore::connect("redis://127.0.0.1").unwrap_err();
    assert!(error.to_string().contains("runtime"), "{error}");
}
