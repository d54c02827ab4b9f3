//! A store that seals what it gives to Redis.

use super::{RedisServer, STORED, UNHURRIED, Writer, reached};
use std::error::Error;
use tower_resume::{
    Keys,
    store::{RedisConfig, Store, StoreErrorKind, conformance},
};

fn keys(secret: &str) -> Keys {
    Keys::new(secret.repeat(32)).unwrap()
}

fn config(server: &RedisServer) -> RedisConfig {
    RedisConfig::new(&server.url()).command_timeout(UNHURRIED)
}

/// Not the whole suite: without optimization, the cipher takes its time for the many large events of that.
#[tokio::test]
async fn random_operations_agree_with_a_list_where_all_is_sealed() {
    let Some(server) = RedisServer::start().await else { return };
    let store = reached(config(&server).require_encryption(&keys("a"))).await;
    for _ in 0..2 {
        conformance::run_seed(&store, fastrand::u64(..)).await;
    }
    let mut writer = Writer::begun(&store).await;
    writer.lines = vec![b'x'; 1024 * 1024].into();
    assert_eq!(writer.write(1).await.unwrap(), STORED);
    assert_eq!(writer.read(&store).await, writer.log[1..], "an event of 1 MiB");
}

#[tokio::test]
async fn nodes_of_different_secrets_in_one_ring_keep_every_promise_of_the_contract() {
    let Some(server) = RedisServer::start().await else { return };
    let ring = |secrets: [&str; 2]| Keys::ring(secrets.map(|secret| secret.repeat(32))).unwrap();
    let (one, other) = (ring(["a", "b"]), ring(["b", "a"]));
    conformance::run_shared(async || {
        (reached(config(&server).encrypt(&one)).await, reached(config(&server).require_encryption(&other)).await)
    })
    .await;
}

#[tokio::test]
async fn a_store_that_cannot_open_an_entry_says_why_and_shows_nothing_of_it() {
    let Some(server) = RedisServer::start().await else { return };
    let sealing = reached(config(&server).encrypt(&keys("a"))).await;
    let mut writer = Writer::begun(&sealing).await;
    writer.lines = "data: hunter2\n".into();
    assert_eq!(writer.write(1).await.unwrap(), STORED);
    assert_eq!(writer.end().await, STORED);
    let foreign = "sealed with a key that is not in this store's ring";
    for (set, why) in [
        (config(&server), "sealed, and this store was given no keys"),
        (config(&server).encrypt(&keys("b")), foreign),
        (config(&server).decrypt(&keys("b")), foreign),
    ] {
        let store = reached(set).await;
        let errors = [
            store.tail(writer.id).await.unwrap_err(),
            store.open(writer.id, 0).await.unwrap_err(),
            store.page(writer.id, 0).await.unwrap_err(),
            store.snapshot(writer.id).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), StoreErrorKind::Corrupt);
            let cause = error.source().expect("a cause").to_string();
            assert!(cause.ends_with(why), "{cause}");
            assert!(!format!("{error} {error:?} {cause}").contains("hunter2"), "{error:?}");
        }
    }
}

#[tokio::test]
async fn an_entry_under_another_ones_id_is_corrupt() {
    let Some(server) = RedisServer::start().await else { return };
    let store = reached(config(&server)).await;
    let mut writer = Writer::begun(&store).await;
    for _ in 0..2 {
        assert_eq!(writer.write(1).await.unwrap(), STORED);
    }
    let log = format!("tower-resume:{{{}}}:log", writer.id);
    let copy = "local e = redis.call('XRANGE', KEYS[1], '1-0', '1-0')[1]
                redis.call('XADD', KEYS[1], '3-0', 'c', e[2][2])";
    server.cli(&["EVAL", copy, "1", &log]).await;
    let error = store.tail(writer.id).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt);
    assert_eq!(error.to_string(), "an entry of the log holds another one's chunk");
}
