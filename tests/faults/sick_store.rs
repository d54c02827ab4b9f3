//! A sick Redis. Connected clients notice nothing, a resume elsewhere is served rightly or told to come back, and once
//! Redis is well it holds every stream again, whole.

use crate::{
    load::{Load, Shape, Who},
    proxy::Proxy,
    scene::Scene,
};
use std::time::Duration;

const STREAMS: usize = 12;

/// Streams under way, with a good part of each in Redis.
async fn under_way(scene: &Scene) -> Load {
    under_way_with(scene, Shape::default()).await
}

async fn under_way_with(scene: &Scene, shape: Shape) -> Load {
    let mut load = Load::new(scene, shape);
    load.begin(STREAMS).await;
    load.reach(20).await;
    load
}

/// While the fault is on: more streams begin, clients come late, and events go on to arrive.
async fn meanwhile(load: &mut Load) {
    load.begin(4).await;
    load.latecomers();
    load.flow(25).await;
}

/// The fault is over.
async fn after(mut load: Load, scene: &Scene, fault: &'static str) {
    load.healed(&scene.probe).await;
    let row = load.finish(fault, &scene.probe).await;
    assert_eq!(row.gapped, 0, "all of it can be healed: {row:?}");
}

#[tokio::test]
async fn redis_is_killed_and_comes_back_empty() {
    let Some(mut scene) = Scene::start().await else { return };
    let mut load = under_way(&scene).await;
    scene.redis.kill().await;
    meanwhile(&mut load).await;
    scene.redis.restart().await;
    after(load, &scene, "Redis killed, back empty").await;
}

#[tokio::test]
async fn redis_is_killed_and_comes_back_with_an_old_dump() {
    let Some(mut scene) = Scene::start().await else { return };
    let mut load = under_way(&scene).await;
    scene.redis.cli(&["SAVE"]).await;
    load.flow(25).await;
    scene.redis.kill().await;
    meanwhile(&mut load).await;
    scene.redis.restart().await;
    after(load, &scene, "Redis killed, back with an old dump").await;
}

#[tokio::test]
async fn redis_is_killed_and_back_at_once_with_an_old_dump() {
    let Some(mut scene) = Scene::start().await else { return };
    let mut load = under_way(&scene).await;
    scene.redis.cli(&["SAVE"]).await;
    load.flow(25).await;
    scene.redis.kill().await;
    scene.redis.restart().await;
    load.latecomers();
    after(load, &scene, "Redis restarted at once with an old dump").await;
}

#[tokio::test]
async fn redis_is_paused() {
    let Some(scene) = Scene::start().await else { return };
    let mut load = under_way(&scene).await;
    scene.redis.pause().await;
    meanwhile(&mut load).await;
    load.flow(90).await;
    scene.redis.resume().await;
    after(load, &scene, "Redis paused for 5 s").await;
}

#[tokio::test]
async fn redis_is_paused_for_longer_than_leases_hold() {
    let Some(scene) = Scene::start().await else { return };
    let mut load = under_way_with(&scene, Shape { events: 240, pace: 70, ..Shape::default() }).await;
    scene.redis.pause().await;
    meanwhile(&mut load).await;
    load.flow(140).await;
    scene.redis.resume().await;
    after(load, &scene, "Redis paused for 11 s").await;
}

#[tokio::test]
async fn redis_is_flushed() {
    let Some(scene) = Scene::start().await else { return };
    let mut load = under_way(&scene).await;
    scene.redis.cli(&["FLUSHALL"]).await;
    load.latecomers();
    after(load, &scene, "Redis flushed, no connection lost").await;
}

#[tokio::test]
async fn redis_is_flushed_while_streams_are_silent() {
    let Some(scene) = Scene::start().await else { return };
    let mut load = Load::new(&scene, Shape { events: 60, pace: 20, hush: Some((31, 25_000)), ..Shape::default() });
    load.begin(STREAMS).await;
    load.reach(30).await;
    scene.redis.cli(&["FLUSHALL"]).await;
    load.latecomers();
    load.healed(&scene.probe).await;
    assert!(load.firsts().iter().all(|last| *last == 30), "healed before the streams say anything again");
    let row = load.finish("Redis flushed while streams are silent", &scene.probe).await;
    assert_eq!(row.gapped, 0, "{row:?}");
}

#[tokio::test]
async fn redis_loses_streams_that_have_just_ended() {
    for (fault, dump) in [("Redis empty after streams have ended", false), ("Redis set back, their ends lost", true)] {
        let Some(mut scene) = Scene::start().await else { return };
        let shape = Shape { events: 50, pace: 10, ..Shape::default() };
        let mut load = Load::new(&scene, shape);
        load.begin(STREAMS).await;
        if dump {
            load.reach(20).await;
            scene.redis.cli(&["SAVE"]).await;
        }
        load.reach(shape.events).await;
        load.done(Who::First).await;
        scene.redis.kill().await;
        load.latecomers();
        scene.redis.restart().await;
        after(load, &scene, fault).await;
    }
}

#[tokio::test]
async fn streams_outgrow_what_is_kept_while_redis_is_away() {
    let Some(mut scene) = Scene::start().await else { return };
    let mut load = Load::new(&scene, Shape { events: 1_000, pace: 6, ..Shape::default() });
    load.begin(STREAMS).await;
    load.reach(100).await;
    scene.redis.kill().await;
    load.latecomers();
    load.flow(400).await;
    scene.redis.restart().await;
    load.healed(&scene.probe).await;
    load.latecomers();
    let row = load.finish("Redis away for longer than logs reach back", &scene.probe).await;
    assert!(row.gapped > 0, "{row:?}");
}

#[tokio::test]
async fn redis_says_nothing_and_streams_run_at_full_speed() {
    let Some(scene) = Scene::start().await else { return };
    scene.wires.iter().for_each(Proxy::swallow);
    let mut load = Load::new(&scene, Shape { events: 5_000, pace: 0, alone: true, ..Shape::default() });
    load.begin(STREAMS).await;
    load.done(Who::First).await;
    scene.wires.iter().for_each(Proxy::clear);
    load.healed(&scene.probe).await;
    load.latecomers();
    load.finish("Redis says nothing, streams at full speed", &scene.probe).await;
}

#[tokio::test]
async fn redis_is_out_of_memory_for_longer_than_leases_hold() {
    let Some(scene) = Scene::start().await else { return };
    // Silent ones too: whoever follows those has to ask whether their node lives.
    let mut load = Load::new(&scene, Shape { events: 60, pace: 20, hush: Some((31, 20_000)), ..Shape::default() });
    load.begin(STREAMS).await;
    load.reach(30).await;
    let mut clock = Load::new(&scene, Shape { events: 250, pace: 80, ..Shape::default() });
    clock.begin(2).await;
    scene.redis.cli(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).await;
    scene.redis.cli(&["CONFIG", "SET", "maxmemory", "1"]).await;
    load.begin(4).await;
    load.latecomers();
    clock.flow(180).await;
    scene.redis.cli(&["CONFIG", "SET", "maxmemory", "0"]).await;
    load.healed(&scene.probe).await;
    after(clock, &scene, "Redis out of memory: streams that flow").await;
    let row = load.finish("Redis out of memory for 15 s: silent streams", &scene.probe).await;
    assert_eq!(row.gapped, 0, "{row:?}");
}

#[tokio::test]
async fn redis_has_no_replica_to_write_to() {
    let Some(scene) = Scene::start().await else { return };
    let mut load = under_way(&scene).await;
    scene.redis.cli(&["CONFIG", "SET", "min-replicas-to-write", "1"]).await;
    meanwhile(&mut load).await;
    scene.redis.cli(&["CONFIG", "SET", "min-replicas-to-write", "0"]).await;
    after(load, &scene, "Redis refuses writes (NOREPLICAS)").await;
}

#[tokio::test]
async fn redis_is_read_only() {
    let Some(scene) = Scene::start().await else { return };
    let mut load = under_way(&scene).await;
    scene.redis.cli(&["REPLICAOF", "127.0.0.1", "1"]).await;
    meanwhile(&mut load).await;
    scene.redis.cli(&["REPLICAOF", "NO", "ONE"]).await;
    after(load, &scene, "Redis read-only (a replica of nobody)").await;
}

#[tokio::test]
async fn redis_is_slow() {
    let Some(scene) = Scene::start().await else { return };
    let mut load = under_way(&scene).await;
    for wire in &scene.wires {
        wire.delay(Duration::from_millis(100));
    }
    meanwhile(&mut load).await;
    load.flow(90).await;
    for wire in &scene.wires {
        wire.clear();
    }
    after(load, &scene, "Redis slow (200 ms a round trip)").await;
}

#[tokio::test]
async fn redis_is_so_slow_that_commands_time_out() {
    let Some(scene) = Scene::start().await else { return };
    let mut load = under_way(&scene).await;
    for wire in &scene.wires {
        wire.delay(Duration::from_millis(400));
    }
    meanwhile(&mut load).await;
    load.flow(50).await;
    for wire in &scene.wires {
        wire.clear();
    }
    after(load, &scene, "Redis slower than the time-out (800 ms)").await;
}

#[tokio::test]
async fn redis_refuses_connections_and_then_lets_little_through() {
    let Some(scene) = Scene::start().await else { return };
    let mut load = under_way(&scene).await;
    scene.wires.iter().for_each(Proxy::refuse);
    meanwhile(&mut load).await;
    for wire in &scene.wires {
        wire.clear();
        wire.narrow(60_000);
    }
    load.flow(60).await;
    scene.wires.iter().for_each(Proxy::clear);
    after(load, &scene, "connections to Redis refused, then 60 kB/s").await;
}

#[tokio::test]
async fn replies_of_redis_are_cut_in_the_middle_again_and_again() {
    let Some(scene) = Scene::start().await else { return };
    let mut load = under_way(&scene).await;
    for wire in &scene.wires {
        wire.cut_replies_after(1_000..30_000);
    }
    meanwhile(&mut load).await;
    load.flow(90).await;
    for wire in &scene.wires {
        wire.clear();
    }
    after(load, &scene, "replies of Redis cut in the middle, repeatedly").await;
}
