//! Protocol section 3, "Attach by key": handlers that name their streams, and handlers that attach their callers to them.

mod newest;

use crate::common::{Call, Ended, Peek, Reply, Stage, StreamBody, Switch, ask, call, keys, open_stream};
use axum::{Router, body::Body, response::Response};
use http::{HeaderValue, Request, StatusCode, request::Parts};
use std::time::Duration;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
use tower_resume::{
    Attach, Clock, ControlEvents, EventIds, Idempotency, Keys, Principal, ResumeLayer, StreamName, store::MemoryStore,
};

const SECOND: Duration = Duration::from_secs(1);
/// What the nodes' clocks begin with, in milliseconds since the epoch.
const START: u64 = 1_790_000_000_000;

/// A stage and two nodes, whose layer is set so.
pub(crate) struct Nodes {
    pub(crate) stage: Stage,
    pub(crate) nodes: Vec<(Router, Switch)>,
}

pub(crate) fn nodes(set: impl Fn(ResumeLayer<Switch>) -> ResumeLayer<Switch>) -> Nodes {
    let (stage, store, start) = (Stage::new(), MemoryStore::new(), Instant::now());
    let node = |_| {
        let switch = Switch::new(&store).shared();
        // It goes with tokio's, which tests pause: by the system's, all of a test may happen within one millisecond.
        let clock = Clock::new(move || START + u64::try_from(start.elapsed().as_millis()).unwrap());
        (stage.plain(set(ResumeLayer::new(switch.clone(), keys()).clock(clock).tokens_are_enough())), switch)
    };
    let nodes = (0..2).map(node).collect();
    Nodes { stage, nodes }
}

pub(crate) fn get() -> Request<Body> {
    Request::get("/").body(Body::empty()).unwrap()
}

impl Nodes {
    async fn ask(&self, node: usize, request: Request<Body>) -> (JoinHandle<Reply>, Call) {
        (ask(&self.nodes[node].0, request), self.stage.call().await)
    }

    /// A stream of this name, whose client has seen `open`.
    pub(crate) async fn named(&self, node: usize, name: &str) -> (Reply, StreamBody) {
        let (reply, called) = self.ask(node, get()).await;
        let (body, mut response) = open_stream();
        response.extensions_mut().insert(StreamName::new(name));
        called.answer(response);
        let mut reply = reply.await.unwrap();
        // `open`, as an event or as a comment.
        reply.item().await.unwrap();
        // Nobody waits for a name to be set.
        sleep(SECOND).await;
        (reply, body)
    }

    /// What a handler's answer with this extension becomes.
    pub(crate) async fn attach(&self, node: usize, attach: Attach) -> Reply {
        self.answer(node, get(), attached(attach)).await
    }

    pub(crate) async fn answer(&self, node: usize, request: Request<Body>, response: Response) -> Reply {
        let (reply, called) = self.ask(node, request).await;
        called.answer(response);
        reply.await.unwrap()
    }
}

fn attached(attach: Attach) -> Response {
    let mut response = Response::new(Body::from("the handler's own"));
    response.extensions_mut().insert(attach);
    response
}

pub(crate) async fn nothing(reply: Reply) {
    assert_eq!((reply.status, reply.header("cache-control")), (StatusCode::NO_CONTENT, Some("no-store, no-transform")));
    for name in ["content-type", "x-resume-stream", "x-resume-token"] {
        assert_eq!(reply.header(name), None);
    }
    assert_eq!(reply.text().await, "");
}

#[tokio::test(start_paused = true)]
async fn a_caller_is_attached_to_a_stream_that_runs_on_either_node_from_its_start_or_a_seq() {
    let nodes = nodes(|layer| layer);
    let (mut first, body) = nodes.named(0, "chat:1").await;
    (1..=3).for_each(|number| body.count(number));
    first.counts(1..=3).await;
    let mut readers = Vec::new();
    for node in 0..2 {
        for from in [0, 2, 3] {
            let mut reply = nodes.attach(node, Attach::to("chat:1").from(from)).await;
            assert_eq!(reply.status, 200);
            assert_eq!(reply.header("content-type"), Some("text/event-stream"));
            assert_eq!(reply.header("x-resume-stream"), first.header("x-resume-stream"));
            assert_eq!(reply.header("idempotency-replayed"), None);
            let replay = reply.phase("replay").await;
            assert_eq!((replay["from"].as_u64(), replay["mode"].as_str()), (Some(from), Some("live")));
            for number in from + 1..=3 {
                reply.counts([number]).await;
            }
            assert_eq!(reply.phase("live").await["replayed"], 3 - from);
            readers.push(reply);
        }
        let reply = nodes.attach(node, Attach::to("chat:1").from(4)).await;
        assert_eq!((reply.status, reply.json().await["code"].as_str()), (StatusCode::BAD_REQUEST, Some("bad_cursor")));
    }
    body.count(4);
    drop(body);
    for reply in &mut readers {
        reply.counts([4]).await;
        reply.phase("end").await;
        assert_eq!(reply.rest().await, (vec![], Ended::Clean));
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_stream_of_that_name_there_is_nothing() {
    for set in [
        |layer: ResumeLayer<Switch>| layer,
        |layer: ResumeLayer<Switch>| layer.event_ids(EventIds::Off),
        |layer: ResumeLayer<Switch>| layer.control_events(ControlEvents::Comments),
    ] {
        let nodes = nodes(set);
        let (_first, _body) = nodes.named(0, "chat:1").await;
        for node in 0..2 {
            for name in ["chat:2", "chat:", "Chat:1", ""] {
                nothing(nodes.attach(node, Attach::to(name).include_finished(true)).await).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_finished_stream_counts_where_the_handler_says_so_for_as_long_as_it_is_kept() {
    let ttl = Duration::from_secs(100);
    let nodes = nodes(|layer| layer.state_ttl(ttl));
    let (mut first, body) = nodes.named(0, "chat:1").await;
    // It runs for longer than a name lives by itself.
    sleep(ttl * 10).await;
    body.count(1);
    drop(body);
    first.rest().await;
    for age in [SECOND, ttl - 3 * SECOND] {
        sleep(age).await;
        for node in 0..2 {
            nothing(nodes.attach(node, Attach::to("chat:1")).await).await;
            let mut reply = nodes.attach(node, Attach::to("chat:1").include_finished(true)).await;
            assert_eq!(reply.phase("replay").await["status"], "complete");
            reply.counts([1]).await;
            reply.phase("end").await;
        }
    }
    sleep(ttl).await;
    for node in 0..2 {
        nothing(nodes.attach(node, Attach::to("chat:1").include_finished(true)).await).await;
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_are_the_callers_own_and_read_unless_the_handler_says_more() {
    let user = |head: &Parts| Some(Principal::new(head.headers.get("x-user")?.to_str().unwrap()));
    let nodes = nodes(|layer| layer.principal_with(user));
    let (_first, _body) = nodes.named(0, "chat:1").await;
    let as_bob = |mut request: Request<Body>| {
        request.headers_mut().insert("x-user", HeaderValue::from_static("bob"));
        request
    };
    for node in 0..2 {
        for may_cancel in [false, true] {
            let attach = Attach::to("chat:1").may_cancel(may_cancel);
            let mut reply = nodes.answer(node, as_bob(get()), attached(attach)).await;
            let token = reply.header("x-resume-token").unwrap().to_owned();
            let event = reply.event().await;
            assert_eq!(Peek::into(&token).may_cancel, may_cancel);
            assert_eq!(Peek::into(&event.id.unwrap()).may_cancel, may_cancel);
            let resume = || Request::get("/").header("x-resume-token", &token).body(Body::empty()).unwrap();
            assert_eq!(call(nodes.nodes[1 - node].0.clone(), as_bob(resume())).await.status, 200);
            assert_eq!(call(nodes.nodes[1 - node].0.clone(), resume()).await.status, 401);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_handlers_headers_are_kept_but_for_those_of_its_body() {
    let nodes = nodes(|layer| layer);
    let (_first, _body) = nodes.named(0, "chat:1").await;
    for (name, status) in [("chat:1", 200), ("chat:2", 204)] {
        let mut response = attached(Attach::to(name));
        for (name, value) in [
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("access-control-allow-origin", "*"),
            ("content-type", "text/plain"),
            ("content-length", "17"),
            ("etag", "\"x\""),
            ("last-modified", "now"),
            ("cache-control", "public"),
        ] {
            response.headers_mut().append(name, HeaderValue::from_static(value));
        }
        let reply = nodes.answer(1, get(), response).await;
        assert_eq!(reply.status.as_u16(), status);
        let cookies: Vec<_> = reply.headers.get_all("set-cookie").iter().collect();
        assert_eq!(cookies, ["a=1", "b=2"]);
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
        assert_eq!(reply.header("cache-control"), Some("no-store, no-transform"));
        assert_eq!(reply.header("content-type"), (status == 200).then_some("text/event-stream"));
        for gone in ["etag", "last-modified"] {
            assert_eq!(reply.header(gone), None, "{gone}");
        }
        assert_ne!(reply.header("content-length"), Some("17"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_refuses_is_not_overruled() {
    let nodes = nodes(|layer| layer);
    let (_first, _body) = nodes.named(0, "chat:1").await;
    let mut response = attached(Attach::to("chat:1"));
    *response.status_mut() = StatusCode::FORBIDDEN;
    let reply = nodes.answer(0, get(), response).await;
    assert_eq!(reply.status, 403);
    assert_eq!(reply.text().await, "the handler's own");
}

#[tokio::test(start_paused = true)]
async fn with_the_store_out_a_stream_of_this_node_is_found_and_for_the_others_the_caller_has_to_come_again() {
    let nodes = nodes(|layer| layer);
    nodes.nodes[0].1.set_down(true);
    let (first, body) = nodes.named(0, "chat:1").await;
    assert_eq!(first.header("x-resume-degraded"), Some("store"));
    body.count(1);
    let mut reply = nodes.attach(0, Attach::to("chat:1")).await;
    assert_eq!((reply.status.as_u16(), reply.header("x-resume-degraded")), (200, Some("store")));
    reply.phase("replay").await;
    reply.counts([1]).await;
    let reply = nodes.attach(0, Attach::to("chat:2")).await;
    assert_eq!((reply.status.as_u16(), reply.header("retry-after")), (503, Some("1")));
    assert_eq!(reply.json().await["code"], "store_unavailable");
    // The other node can ask the store, which has not been told yet.
    nothing(nodes.attach(1, Attach::to("chat:1")).await).await;
    nodes.nodes[0].1.set_down(false);
    sleep(5 * SECOND).await;
    let mut reply = nodes.attach(1, Attach::to("chat:1")).await;
    reply.phase("replay").await;
    reply.counts([1]).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_not_recorded_has_no_name() {
    let nodes = nodes(|layer| layer.max_streams(0));
    let (reply, called) = nodes.ask(0, get()).await;
    let (_body, mut response) = open_stream();
    response.extensions_mut().insert(StreamName::new("chat:1"));
    called.answer(response);
    assert_eq!(reply.await.unwrap().header("x-resume-degraded"), Some("capacity"));
    sleep(SECOND).await;
    for node in 0..2 {
        nothing(nodes.attach(node, Attach::to("chat:1")).await).await;
    }
    let stage = Stage::new();
    let bare = stage.plain(ResumeLayer::new(MemoryStore::new(), None));
    let reply = ask(&bare, get());
    stage.call().await.answer(attached(Attach::to("chat:1")));
    let reply = reply.await.unwrap();
    assert_eq!(reply.header("x-resume-degraded"), Some("no-secret"));
    nothing(reply).await;
}

#[tokio::test(start_paused = true)]
async fn control_events_come_as_the_stream_has_them() {
    let nodes = nodes(|layer| layer);
    let (reply, called) = nodes.ask(0, get()).await;
    let (body, mut response) = open_stream();
    response.extensions_mut().insert(StreamName::new("chat:1"));
    response.extensions_mut().insert(ControlEvents::Comments);
    called.answer(response);
    reply.await.unwrap();
    body.count(1);
    drop(body);
    sleep(SECOND).await;
    for node in 0..2 {
        let reply = nodes.attach(node, Attach::to("chat:1").include_finished(true)).await;
        let text = reply.text().await;
        assert!(text.starts_with(": resume {\"phase\":\"replay\"") && !text.contains("event: resume"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn names_are_a_scopes_and_survive_a_rotation() {
    let (old, new) = ([1; 32], [2; 32]);
    let (stage, store) = (Stage::new(), MemoryStore::new());
    let node = |scope: &str, ring: &[[u8; 32]]| {
        let layer = ResumeLayer::new(Switch::new(&store).shared(), Keys::ring(ring).unwrap());
        stage.plain(layer.tokens_are_enough().scope(scope))
    };
    for (number, (one, other, is_found)) in [
        (("", &[old][..]), ("", &[old][..]), true),
        (("", &[old]), ("", &[old, new]), true),
        (("", &[old, new]), ("", &[new, old]), true),
        (("", &[new, old]), ("", &[old, new]), true),
        (("", &[new, old]), ("", &[old]), true),
        (("", &[new, old]), ("", &[new]), true),
        (("", &[old]), ("", &[new]), false),
        (("", &[old]), ("s", &[old]), false),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("chat:{number}");
        let (one, other) = (node(one.0, one.1), node(other.0, other.1));
        let reply = ask(&one, get());
        let (_body, mut response) = open_stream();
        response.extensions_mut().insert(StreamName::new(&*name));
        stage.call().await.answer(response);
        let _first = reply.await.unwrap();
        sleep(SECOND).await;
        let reply = ask(&other, get());
        stage.call().await.answer(attached(Attach::to(&*name)));
        let status = if is_found { 200 } else { 204 };
        assert_eq!(reply.await.unwrap().status.as_u16(), status, "{number}");
    }
}

#[tokio::test(start_paused = true)]
async fn under_a_layer_that_starts_once_it_is_the_same_and_an_attached_answer_holds_no_key() {
    let stage = Stage::new();
    let nodes = stage.pair(|layer| layer.idempotency(Idempotency::new().shared_keys())).map(|(node, _)| node);
    let with = || Request::post("/").header("idempotency-key", "k").body(Body::empty()).unwrap();
    let reply = ask(&nodes[0], with());
    let (_body, mut response) = open_stream();
    response.extensions_mut().insert(StreamName::new("chat:1"));
    stage.call().await.answer(response);
    let first = reply.await.unwrap();
    sleep(SECOND).await;
    for request in [get, || Request::get("/").header("idempotency-key", "other").body(Body::empty()).unwrap()] {
        for node in &nodes {
            let reply = ask(node, request());
            stage.call().await.answer(attached(Attach::to("chat:1")));
            let reply = reply.await.unwrap();
            assert_eq!(reply.header("x-resume-stream"), first.header("x-resume-stream"));
        }
    }
}
