//! A cluster of three primaries and three replicas: one primary is lost, slots move. Connected clients notice nothing,
//! whichever node their stream lies on, and in the end the cluster holds every stream, whole.

use crate::{fleet::Fleet, redis_cluster::RedisCluster};

const STREAMS: usize = 24;

#[tokio::test]
async fn a_primary_is_killed() {
    let Some(mut cluster) = RedisCluster::start().await else { return };
    let fleet = Fleet::start(&cluster.url()).await;
    let load = fleet.under_way(STREAMS).await;
    cluster.lose_patience().await;
    cluster.nodes[0].kill().await;
    fleet.through(load, "cluster: a primary killed, its replica takes over").await;
}

#[tokio::test]
async fn a_primary_is_killed_where_the_cluster_then_serves_nothing_at_all() {
    let Some(mut cluster) = RedisCluster::start_with(&["--cluster-require-full-coverage", "yes"]).await else { return };
    let fleet = Fleet::start(&cluster.url()).await;
    let load = fleet.under_way(STREAMS).await;
    cluster.lose_patience().await;
    cluster.nodes[1].kill().await;
    fleet.through(load, "the same with `cluster-require-full-coverage yes`").await;
}

#[tokio::test]
async fn a_primary_is_killed_whose_replica_has_less() {
    let Some(mut cluster) = RedisCluster::start().await else { return };
    let fleet = Fleet::start(&cluster.url()).await;
    let load = fleet.under_way(STREAMS).await;
    cluster.lose_patience().await;
    cluster.cut_off_replica(2).await;
    load.flow(15).await;
    cluster.nodes[2].kill().await;
    fleet.through(load, "cluster: a primary killed, its replica lacks the last events").await;
}

#[tokio::test]
async fn slots_move_there_and_back() {
    let Some(cluster) = RedisCluster::start().await else { return };
    let fleet = Fleet::start(&cluster.url()).await;
    let load = fleet.under_way(STREAMS).await;
    let mut moved = Vec::new();
    for stream in &load.streams {
        let slot = cluster.slot_of(&stream.id.to_string()).await;
        let from = cluster.owner(slot).await;
        let to = (from + 1) % 3;
        cluster.move_slot(slot, from, to).await;
        moved.push((slot, from, to));
    }
    load.flow(10).await;
    for (slot, from, to) in moved {
        cluster.move_slot(slot, to, from).await;
    }
    fleet.through(load, "cluster: every stream's slot moved, and moved back").await;
}
