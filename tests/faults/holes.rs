//! A busy store whose Redis is set back: an append never goes behind what was acknowledged before, but is missing now.

use crate::{
    load::{PATIENCE, until},
    redis_server::RedisServer,
};
use bytes::Bytes;
use futures_util::future::join_all;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tower_resume::{
    Event, RequestId, Step,
    store::{Append, Appended, Chunk, Onto, RedisConfig, RedisStore, Store, StreamHead, Totals, Ttl},
};

const WRITERS: usize = 300;
const TTL: Ttl = Ttl { log: Duration::from_secs(900), snapshot: Duration::from_secs(60) };

fn chunk(store: &RedisStore, first: u64, events: usize) -> Chunk {
    let event = Event { lines: Bytes::from_static(b"data: x\n"), ..Event::default() };
    let (writer, events, totals) = (store.node(), vec![event; events].into(), Totals::default());
    Chunk { first, writer, at: 1, step_before: Step::NONE, totals, events, end: None }
}

/// Adds event after event, as fast as it goes, until the store says that something is wrong.
async fn write(store: RedisStore, acknowledged: Arc<AtomicU64>) -> RequestId {
    let id = RequestId::from_bytes(fastrand::u128(..).to_be_bytes());
    let head = StreamHead { node: store.node(), started_at: 7, correlation_id: None, comments: false };
    let append = |onto, chunk| Append {
        id,
        onto,
        chunks: vec![chunk],
        trim_below: 1,
        let_go: Vec::new(),
        snapshot: None,
        ttl: TTL,
        replicas: 0,
    };
    store.append(append(Onto::Nothing(head), chunk(&store, 1, 0))).await.unwrap();
    for last in 0.. {
        match store.append(append(Onto::Seq(last), chunk(&store, last + 1, 1))).await {
            Ok(Appended::Stored { .. }) => acknowledged.fetch_add(1, Ordering::Relaxed),
            Ok(_) | Err(_) => break,
        };
    }
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_append_leaves_a_hole_in_a_log_that_was_set_back() {
    let Some(mut redis) = RedisServer::start().await else { return };
    // A writer ends with whatever goes wrong, which is to be nothing but what is done to Redis here.
    let config = RedisConfig::new(&redis.url()).command_timeout(Duration::from_secs(20));
    let store = RedisStore::with_config(config).unwrap();
    for _ in 0..6 {
        assert!(store.ready(PATIENCE).await);
        let acknowledged = Arc::<AtomicU64>::default();
        let writers: Vec<_> =
            (0..WRITERS).map(|_| tokio::spawn(write(store.clone(), Arc::clone(&acknowledged)))).collect();
        let written = async |events| {
            until("the writers are at work", async || acknowledged.load(Ordering::Relaxed) >= events).await;
        };
        written(3_000).await;
        redis.cli(&["SAVE"]).await;
        written(acknowledged.load(Ordering::Relaxed) + 300).await;
        redis.kill().await;
        redis.restart().await;
        let ids = join_all(writers).await;
        assert!(store.ready(PATIENCE).await);
        for id in ids {
            let id = id.unwrap();
            let mut last = 0;
            while let Some(page) = store.page(id, last).await.unwrap() {
                for chunk in page.chunks {
                    assert_eq!(chunk.first, last + 1, "a hole");
                    last = chunk.last();
                }
                if !page.more {
                    break;
                }
            }
        }
    }
}
