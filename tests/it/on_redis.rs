//! The properties that define the crate, once more over Redis: two nodes, each with connections of its own.

use crate::{
    common::{Nodes, keys, until},
    model::{self, World},
    properties::{
        SCRIPT, check, cut_script, is_the_same_however_split, resumes_at_every_cut, split_script, survives_cuts,
    },
    redis_server::RedisServer,
};
use futures_util::FutureExt as _;
use std::{sync::Arc, time::Duration};
use tokio::{runtime::Builder, time::timeout};
use tower_resume::{
    ResumeLayer,
    store::{RedisConfig, RedisStore, Store as _},
};

/// A store whose commands may take as long as they do on a busy machine: nothing is lost here.
pub(crate) async fn unhurried(redis: &RedisServer) -> RedisStore {
    let config = RedisConfig::new(&redis.url()).command_timeout(Duration::from_secs(20));
    let store = RedisStore::with_config(config).unwrap();
    assert!(store.ready(Duration::from_secs(60)).await);
    store
}

async fn pair(redis: &RedisServer) -> Nodes {
    let mut layers = Vec::new();
    for _ in 0..2 {
        let store = unhurried(redis).await;
        layers.push(ResumeLayer::new(store, keys()).tokens_are_enough());
    }
    Nodes::start(layers).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_is_cut_at_any_byte_and_comes_back_on_any_node_has_the_identical_stream() {
    let Some(redis) = RedisServer::start().await else { return };
    resumes_at_every_cut(&pair(&redis).await, &SCRIPT).await;
}

#[test]
fn a_client_that_is_cut_again_and_again_has_everything_once() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let Some(redis) = runtime.block_on(RedisServer::start()) else { return };
    let nodes = runtime.block_on(pair(&redis));
    check(&runtime, &nodes, 32, cut_script(), async |nodes, (script, pieces, bytes)| {
        survives_cuts(nodes, &script, &pieces, &bytes).await;
    });
}

#[test]
fn a_stream_is_the_same_however_its_bytes_are_split() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let Some(redis) = runtime.block_on(RedisServer::start()) else { return };
    let nodes = runtime.block_on(pair(&redis));
    check(&runtime, &nodes, 32, split_script(), async |nodes, (script, pieces)| {
        is_the_same_however_split(nodes, &script, &pieces).await;
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_stream_lives_longer_than_its_log_would_by_itself() {
    let Some(redis) = RedisServer::start().await else { return };
    let mut layers = Vec::new();
    for _ in 0..2 {
        let store = unhurried(&redis).await;
        layers.push(ResumeLayer::new(store, keys()).tokens_are_enough().state_ttl(Duration::from_secs(5)));
    }
    let nodes = Nodes::start(layers).await;
    let run = nodes.counted(3).await;
    nodes.knows(1, run.id(3), 3).await;
    let log = format!("tower-resume:{{{}}}:log", run.request_id);
    // Renewed three times a life, each time with seconds to spare: the time that is left goes up again and again.
    let mut left = redis.cli(&["PTTL", &log]).await.int();
    let mut renewals = 0;
    until("the log is renewed for longer than it lives", async || {
        let now = redis.cli(&["PTTL", &log]).await.int();
        assert!(now > 0, "the log is gone, or immortal: {now}");
        renewals += i32::from(now > left);
        left = now;
        renewals >= 4
    })
    .await;
    let mut again = nodes.reconnect(1, run.id(1)).send().await;
    again.phase("replay").await;
    again.counts(2..=3).await;
    again.phase("live").await;
}

#[test]
fn whatever_happens_on_two_nodes_every_response_is_what_the_model_says() {
    let runtime = || Builder::new_current_thread().enable_all().build().unwrap();
    let starts = runtime();
    let Some(redis) = starts.block_on(RedisServer::start()) else { return };
    let redis = Arc::new(redis);
    model::check(16, 30, runtime, |runtime| {
        let stores = runtime.block_on(async {
            // A sequence that failed may have left it out.
            redis.resume().await;
            // Long for a busy machine, and not for those who wait until a Redis that hangs is noticed.
            let config = || RedisConfig::new(&redis.url()).command_timeout(Duration::from_secs(3));
            let stores = [(); 2].map(|()| RedisStore::with_config(config()).unwrap());
            for store in &stores {
                assert!(store.ready(Duration::from_secs(20)).await);
            }
            stores
        });
        let (redis, nodes) = (Arc::clone(&redis), stores.clone());
        let take_away = move |out| {
            let (redis, nodes) = (Arc::clone(&redis), nodes.clone());
            async move {
                if out {
                    redis.pause().await;
                } else {
                    redis.resume().await;
                }
                for store in nodes {
                    let mut health = store.health();
                    let seen = timeout(Duration::from_secs(60), health.wait_for(|health| health.up != out)).await;
                    seen.expect("the node sees it").unwrap();
                }
            }
            .boxed()
        };
        World::new(stores, take_away, false)
    });
}
