//! A cluster: where its keys go, and what a node that is lost or a slot that moves does to them.

use super::{PATIENCE, STORED, TTL, UNHURRIED, Writer, pushed, reached, redis_cluster::RedisCluster, until};
use std::time::Duration;
use tokio::time::timeout;
use tower_resume::{
    NodeId,
    store::{Appended, Onto, RedisConfig, RedisStore, Store, StoreError, StoreErrorKind, Touched, conformance},
};

async fn connected(cluster: &RedisCluster) -> RedisStore {
    let store = reached(RedisConfig::new(&cluster.url()).command_timeout(UNHURRIED)).await;
    all_reached(cluster, &store).await;
    store
}

/// Up is a cluster with its first node, and these tests want them all, for what is written and for what is read.
pub(crate) async fn all_reached(cluster: &RedisCluster, store: &RedisStore) {
    for owner in 0..3 {
        let writer = writer_on(cluster, store, owner).await;
        until("the node is read from", async || store.page(writer.id, 0).await.is_ok()).await;
    }
}

/// A stream that lies on this node.
pub(crate) async fn writer_on<'a>(cluster: &RedisCluster, store: &'a RedisStore, node: usize) -> Writer<'a> {
    loop {
        let writer = Writer::new(store);
        let slot = cluster.slot_of(&writer.id.to_string()).await;
        if cluster.owner(slot).await == node {
            let mut writer = writer;
            until("the stream is begun", async || writer.begin().await.is_ok()).await;
            return writer;
        }
    }
}

/// Writes until the store says something.
pub(crate) async fn write(writer: &mut Writer<'_>, events: usize) -> Appended {
    let mut said = None;
    until("the store answers", async || {
        match writer.write(events).await {
            Ok(appended) => said = Some(appended),
            Err(error) => assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}"),
        }
        said.is_some()
    })
    .await;
    said.unwrap()
}

#[tokio::test]
async fn it_keeps_every_promise_of_the_contract() {
    let Some(cluster) = RedisCluster::start().await else { return };
    conformance::run(async || connected(&cluster).await).await;
    conformance::run_shared(async || (connected(&cluster).await, connected(&cluster).await)).await;
}

#[tokio::test]
async fn an_append_is_one_xadd_and_nothing_else() {
    let Some(cluster) = RedisCluster::start().await else { return };
    let store = connected(&cluster).await;
    let mut writer = writer_on(&cluster, &store, 1).await;
    // The last of its connections is made by then.
    until("the inbox is subscribed", async || {
        let mut channels = 0;
        for node in &cluster.nodes {
            channels += node.cli(&["PUBSUB", "SHARDCHANNELS"]).await.list().len();
        }
        channels > 0
    })
    .await;
    cluster.nodes[1].reset_calls().await;
    for _ in 0..20 {
        assert_eq!(writer.write(3).await.unwrap(), STORED);
    }
    let mut calls = cluster.nodes[1].calls().await;
    // What goes on by the clock, and between the nodes of the cluster.
    let by_the_clock = ["set", "ping", "replconf", "ssubscribe", "spublish"];
    calls.retain(|(name, _)| !by_the_clock.contains(&&**name) && !name.starts_with("cluster|"));
    assert_eq!(calls, [("xadd".to_owned(), 20)]);
}

#[tokio::test]
async fn while_a_shard_is_lost_the_streams_of_the_others_go_on() {
    let Some(mut cluster) = RedisCluster::start().await else { return };
    let store = connected(&cluster).await;
    let (mut lost, mut other) = (writer_on(&cluster, &store, 0).await, writer_on(&cluster, &store, 1).await);
    assert_eq!(lost.write(3).await.unwrap(), STORED);
    // Nobody can take over.
    cluster.lose_patience().await;
    cluster.nodes[3].kill().await;
    cluster.nodes[0].kill().await;
    for _ in 0..20 {
        assert_eq!(lost.write(1).await.unwrap_err().kind(), StoreErrorKind::Unavailable);
        assert_eq!(store.open(lost.id, 0).await.unwrap_err().kind(), StoreErrorKind::Unavailable);
        assert_eq!(other.write(1).await.unwrap(), STORED);
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    assert!(store.health().borrow().up, "most of it is there");
    assert!(store.reaches(other.id) && !store.reaches(lost.id));
    assert_eq!(other.read(&store).await, other.log[1..]);
    let epoch = store.health().borrow().epoch;
    cluster.nodes[0].restart().await;
    assert_eq!(write(&mut lost, 1).await, Appended::Diverged, "it came back empty");
    until("it is written again", async || lost.rewrite().await.is_ok()).await;
    until("it is read again", async || store.open(lost.id, 0).await.is_ok()).await;
    assert_eq!(lost.read(&store).await, lost.log[1..]);
    assert!(store.health().borrow().epoch > epoch, "writers are told to look");
    until("it is reached", async || store.reaches(lost.id)).await;
}

#[tokio::test]
async fn a_replica_that_takes_over_with_less_than_was_acknowledged_is_found_out() {
    let Some(mut cluster) = RedisCluster::start().await else { return };
    let store = connected(&cluster).await;
    let mut writer = writer_on(&cluster, &store, 0).await;
    let mut idle = writer_on(&cluster, &store, 0).await;
    for writer in [&mut writer, &mut idle] {
        assert_eq!(writer.write(3).await.unwrap(), STORED);
    }
    cluster.replicated(0).await;
    cluster.lose_patience().await;
    cluster.cut_off_replica(0).await;
    for writer in [&mut writer, &mut idle] {
        assert_eq!(writer.write(3).await.unwrap(), STORED, "acknowledged by the primary alone");
    }
    let mut health = store.health();
    let epoch = health.borrow_and_update().epoch;
    let slot = cluster.slot_of(&writer.id.to_string()).await;
    cluster.nodes[0].kill().await;
    // Written to all the while, so at the very first moment in which somebody takes it.
    assert_eq!(write(&mut writer, 1).await, Appended::Diverged, "no hole");
    cluster.failed_over(slot, 0).await;
    until("it is written again", async || writer.rewrite().await.is_ok()).await;
    assert_eq!(writer.write(1).await.unwrap(), STORED);
    assert_eq!(writer.read(&store).await, writer.log[1..]);
    timeout(PATIENCE, health.wait_for(|health| health.epoch > epoch)).await.expect("writers are told").unwrap();
    assert_eq!(write(&mut idle, 1).await, Appended::Diverged, "no hole in one that was silent, either");
}

#[tokio::test]
async fn a_primary_that_is_demoted_and_promoted_again_on_a_standing_connection_is_found_out() {
    let Some(cluster) = RedisCluster::start().await else { return };
    let store = connected(&cluster).await;
    let mut writer = writer_on(&cluster, &store, 0).await;
    assert_eq!(writer.write(3).await.unwrap(), STORED);
    cluster.replicated(0).await;
    cluster.cut_off_replica(0).await;
    assert_eq!(writer.write(3).await.unwrap(), STORED, "acknowledged by the primary alone");
    let mut health = store.health();
    let epoch = health.borrow_and_update().epoch;
    cluster.take_over(3).await;
    timeout(PATIENCE, health.wait_for(|health| health.epoch > epoch)).await.expect("it is noticed").unwrap();
    cluster.let_in_replica(0).await;
    cluster.well().await;
    cluster.take_over(0).await;
    assert_eq!(write(&mut writer, 1).await, Appended::Diverged, "no hole");
    until("it is written again", async || writer.rewrite().await.is_ok()).await;
    assert_eq!(writer.read(&store).await, writer.log[1..]);
}

/// What a read may come to while keys are on the move: all of it, or an error for the moment; never nothing.
fn right_or_transient<T>(read: Result<Option<T>, StoreError>) -> Option<T> {
    match read {
        Ok(found) => Some(found.expect("a stream that lives is never gone")),
        Err(error) => {
            assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}");
            None
        }
    }
}

#[tokio::test]
async fn a_slot_that_moves_is_followed_and_nothing_is_lost_on_the_way() {
    let Some(cluster) = RedisCluster::start().await else { return };
    let (store, reader) = (connected(&cluster).await, connected(&cluster).await);
    let mut writer = writer_on(&cluster, &store, 0).await;
    assert_eq!(writer.write(3).await.unwrap(), STORED);
    let slot = cluster.slot_of(&writer.id.to_string()).await;
    let look = async |writer: &Writer<'_>| {
        for store in [&store, &reader] {
            if let Some(opened) = right_or_transient(store.open(writer.id, 0).await) {
                assert_eq!((opened.tail.last, opened.page.chunks), (writer.last(), writer.log[1..].to_vec()));
                assert_eq!(opened.head, writer.head());
            }
            if let Some(page) = right_or_transient(store.page(writer.id, 0).await) {
                assert_eq!(page.chunks, writer.log[1..]);
            }
            assert!(right_or_transient(store.tail(writer.id).await).is_none_or(|tail| tail.last == writer.last()));
        }
    };
    cluster.open_slot(slot, 0, 1).await;
    assert_eq!(writer.write(1).await.unwrap(), STORED, "nothing has left yet");
    look(&writer).await;
    let keys = cluster.keys(slot, 0).await;
    assert_eq!(keys.len(), 2, "log and meta");
    for key in keys {
        cluster.move_key(&key, 0, 1).await;
        look(&writer).await;
        // Half of its keys are here and half are there: not now. All are there: at once.
        match writer.write(1).await {
            Ok(appended) => assert_eq!(appended, STORED),
            Err(error) => assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}"),
        }
        look(&writer).await;
    }
    assert_eq!(writer.write(1).await.unwrap(), STORED, "all of it has left");
    look(&writer).await;
    cluster.close_slot(slot, 0, 1).await;
    for _ in 0..5 {
        assert_eq!(writer.write(1).await.unwrap(), STORED, "nobody notices");
        look(&writer).await;
    }
    assert_eq!(store.touch(writer.id, TTL).await.unwrap(), Touched::Lives { cancelled: false });
    assert_eq!(writer.end().await, STORED);
    look(&writer).await;
    // Back again, over connections that have stood all the time.
    cluster.move_slot(slot, 1, 0).await;
    assert_eq!(writer.send(Onto::Seq(writer.last()), vec![writer.chunk(1, None)]).await.unwrap(), writer.fenced());
    look(&writer).await;
}

#[tokio::test]
async fn news_come_in_on_a_cluster_also_after_the_node_with_the_channel_is_lost() {
    let Some(mut cluster) = RedisCluster::start().await else { return };
    let (one, other) = (connected(&cluster).await, connected(&cluster).await);
    let channel = async |node: NodeId| {
        let slot = cluster.nodes[1].cli(&["CLUSTER", "KEYSLOT", &format!("tower-resume:inbox:{node}")]).await.int();
        cluster.owner(u16::try_from(slot).unwrap()).await
    };
    let (writers, followers) = (channel(one.node()).await, channel(other.node()).await);
    let spared = (0..3).find(|node| *node != followers && *node != writers).unwrap();
    let mut writer = writer_on(&cluster, &one, spared).await;
    let mut watch = other.watch(writer.id, one.node(), 0);
    pushed(&mut writer, &mut watch).await;
    cluster.lose_patience().await;
    cluster.nodes[followers].kill().await;
    pushed(&mut writer, &mut watch).await;
    if writers != followers {
        cluster.well().await;
        cluster.nodes[writers].kill().await;
        pushed(&mut writer, &mut watch).await;
    }
}

#[tokio::test]
async fn a_cluster_that_is_taken_for_one_server_is_named() {
    let Some(cluster) = RedisCluster::start().await else { return };
    let store = super::connected(&cluster.nodes[0]).await;
    let mut named = false;
    for _ in 0..64 {
        if let Err(error) = Writer::new(&store).begin().await {
            assert_eq!(error.kind(), StoreErrorKind::Refused);
            named |= error.to_string().contains("redis-cluster://");
        }
    }
    assert!(named, "two of three streams belong elsewhere");
}
