//! A Redis that sentinels watch over.

use super::{PATIENCE, STORED, UNHURRIED, Writer, pushed, reached, sentinels::Sentinels, until};
use tokio::time::timeout;
use tower_resume::store::{Appended, RedisConfig, RedisStore, Store, StoreErrorKind, conformance};

async fn connected(sentinels: &Sentinels) -> RedisStore {
    reached(RedisConfig::new(&sentinels.url()).command_timeout(UNHURRIED)).await
}

/// Writes until the store says something.
async fn write(writer: &mut Writer<'_>) -> Appended {
    let mut said = None;
    until("the store answers", async || {
        match writer.write(1).await {
            Ok(appended) => said = Some(appended),
            // A primary that is being demoted refuses.
            Err(error) => assert_ne!(error.kind(), StoreErrorKind::Corrupt, "{error:?}"),
        }
        said.is_some()
    })
    .await;
    said.unwrap()
}

fn log_of(writer: &Writer<'_>) -> String {
    format!("tower-resume:{{{}}}:log", writer.id)
}

/// Whether a read brings what was written.
async fn reads(store: &RedisStore, writer: &Writer<'_>) -> bool {
    matches!(store.page(writer.id, 0).await, Ok(Some(page)) if page.chunks == writer.log[1..])
}

#[tokio::test]
async fn it_keeps_every_promise_of_the_contract() {
    let Some(sentinels) = Sentinels::start().await else { return };
    conformance::run(async || connected(&sentinels).await).await;
    conformance::run_shared(async || (connected(&sentinels).await, connected(&sentinels).await)).await;
}

#[tokio::test]
async fn a_replica_that_is_promoted_with_less_than_was_acknowledged_is_found_out() {
    let Some(mut sentinels) = Sentinels::start().await else { return };
    let store = connected(&sentinels).await;
    let mut writer = Writer::begun(&store).await;
    assert_eq!(writer.write(3).await.unwrap(), STORED);
    sentinels.replicated().await;
    sentinels.lose_patience().await;
    sentinels.servers[0].cut_off_replicas().await;
    assert_eq!(writer.write(3).await.unwrap(), STORED, "acknowledged by the primary alone");
    let mut health = store.health();
    let epoch = health.borrow_and_update().epoch;
    sentinels.servers[0].kill().await;
    assert_eq!(write(&mut writer).await, Appended::Diverged, "no hole");
    until("it is written again", async || writer.rewrite().await.is_ok()).await;
    until("it is read as it was written", async || reads(&store, &writer).await).await;
    timeout(PATIENCE, health.wait_for(|health| health.epoch > epoch)).await.expect("writers are told").unwrap();
}

#[tokio::test]
async fn a_failover_that_was_asked_for_is_followed_by_all_connections() {
    let Some(sentinels) = Sentinels::start().await else { return };
    let (one, other) = (connected(&sentinels).await, connected(&sentinels).await);
    let mut writer = Writer::begun(&one).await;
    let mut watch = other.watch(writer.id, one.node(), 0);
    pushed(&mut writer, &mut watch).await;
    sentinels.ask_for_failover().await;
    let now = sentinels.failed_over(0).await;
    until("it can be read on both nodes, from the new primary", async || {
        // The old one may have taken some before it was demoted.
        if write(&mut writer).await == Appended::Diverged {
            let _ = writer.rewrite().await;
        }
        let mut same = sentinels.servers[now].cli(&["EXISTS", &log_of(&writer)]).await.int() == 1;
        for store in [&one, &other] {
            same &= reads(store, &writer).await;
        }
        same
    })
    .await;
    pushed(&mut writer, &mut watch).await;
}
