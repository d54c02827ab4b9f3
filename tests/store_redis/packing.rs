//! What the store makes of chunks before Redis sees them.

use super::{RedisServer, STORED, UNHURRIED, Writer, reached};
use tower_resume::store::{RedisConfig, RedisStore, Store, StoreErrorKind, conformance};

async fn compressing(server: &RedisServer, compress: bool) -> RedisStore {
    reached(RedisConfig::new(&server.url()).command_timeout(UNHURRIED).compress(compress)).await
}

fn log_of(writer: &Writer<'_>) -> String {
    format!("tower-resume:{{{}}}:log", writer.id)
}

#[tokio::test]
async fn it_keeps_every_promise_of_the_contract_compressed() {
    let Some(server) = RedisServer::start().await else { return };
    conformance::run(async || compressing(&server, true).await).await;
}

#[tokio::test]
async fn nodes_that_differ_in_compression_keep_every_promise_of_the_contract() {
    let Some(server) = RedisServer::start().await else { return };
    conformance::run_shared(async || (compressing(&server, true).await, compressing(&server, false).await)).await;
    conformance::run_shared(async || (compressing(&server, false).await, compressing(&server, true).await)).await;
}

/// What Redis holds of a stream of 200 events that are as alike as those of a service are.
async fn stored_bytes(server: &RedisServer, compress: bool) -> usize {
    let store = compressing(server, compress).await;
    let mut writer = Writer::begun(&store).await;
    for round in 0..20 {
        let node = format!(r#"{{"kind":"node","id":"n{round}","label":"Option {round}","confidence":0.{round}}}"#);
        writer.lines = format!("event: stage\ndata: {node}\n").into();
        assert_eq!(writer.write(10).await.unwrap(), STORED);
    }
    let reader = compressing(server, !compress).await;
    assert_eq!(writer.read(&reader).await, writer.log[1..], "whatever the reader is set to");
    server.cli(&["MEMORY", "USAGE", &log_of(&writer), "SAMPLES", "0"]).await.int().try_into().unwrap()
}

#[tokio::test]
async fn compression_saves_what_it_is_there_for_and_readers_need_not_be_told() {
    let Some(server) = RedisServer::start().await else { return };
    let (plain, compressed) = (stored_bytes(&server, false).await, stored_bytes(&server, true).await);
    println!("redis holds {plain} bytes plain, {compressed} compressed");
    assert!(compressed * 2 < plain, "{compressed} of {plain} bytes");
}

#[tokio::test]
async fn a_page_is_bounded_by_what_it_unpacks_to() {
    let Some(server) = RedisServer::start().await else { return };
    let store = compressing(&server, true).await;
    let mut writer = Writer::begun(&store).await;
    writer.lines = vec![b'x'; 100_000].into();
    for _ in 0..10 {
        assert_eq!(writer.write(1).await.unwrap(), STORED);
    }
    let held = server.cli(&["MEMORY", "USAGE", &log_of(&writer), "SAMPLES", "0"]).await.int();
    assert!(held < 100_000, "a megabyte is {held} bytes in redis");
    let page = store.page(writer.id, 0).await.unwrap().expect("a log");
    assert_eq!((page.chunks.len(), page.more), (2, true), "256 KiB hold two events of 100 kB");
}

#[tokio::test]
async fn an_entry_that_claims_too_much_is_corrupt_and_costs_nothing() {
    let Some(server) = RedisServer::start().await else { return };
    let store = compressing(&server, false).await;
    let mut writer = Writer::begun(&store).await;
    assert_eq!(writer.write(1).await.unwrap(), STORED);
    server.cli(&["XADD", &log_of(&writer), "9-0", "c", "\x01\x01\x7f\x7f\x7f\x7fa block"]).await;
    let error = store.tail(writer.id).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt);
    let cause = std::error::Error::source(&error).expect("a cause").to_string();
    assert_eq!(cause, "not a chunk: it claims to unpack to more than it can");
}
