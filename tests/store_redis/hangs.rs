//! A Redis that takes its time, or hangs.

use super::{PATIENCE, RedisServer, STORED, Writer, cluster, connected, reached, until};
use std::time::{Duration, Instant};
use tokio::time::timeout;
use tower_resume::store::{Chunk, RedisConfig, RedisStore, Store, StoreErrorKind};

/// Longer than a connection is held on to that gives no answer.
const HANGS: Duration = Duration::from_secs(10);

/// With the time-out of commands that is the default.
async fn hurried(server: &RedisServer) -> RedisStore {
    reached(RedisConfig::new(&server.url())).await
}

/// A stream that is begun, over a store that may take Redis for away while this machine is busy.
async fn begun(store: &RedisStore) -> Writer<'_> {
    let mut writer = Writer::new(store);
    until("the stream is begun", async || writer.begin().await.is_ok()).await;
    writer
}

/// What is read of it, once such a store answers.
async fn read(writer: &Writer<'_>) -> Vec<Chunk> {
    let mut page = None;
    until("the store answers", async || {
        page = writer.store.page(writer.id, 0).await.ok();
        page.is_some()
    })
    .await;
    page.flatten().expect("a log").chunks
}

#[tokio::test]
async fn commands_have_the_time_that_they_are_given() {
    let Some(server) = RedisServer::start().await else { return };
    let store = connected(&server).await;
    let mut writer = Writer::begun(&store).await;
    // Longer than a connection that nobody gave more time may be silent.
    server.cli(&["CLIENT", "PAUSE", "4000", "ALL"]).await;
    let id = writer.id;
    let (written, found) = tokio::join!(writer.write(1), store.page(id, 0));
    assert_eq!(written.unwrap(), STORED);
    assert!(found.unwrap().is_some());
    assert_eq!(store.health().borrow().epoch, 0, "over the same connections");
}

#[tokio::test]
async fn a_redis_that_hangs_fails_an_append_and_comes_back() {
    let Some(server) = RedisServer::start().await else { return };
    let store = hurried(&server).await;
    let mut writer = begun(&store).await;
    let mut health = store.health();
    server.pause().await;
    let failed = timeout(PATIENCE, writer.write(1)).await.expect("it fails while redis hangs");
    assert_eq!(failed.unwrap_err().kind(), StoreErrorKind::Unavailable);
    assert!(!health.borrow_and_update().up);
    server.resume().await;
    timeout(PATIENCE, health.wait_for(|health| health.up)).await.expect("up").unwrap();
    // The append may have been made after all; sent again it has no second effect.
    assert_eq!(cluster::write(&mut writer, 1).await, STORED);
    assert_eq!(read(&writer).await, writer.log[1..]);
}

#[tokio::test]
async fn a_connection_that_hangs_for_long_is_made_anew() {
    let Some(server) = RedisServer::start().await else { return };
    let store = hurried(&server).await;
    let mut writer = begun(&store).await;
    let mut health = store.health();
    server.pause().await;
    // Appends go on: by them alone, nobody could tell this from a connection that is just slow.
    let begun = Instant::now();
    while begun.elapsed() < HANGS {
        let failed = timeout(PATIENCE, writer.write(16)).await.expect("it fails while redis hangs");
        assert!(failed.is_err());
        // Their pace.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    server.resume().await;
    timeout(PATIENCE, health.wait_for(|health| health.up)).await.expect("up").unwrap();
    assert!(health.borrow().epoch > 0, "over another connection");
    assert_eq!(cluster::write(&mut writer, 16).await, STORED);
    assert_eq!(read(&writer).await, writer.log[1..]);
}
