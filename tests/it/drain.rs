//! A drain: clients go on elsewhere where they can, streams run to their end, what is left at the deadline is
//! interrupted, and no response of the layer's stays open.

mod deadline;
mod shutdown;

use crate::common::{Ended, Handler, Logs, Reply, Switch, Told, call, get_stream, keys, layer, until};
use axum::{Router, body::Body};
use futures_util::future::join_all;
use http::{Request, Version};
use std::time::Duration;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
use tower_resume::{
    Attach, Drained, ResumeLayer, StreamName,
    store::{MemoryStore, Store},
    telemetry::Name,
};

/// A node that is called without sockets, so that time can be paused.
struct Here<S> {
    layer: ResumeLayer<S>,
    handler: Handler,
    app: Router,
}

impl<S: Store> Here<S> {
    fn new(layer: ResumeLayer<S>) -> Self {
        let handler = Handler::new();
        let app = handler.router().layer(layer.clone()).route_service("/resume", layer.endpoint());
        Self { layer, handler, app }
    }

    /// Begins a stream; its client has seen `open`: both sides, and the token.
    async fn begin(&self) -> (Told, Reply, String) {
        let mut first = call(self.app.clone(), get_stream()).await;
        let token = first.phase("open").await["token"].as_str().unwrap().to_owned();
        (self.handler.told().await, first, token)
    }

    async fn resume(&self, token: &str) -> Reply {
        let request = Request::get("/resume").header("x-resume-token", token).body(Body::empty()).unwrap();
        call(self.app.clone(), request).await
    }

    /// Waits until this node, too, knows of this event.
    async fn knows(&self, token: &str, last: u64) {
        until("it is known", async || {
            let request = Request::get("/resume?mode=status").header("x-resume-token", token);
            let status = call(self.app.clone(), request.body(Body::empty()).unwrap()).await;
            status.status == 200 && status.json().await["last"] == last
        })
        .await;
    }

    fn drain(&self, within: Duration) -> JoinHandle<Drained> {
        tokio::spawn(self.layer.drain(within))
    }
}

/// Two nodes, each with its own hold on one store.
fn two() -> ([Here<Switch>; 2], [Switch; 2]) {
    let store = MemoryStore::new();
    let switches = [Switch::new(&store).shared(), Switch::new(&store).shared()];
    let nodes = switches.clone().map(|switch| Here::new(ResumeLayer::new(switch, keys()).tokens_are_enough()));
    (nodes, switches)
}

const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

/// How many streams were interrupted, how many are not stored, and how many responses are open still.
fn parts(drained: Drained) -> (usize, usize, usize) {
    (drained.interrupted, drained.unstored, drained.open)
}

/// Reads on to how the body ends: the events' numbers, the id of the last, the end's status if there was one.
struct Rest {
    numbers: Vec<u64>,
    token: String,
    status: Option<String>,
    ended: Ended,
    at: Instant,
}

async fn rest(mut reply: Reply, token: &str) -> Rest {
    let (events, ended) = reply.events().await;
    let mut rest = Rest { numbers: Vec::new(), token: token.to_owned(), status: None, ended, at: Instant::now() };
    for event in events {
        match event.phase().as_deref() {
            None => rest.numbers.push(event.data.parse().unwrap()),
            Some("end") => rest.status = Some(event.json()["status"].as_str().unwrap().to_owned()),
            Some("gap") => panic!("{event:?}"),
            Some(_) => {}
        }
        rest.token = event.id.unwrap();
    }
    rest
}

#[tokio::test(start_paused = true)]
async fn on_a_shared_store_clients_go_on_on_another_node_at_scattered_moments_and_lose_nothing() {
    let ([one, other], _) = two();
    let (mut told, mut clients) = (Vec::new(), Vec::new());
    for _ in 0..40 {
        let (handler, mut first, _) = one.begin().await;
        handler.count(1..=3);
        let token = first.counts(1..=3).await;
        told.push(handler);
        clients.push((first, token));
    }
    // These only follow what runs elsewhere, and nothing is said there.
    let (elsewhere, mut first_elsewhere, token) = other.begin().await;
    elsewhere.count(1..=3);
    first_elsewhere.counts(1..=3).await;
    one.knows(&token, 3).await;
    for _ in 0..10 {
        let mut follower = one.resume(&token).await;
        follower.phase("replay").await;
        let token = follower.counts(1..=3).await;
        follower.phase("live").await;
        clients.push((follower, token));
    }
    let begun = Instant::now();
    let drain = one.drain(10 * MINUTE);
    let gone = join_all(clients.into_iter().map(|(reply, token)| async move { rest(reply, &token).await })).await;
    let (mut soonest, mut latest) = (Duration::MAX, Duration::ZERO);
    for rest in &gone {
        assert_eq!((rest.ended, &rest.status, rest.numbers.len()), (Ended::Abrupt, &None, 0));
        (soonest, latest) = (soonest.min(rest.at - begun), latest.max(rest.at - begun));
    }
    assert!(latest < 11 * SECOND && latest - soonest > 3 * SECOND, "{soonest:?} to {latest:?}");
    assert!(told.iter().all(|told| !told.is_dropped()), "the handlers run on");
    for told in &told {
        told.count(4..=6);
    }
    elsewhere.count(4..=6);
    let mut back = Vec::new();
    for rest in &gone {
        back.push(other.resume(&rest.token).await);
    }
    assert!(!drain.is_finished());
    drop((told, elsewhere));
    for (reply, before) in back.into_iter().zip(&gone) {
        let rest = rest(reply, &before.token).await;
        assert_eq!((&*rest.numbers, rest.status.as_deref()), (&[4, 5, 6][..], Some("complete")));
    }
    assert_eq!(parts(drain.await.unwrap()), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_to_a_node_that_is_drained_is_served_for_a_while_over_a_connection_of_its_own() {
    let ([one, other], _) = two();
    let (told, mut first, token) = one.begin().await;
    told.send("data: 1\n\n");
    first.counts([1]).await;
    let drain = one.drain(10 * MINUTE);
    assert_eq!(rest(first, &token).await.ended, Ended::Abrupt);
    // One that knows no other node.
    let begun = Instant::now();
    let mut token = token;
    for turn in 1..=10 {
        let reply = one.resume(&token).await;
        assert_eq!((reply.status.as_u16(), reply.header("connection")), (200, Some("close")));
        let rest = rest(reply, &token).await;
        assert_eq!((rest.ended, rest.status), (Ended::Abrupt, None));
        token = rest.token;
        let took = rest.at - begun;
        assert!(took >= turn * 2 * SECOND && took < turn * 6 * SECOND, "turn {turn}: {took:?}");
    }
    // A stream that begins now: its handler runs here to its end.
    for (version, close) in
        [(Version::HTTP_11, Some("close")), (Version::HTTP_10, Some("close")), (Version::HTTP_2, None)]
    {
        let begun = Instant::now();
        let request = Request::get("/stream").version(version).body(Body::empty()).unwrap();
        let first = call(one.app.clone(), request).await;
        assert_eq!((first.status.as_u16(), first.header("connection")), (200, close), "{version:?}");
        let told = one.handler.told().await;
        told.send("data: 1\n\n");
        let first = rest(first, "").await;
        assert_eq!((first.ended, &*first.numbers), (Ended::Abrupt, &[1][..]));
        assert!(first.at - begun >= 2 * SECOND);
        let mut back = other.resume(&first.token).await;
        back.phase("replay").await;
        back.phase("live").await;
        drop(told);
        assert_eq!(back.phase("end").await["status"], "complete");
    }
    assert_eq!(one.resume("rubbish").await.status, 400, "refusals are what they were");
    drop(told);
    assert_eq!(parts(drain.await.unwrap()), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn on_a_store_of_its_own_clients_stay_and_streams_run_to_their_end() {
    let here = Here::new(layer());
    let (told, mut first, token) = here.begin().await;
    let mut second = here.resume(&token).await;
    second.phase("replay").await;
    second.phase("live").await;
    let drain = here.drain(10 * MINUTE);
    for number in 1..=20 {
        told.send(format!("data: {number}\n\n"));
        sleep(20 * SECOND).await;
        first.counts([number]).await;
        second.counts([number]).await;
        assert!(!drain.is_finished());
    }
    told.end();
    for reply in [&mut first, &mut second] {
        assert_eq!(reply.phase("end").await["status"], "complete");
        assert_eq!(reply.rest().await, (vec![], Ended::Clean));
    }
    drop((first, second));
    assert_eq!(parts(drain.await.unwrap()), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn while_the_store_is_out_clients_stay_and_once_it_is_back_they_are_sent_away() {
    let ([one, other], [switch, _]) = two();
    let (told, mut first, token) = one.begin().await;
    told.send("data: 1\n\n");
    first.counts([1]).await;
    one.knows(&token, 1).await;
    let drain = one.drain(10 * MINUTE);
    switch.set_down(true);
    sleep(MINUTE).await;
    told.send("data: 2\n\n");
    let token = first.counts([2]).await;
    switch.set_down(false);
    let begun = Instant::now();
    let gone = rest(first, &token).await;
    assert_eq!((gone.ended, gone.status), (Ended::Abrupt, None));
    assert!(begun.elapsed() < 10 * SECOND);
    other.knows(&token, 2).await;
    told.end();
    assert_eq!(rest(other.resume(&token).await, &token).await.status.as_deref(), Some("complete"));
    assert_eq!(parts(drain.await.unwrap()), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_is_attached_during_a_drain_is_told_to_come_back_elsewhere() {
    let named = |mut response: axum::response::Response| {
        response.extensions_mut().insert(StreamName::new("chat"));
        response
    };
    let layer = layer();
    let handler = Handler::with_head(named);
    let attach = axum::routing::get(async || axum::Extension(Attach::to("chat")));
    let app = handler.router().route("/attach", attach).layer(layer.clone());
    let mut first = call(app.clone(), get_stream()).await;
    first.phase("open").await;
    let told = handler.told().await;
    let drain = tokio::spawn(layer.drain(MINUTE));
    sleep(SECOND).await;
    let request = Request::get("/attach").body(Body::empty()).unwrap();
    let attached = call(app, request).await;
    assert_eq!((attached.status.as_u16(), attached.header("connection")), (200, Some("close")));
    told.end();
    for reply in [first, attached] {
        assert_eq!(rest(reply, "").await.status.as_deref(), Some("complete"));
    }
    assert_eq!(parts(drain.await.unwrap()), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_drain_is_told_from_its_beginning_to_what_is_left() {
    let logs = Logs::new();
    let ([one, _], _) = two();
    let (told, mut first, token) = one.begin().await;
    told.send("data: 1\n\n");
    first.counts([1]).await;
    let drain = one.drain(MINUTE);
    rest(first, &token).await;
    drain.await.unwrap();
    let lines = |name: Name| {
        let event = format!("event={} ", name.as_str());
        logs.all().into_iter().filter(|line| line.contains(&event)).collect::<Vec<_>>()
    };
    assert_eq!(lines(Name::DrainBegan), ["INFO event=drain_began streams=1 readers=1"]);
    assert_eq!(lines(Name::DrainDone), ["INFO event=drain_done interrupted=1 unstored=0 open=0"]);
    let away = lines(Name::ReaderSentAway);
    assert!(away.len() == 1 && away[0].ends_with("seq=1") && !away[0].contains(&token), "{away:?}");
}
