//! A node that dies, stops or is cut off while its streams run, and handlers that fail. Everybody elsewhere gets what was
//! stored and then the end; a node that was only away meets that end, and still serves its own clients to theirs.

use crate::{
    common::Request,
    load::{Load, Seen, Shape, Who, until},
    logs::Kept,
    scene::Scene,
};
use std::time::{Duration, Instant};
use tokio::time::sleep;
use tower_resume::EndStatus;

const STREAMS: usize = 12;

/// Streams under way on node 0, all of which will go on for longer than it takes to take it for dead.
async fn under_way(scene: &Scene, seconds: u64) -> Load {
    let mut load = Load::new(scene, Shape { events: 250, pace: seconds * 4, ..Shape::default() });
    load.begin_on(&[0], STREAMS).await;
    load.reach(20).await;
    load
}

/// The end that others have written for each stream, which everybody elsewhere was brought.
async fn fenced(load: &Load, scene: &Scene) -> Vec<Kept> {
    let mut all = Vec::new();
    for stream in 0..STREAMS {
        until("the stream is ended in its node's place", async || {
            load.kept(&scene.probe, stream).await.is_some_and(|kept| kept.end.is_some())
        })
        .await;
        let kept = load.kept(&scene.probe, stream).await.unwrap();
        assert_eq!((kept.first, kept.end), (1, Some(EndStatus::Interrupted)));
        all.push(kept);
    }
    all
}

/// Those who read elsewhere have what the log holds, and its end. Who had more, from the node itself, still has that.
fn check_interrupted(seen: &Seen, kept: Kept) {
    let Seen { stream, who, outcome } = seen;
    let ledger = &outcome.as_ref().expect("none hangs").ledger;
    let (status, seq) = ledger.end.as_ref().expect("an end");
    assert_eq!((&**status, *seq), ("interrupted", kept.last), "{who:?} of {stream}");
    assert!(ledger.last >= kept.last, "{who:?} of {stream}: {ledger:?}");
    if matches!(who, Who::Follower | Who::Latecomer) {
        assert_eq!(ledger.last, kept.last, "{who:?} of {stream}");
    }
}

#[tokio::test]
async fn a_node_is_killed() {
    let Some(mut scene) = Scene::start().await else { return };
    let mut load = under_way(&scene, 60).await;
    let began = Instant::now();
    scene.nodes[0].kill().await;
    load.latecomers();
    let kept = fenced(&load, &scene).await;
    load.done(Who::Follower).await;
    load.recovered_since(began);
    load.latecomers();
    let (row, all) = load.come_through("node killed (kill -9)").await;
    row.check();
    assert_eq!(row.gapped, 0, "{row:?}");
    for seen in &all {
        check_interrupted(seen, kept[seen.stream]);
    }
    assert_eq!(fenced(&load, &scene).await, kept, "an end is final");
}

#[tokio::test]
async fn a_node_dies_while_redis_is_away() {
    let Some(mut scene) = Scene::start().await else { return };
    let mut load = under_way(&scene, 60).await;
    scene.redis.pause().await;
    scene.nodes[0].kill().await;
    load.latecomers();
    // The outage goes on for a while: those that follow have been told that the store is away, or still wait for it.
    sleep(Duration::from_secs(3)).await;
    let began = Instant::now();
    scene.redis.resume().await;
    let kept = fenced(&load, &scene).await;
    load.done(Who::Follower).await;
    load.recovered_since(began);
    let (row, all) = load.come_through("node killed while Redis is paused").await;
    row.check();
    for seen in &all {
        check_interrupted(seen, kept[seen.stream]);
    }
}

#[tokio::test]
async fn a_node_dies_with_redis_which_comes_back_with_an_old_dump() {
    let Some(mut scene) = Scene::start().await else { return };
    let mut load = under_way(&scene, 60).await;
    let saved = load.firsts();
    load.healed(&scene.probe).await;
    scene.redis.cli(&["SAVE"]).await;
    load.flow(10).await;
    scene.nodes[0].kill().await;
    scene.redis.kill().await;
    let began = Instant::now();
    scene.redis.restart().await;
    load.latecomers();
    let kept = fenced(&load, &scene).await;
    load.done(Who::Follower).await;
    load.recovered_since(began);
    let (row, all) = load.come_through("node and Redis killed, Redis back with an old dump").await;
    row.check();
    assert_eq!(row.gapped, 0, "{row:?}");
    for seen in &all {
        let (kept, saved) = (kept[seen.stream], saved[seen.stream]);
        assert!(kept.last >= saved, "what was saved is there: {kept:?}, {saved}");
        let ledger = &seen.outcome.as_ref().expect("none hangs").ledger;
        assert_eq!(ledger.end.as_ref().map(|(status, _)| &**status), Some("interrupted"));
        assert!(ledger.last >= kept.last, "{:?} of {}: {ledger:?}, {kept:?}", seen.who, seen.stream);
        if seen.who == Who::Latecomer && !Load::is_followed(seen.stream) {
            assert_eq!(ledger.last, kept.last, "nobody can write the rest again");
        }
    }
}

/// Four streams on node 0 that fall silent behind event 10, each followed on node 1.
async fn silent_at_ten(scene: &Scene, pace: u64) -> Load {
    let shape = Shape { events: 250, pace, hush: Some((11, 120_000)), alone: true, ..Shape::default() };
    let mut load = Load::new(scene, shape);
    load.begin_on(&[0], 4).await;
    load.latecomers();
    load
}

/// Node 0 dies with Redis, which comes back empty: what node 1 has of the silent streams is all that is left of them. It
/// is that end for everybody, whatever first clients have; how much was left of each stream.
async fn left_of(mut scene: Scene, mut load: Load, fault: &'static str) -> Vec<u64> {
    scene.redis.kill().await;
    scene.nodes[0].kill().await;
    let began = Instant::now();
    scene.wires[1].clear();
    scene.redis.restart().await;
    load.done(Who::Latecomer).await;
    load.recovered_since(began);
    let (row, all) = load.come_through(fault).await;
    row.check();
    let ledgers =
        |who| all.iter().filter(move |seen| seen.who == who).map(|seen| &seen.outcome.as_ref().unwrap().ledger);
    let left: Vec<u64> = ledgers(Who::Latecomer).map(|ledger| ledger.last).collect();
    for who in [Who::First, Who::Latecomer] {
        for (stream, (ledger, left)) in ledgers(who).zip(&left).enumerate() {
            assert_eq!(ledger.end, Some(("interrupted".to_owned(), *left)), "{who:?} of {stream}");
            assert!(who == Who::Latecomer || ledger.last == 10, "{ledger:?}");
        }
    }
    // Nobody has any of it any more. Until that is sure, clients are told to come back.
    for stream in &load.streams {
        until("it is gone for good", async || {
            let request = Request::get(scene.nodes[1].addr, "/resume").header("x-resume-token", &stream.token);
            let reply = request.send().await;
            assert!(matches!(reply.status.as_u16(), 426 | 503), "{}", reply.status);
            reply.status == 426 && reply.json().await["code"] == "stream_expired"
        })
        .await;
    }
    left
}

#[tokio::test]
async fn a_node_dies_with_redis_which_comes_back_empty() {
    let Some(scene) = Scene::start().await else { return };
    let mut load = silent_at_ten(&scene, 20).await;
    load.reach(10).await;
    load.healed(&scene.probe).await;
    load.reached_by(Who::Latecomer, 10).await;
    assert_eq!(left_of(scene, load, "node and Redis killed, Redis back empty").await, [10; 4]);
}

#[tokio::test]
async fn a_node_dies_with_redis_and_the_last_events_that_no_other_node_has() {
    let Some(scene) = Scene::start().await else { return };
    let load = silent_at_ten(&scene, 400).await;
    load.reached_by(Who::Latecomer, 3).await;
    scene.wires[1].refuse();
    load.reach(10).await;
    let left = left_of(scene, load, "node and Redis killed, the other node lacks the last events").await;
    assert!(left.iter().all(|left| (3..10).contains(left)), "{left:?}");
}

#[tokio::test]
async fn a_runtime_is_shut_down_while_streams_run() {
    let Some(scene) = Scene::start().await else { return };
    let mut load = under_way(&scene, 60).await;
    let began = Instant::now();
    let _ = Request::post(scene.nodes[0].addr, "/stop").ask().await;
    load.latecomers();
    let kept = fenced(&load, &scene).await;
    load.done(Who::Follower).await;
    load.recovered_since(began);
    load.latecomers();
    let (row, all) = load.come_through("runtime shut down").await;
    row.check();
    for seen in &all {
        check_interrupted(seen, kept[seen.stream]);
    }
}

/// The node was taken for dead, and is there again: nothing comes behind the end, and its own clients get everything.
async fn back(mut load: Load, scene: &Scene, fault: &'static str, kept: &[Kept]) {
    load.done(Who::First).await;
    load.latecomers();
    let (row, all) = load.come_through(fault).await;
    row.check();
    for seen in &all {
        let outcome = seen.outcome.as_ref().expect("none hangs");
        match seen.who {
            Who::First => {
                let whole = Some(("complete".to_owned(), 250));
                assert_eq!((&outcome.ledger.end, outcome.breaks), (&whole, 0), "a first client noticed");
            }
            // It may have come to either node.
            Who::Roamer if outcome.ledger.last == 250 => {}
            _ => check_interrupted(seen, kept[seen.stream]),
        }
    }
    assert_eq!(fenced(&load, scene).await, kept, "nothing follows an end");
}

#[tokio::test]
async fn a_node_is_stopped_for_thirty_seconds_and_goes_on() {
    let Some(scene) = Scene::start().await else { return };
    let mut load = under_way(&scene, 12).await;
    let began = Instant::now();
    scene.nodes[0].pause().await;
    load.latecomers();
    let kept = fenced(&load, &scene).await;
    load.done(Who::Follower).await;
    load.recovered_since(began);
    // What is tested is a length of time.
    sleep(Duration::from_secs(30).saturating_sub(began.elapsed())).await;
    scene.nodes[0].go_on().await;
    back(load, &scene, "node stopped for 30 s (SIGSTOP), then going on", &kept).await;
}

#[tokio::test]
async fn a_node_is_cut_off_from_redis_for_so_long_that_it_is_taken_for_dead() {
    let Some(scene) = Scene::start().await else { return };
    let mut load = under_way(&scene, 30).await;
    let began = Instant::now();
    scene.wires[0].swallow();
    load.latecomers();
    let kept = fenced(&load, &scene).await;
    load.done(Who::Follower).await;
    load.recovered_since(began);
    load.flow(20).await;
    scene.wires[0].clear();
    back(load, &scene, "node cut off from Redis until taken for dead", &kept).await;
}

#[tokio::test]
async fn a_node_is_cut_off_from_redis_for_a_moment() {
    let Some(scene) = Scene::start().await else { return };
    let mut load = under_way(&scene, 10).await;
    scene.wires[0].swallow();
    load.latecomers();
    load.flow(75).await;
    scene.wires[0].clear();
    load.healed(&scene.probe).await;
    let row = load.finish("node cut off from Redis for 3 s", &scene.probe).await;
    assert_eq!(row.gapped, 0, "{row:?}");
}

#[tokio::test]
async fn handlers_panic_and_bodies_fail() {
    for (fault, fate) in [("handler panics", "&panic_at=101"), ("handler's body fails", "&fail_at=101")] {
        let Some(scene) = Scene::start().await else { return };
        let mut load = Load::new(&scene, Shape { events: 200, pace: 10, fate, ..Shape::default() });
        load.begin(STREAMS).await;
        load.reach(20).await;
        load.latecomers();
        load.done(Who::First).await;
        load.latecomers();
        let (row, all) = load.come_through(fault).await;
        row.check();
        for seen in all {
            let outcome = seen.outcome.expect("none hangs");
            assert_eq!(
                (outcome.ledger.last, outcome.ledger.end),
                (100, Some(("error".to_owned(), 100))),
                "{:?}",
                seen.who
            );
            assert!(seen.who != Who::First || outcome.breaks == 0);
        }
    }
}
