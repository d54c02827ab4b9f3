//! The grace time: a handler that nobody reads for so long is stopped. And what counts as being read, for the
//! detach time too.

use crate::common::{Ended, Handler, Reply, Switch, Told, call, get_stream, keys, layer, until};
use axum::{Router, body::Body};
use std::time::Duration;
use tokio::time::{Instant, sleep};
#[cfg(feature = "redis")]
use tower_resume::{RequestId, store::Store as _};
use tower_resume::{ResumeLayer, WhenAlone, store::MemoryStore};

const SECOND: Duration = Duration::from_secs(1);
const GRACE: Duration = Duration::from_secs(20);
/// A follower goes on for a moment when its last reader has left, and the writer looks each second.
const LATE: Duration = Duration::from_secs(5);

struct Here {
    handler: Handler,
    app: Router,
}

impl Here {
    fn new<S: tower_resume::store::Store>(layer: &ResumeLayer<S>) -> Self {
        let handler = Handler::new();
        let app = handler.router().layer(layer.clone()).route_service("/resume", layer.endpoint());
        Self { handler, app }
    }

    /// A stream of one event, which its client has seen.
    async fn begin(&self) -> (Told, Reply, String) {
        let mut first = call(self.app.clone(), get_stream()).await;
        first.phase("open").await;
        let told = self.handler.told().await;
        told.send("data: 1\n\n");
        let token = first.counts([1]).await;
        (told, first, token)
    }

    async fn ask(&self, token: &str, mode: &str) -> Reply {
        let request = http::Request::get("/resume").header("x-resume-token", token).header("x-resume-mode", mode);
        call(self.app.clone(), request.body(Body::empty()).unwrap()).await
    }

    /// One that follows on; it is live.
    async fn follow(&self, token: &str) -> Reply {
        until("it is known", async || self.ask(token, "status").await.status == 200).await;
        let mut reply = self.ask(token, "live").await;
        reply.phase("replay").await;
        reply.phase("live").await;
        reply
    }
}

/// Two nodes, each with its own hold on one store.
fn two(set: impl Fn(ResumeLayer<Switch>) -> ResumeLayer<Switch>) -> ([Here; 2], [ResumeLayer<Switch>; 2], [Switch; 2]) {
    let store = MemoryStore::new();
    let switches = [Switch::new(&store).shared(), Switch::new(&store).shared()];
    let layers = switches.clone().map(|switch| set(ResumeLayer::new(switch, keys()).tokens_are_enough()));
    ([Here::new(&layers[0]), Here::new(&layers[1])], layers, switches)
}

/// The handler is stopped within this much of a moment, and the stream says so.
async fn is_stopped(here: &Here, told: &Told, token: &str, since: Instant, after: Duration) {
    told.dropped().await;
    let took = since.elapsed();
    assert!(took >= after && took <= after + LATE, "stopped after {took:?}");
    let mut late = here.ask(token, "live").await;
    assert_eq!(late.phase("replay").await["status"], "cancelled");
    assert_eq!(late.phase("end").await["status"], "cancelled");
    assert_eq!(late.rest().await, (vec![], Ended::Clean));
}

#[tokio::test(start_paused = true)]
async fn without_a_grace_time_a_client_that_leaves_stops_nothing() {
    let here = Here::new(&layer());
    let (told, first, _) = here.begin().await;
    drop(first);
    sleep(800 * SECOND).await;
    assert!(!told.is_dropped());
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_nobody_reads_for_its_grace_time_is_stopped() {
    let here = Here::new(&layer().grace(GRACE));
    let (told, first, token) = here.begin().await;
    sleep(10 * GRACE).await;
    assert!(!told.is_dropped(), "somebody is connected");
    drop(first);
    sleep(GRACE / 2).await;
    let mut second = here.follow(&token).await;
    sleep(10 * GRACE).await;
    told.send("data: 2\n\n");
    second.counts([2]).await;
    let token = second.headers["x-resume-token"].to_str().unwrap().to_owned();
    let since = Instant::now();
    drop(second);
    sleep(GRACE - SECOND).await;
    assert!(!told.is_dropped(), "that it was alone before does not count");
    told.dropped().await;
    assert!(since.elapsed() >= GRACE && since.elapsed() <= GRACE + LATE);
    let mut late = here.ask(&token, "live").await;
    assert_eq!(late.phase("replay").await["status"], "cancelled");
    late.counts([2]).await;
    assert_eq!(late.phase("end").await["status"], "cancelled");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_pauses_is_stopped_all_the_same() {
    let here = Here::new(&layer().grace(GRACE).when_alone(WhenAlone::Pause));
    let (told, first, token) = here.begin().await;
    let since = Instant::now();
    drop(first);
    is_stopped(&here, &told, &token, since, GRACE).await;
}

#[tokio::test(start_paused = true)]
async fn who_reads_on_another_node_counts_and_so_does_who_was_there_in_between() {
    let ([one, other], ..) = two(|layer| layer.grace(GRACE));
    let (told, first, token) = one.begin().await;
    let mut follower = other.follow(&token).await;
    drop(first);
    sleep(10 * GRACE).await;
    assert!(!told.is_dropped(), "it is read elsewhere");
    told.send("data: 2\n\n");
    let token = follower.counts([2]).await;
    drop(follower);
    for _ in 0..5 {
        sleep(GRACE - 2 * SECOND).await;
        assert!(!told.is_dropped(), "somebody was there a moment ago");
        let visit = other.follow(&token).await;
        sleep(SECOND / 2).await;
        drop(visit);
    }
    let since = Instant::now();
    is_stopped(&other, &told, &token, since, GRACE).await;
}

#[tokio::test(start_paused = true)]
async fn the_detach_time_begins_when_the_last_reader_has_left_wherever_that_was() {
    let detach = 60 * SECOND;
    let ([one, other], ..) = two(|layer| layer.detach_time(detach));
    let (told, first, token) = one.begin().await;
    drop(first);
    // It comes after the writer has looked, and leaves before it would look at the end of its detach time.
    sleep(20 * SECOND).await;
    let visit = other.follow(&token).await;
    sleep(30 * SECOND).await;
    let since = Instant::now();
    drop(visit);
    sleep(detach - SECOND).await;
    assert!(!told.is_dropped());
    told.dropped().await;
    assert!(since.elapsed() >= detach && since.elapsed() <= detach + 2 * LATE, "{:?}", since.elapsed());
    assert_eq!(other.ask(&token, "live").await.phase("replay").await["status"], "interrupted");
}

#[tokio::test(start_paused = true)]
async fn while_nobody_can_tell_who_reads_elsewhere_nothing_is_stopped() {
    let ([one, _], layers, [switch, _]) = two(|layer| layer.grace(GRACE));
    let (told, first, token) = one.begin().await;
    until("it is stored", async || one.ask(&token, "status").await.status == 200).await;
    switch.set_down(true);
    drop(first);
    sleep(10 * GRACE).await;
    assert!(!told.is_dropped(), "the store is away");
    switch.set_down(false);
    let since = Instant::now();
    is_stopped(&one, &told, &token, since, GRACE + 5 * SECOND).await;

    let (told, first, _) = one.begin().await;
    let drain = tokio::spawn(layers[0].drain(10 * GRACE));
    assert_eq!(first_ends(first).await, Ended::Abrupt);
    sleep(5 * GRACE).await;
    assert!(!told.is_dropped(), "its clients were sent away, and may not have found another node yet");
    told.end();
    assert_eq!(drain.await.unwrap().interrupted, 0);
}

async fn first_ends(mut reply: Reply) -> Ended {
    reply.rest().await.1
}

#[cfg(feature = "redis")]
#[tokio::test]
async fn over_redis_a_handler_is_stopped_once_nobody_reads_it_on_any_node() {
    let grace = 3 * SECOND;
    let Some(redis) = crate::redis_server::RedisServer::start().await else { return };
    let (mut nodes, mut stores) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let store = crate::on_redis::unhurried(&redis).await;
        nodes.push(Here::new(&ResumeLayer::new(store.clone(), keys()).tokens_are_enough().grace(grace)));
        stores.push(store);
    }
    let (told, first, token) = nodes[0].begin().await;
    let id = RequestId::parse(first.header("x-resume-stream").unwrap()).unwrap();
    let mut follower = nodes[1].follow(&token).await;
    until("its node knows of the follower", async || stores[0].is_watched(id)).await;
    drop(first);
    // Twice its grace time: the follower alone keeps it.
    sleep(2 * grace).await;
    assert!(!told.is_dropped());
    told.send("data: 2\n\n");
    let token = follower.counts([2]).await;
    let since = Instant::now();
    drop(follower);
    told.dropped().await;
    assert!(since.elapsed() >= grace, "{:?}", since.elapsed());
    // The handler is let go before its end is stored.
    until("its end is stored", async || nodes[1].ask(&token, "status").await.json().await["status"] == "cancelled")
        .await;
    let mut late = nodes[1].ask(&token, "live").await;
    assert_eq!(late.phase("replay").await["status"], "cancelled");
}
