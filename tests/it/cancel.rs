//! Protocol section 3, cancel: the handler stops wherever it runs, and the client is told what is true.

mod rights;
mod store;

use crate::common::{Ended, Nodes, Peek, Reply, Request, Switch, call, get_stream, keys, layer, sharing, until};
use http::Method;
use std::{num::NonZeroUsize, sync::Mutex, time::Duration};
use tower::{Layer as _, service_fn};
use tower_resume::{Class, Durability, EventView, Principal, ResumeLayer, SnapshotFold, store::MemoryStore};

/// A cancel, at the resume endpoint.
async fn cancel(nodes: &Nodes, node: usize, token: &str) -> Reply {
    Request::new(nodes.addr(node), Method::DELETE, "/resume").header("x-resume-token", token).send().await
}

/// A response without a body that no cache keeps.
async fn is_bare(reply: Reply, status: u16) {
    assert_eq!(reply.status, status);
    assert_eq!(reply.header("cache-control"), Some("no-store, no-transform"));
    for name in ["x-resume-token", "x-resume-stream", "content-type"] {
        assert_eq!(reply.header(name), None);
    }
    assert_eq!(reply.text().await, "");
}

async fn is_problem(reply: Reply, status: u16, code: &str) {
    assert_eq!(reply.status, status, "{code}");
    assert_eq!(reply.header("retry-after").is_some(), status == 503, "{code}");
    assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    assert_eq!(reply.json().await["code"], code);
}

/// The stream's end, as this response brings it.
async fn brings_the_end(reply: &mut Reply, last: u64) -> String {
    let end = reply.event().await;
    assert_eq!(end.phase().as_deref(), Some("end"), "{end:?}");
    assert_eq!((&end.json()["status"], &end.json()["seq"]), (&"cancelled".into(), &last.into()));
    assert_eq!(reply.rest().await, (vec![], Ended::Clean));
    end.id.expect("an id")
}

#[tokio::test]
async fn a_cancel_stops_the_handler_wherever_it_runs_and_everybody_sees_the_end() {
    for path in ["/resume", "/stream"] {
        for node in 0..2 {
            let nodes = Nodes::start(sharing(2)).await;
            let mut run = nodes.counted(3).await;
            nodes.knows(1, run.id(0), 3).await;
            let mut followers = Vec::new();
            for follower in 0..2 {
                let mut reply = nodes.resume(follower, run.id(3)).send().await;
                reply.phase("replay").await;
                reply.phase("live").await;
                followers.push(reply);
            }
            let request = Request::new(nodes.addr(node), Method::DELETE, path);
            is_bare(request.header("x-resume-token", run.id(1)).send().await, 204).await;
            run.told().dropped().await;
            let seen = brings_the_end(run.first(), 3).await;
            for follower in &mut followers {
                brings_the_end(follower, 3).await;
            }
            for asked in 0..2 {
                let status = nodes.status(asked, run.id(1)).await;
                assert_eq!((&status["status"], &status["last"]), (&"cancelled".into(), &3.into()));
                let mut late = nodes.reconnect(asked, run.id(1)).send().await;
                assert_eq!(late.phase("replay").await["status"], "cancelled");
                late.counts([2, 3]).await;
                brings_the_end(&mut late, 3).await;
                assert_eq!(nodes.reconnect(asked, &seen).send().await.status, 204);
            }
            assert_eq!(nodes.handler.untaken(), 0, "no cancel reaches the handler");
        }
    }
}

#[tokio::test]
async fn a_stream_that_is_over_or_gone_is_cancelled_already() {
    let nodes = Nodes::start(sharing(2)).await;
    let mut run = nodes.counted(2).await;
    let seen = run.end().await;
    until("the store has it", async || nodes.status(1, run.id(1)).await["status"] == "complete").await;
    for node in 0..2 {
        for token in [run.id(0), run.id(2), &seen] {
            is_bare(cancel(&nodes, node, token).await, 204).await;
        }
        assert_eq!(nodes.status(node, run.id(1)).await["status"], "complete", "an end that is there stays");
    }
    crate::common::pass(Duration::from_secs(1000)).await;
    for node in 0..2 {
        is_bare(cancel(&nodes, node, run.id(1)).await, 204).await;
        is_bare(cancel(&nodes, node, &seen).await, 204).await;
    }
}

#[tokio::test]
async fn a_cancel_is_refused_by_the_codes_of_a_resume() {
    let who = |head: &http::request::Parts| head.headers.get("x-who").map(|who| Principal::new(who.to_str().unwrap()));
    let nodes = Nodes::start([layer().principal_with(who)]).await;
    let mut run = nodes.counted(1).await;
    let spoiled = Peek::flips(run.id(1)).swap_remove(300);
    is_problem(cancel(&nodes, 0, "rubbish").await, 400, "malformed_token").await;
    is_problem(cancel(&nodes, 0, &spoiled).await, 401, "invalid_signature").await;
    let delete = || Request::new(nodes.addr(0), Method::DELETE, "/resume");
    is_problem(delete().send().await, 400, "missing_token").await;
    let twice = delete().header("x-resume-token", run.id(1)).header("x-resume-token", run.id(1));
    is_problem(twice.send().await, 400, "malformed_token").await;
    let other = delete().header("x-resume-token", run.id(1)).header("x-who", "somebody");
    is_problem(other.send().await, 401, "invalid_signature").await;
    let bare = Nodes::start([ResumeLayer::new(MemoryStore::new(), None)]).await;
    is_problem(cancel(&bare, 0, run.id(1)).await, 426, "resume_disabled").await;
    assert!(!run.told().is_dropped());
    run.count(1).await;
}

#[tokio::test]
async fn a_handler_that_is_held_back_or_says_nothing_is_stopped_as_well() {
    let few = || layer().max_events(NonZeroUsize::new(4).unwrap());
    // A client that takes nothing, through no socket: the handler is held back for want of room.
    let (body, pieces) = tokio::sync::mpsc::unbounded_channel::<Result<bytes::Bytes, std::io::Error>>();
    let pieces = Mutex::new(Some(pieces));
    let handler = service_fn(move |_: http::Request<axum::body::Body>| {
        let pieces = tokio_stream::wrappers::UnboundedReceiverStream::new(pieces.lock().unwrap().take().unwrap());
        let body = axum::body::Body::from_stream(pieces);
        let response = http::Response::builder().header("content-type", "text/event-stream").body(body).unwrap();
        std::future::ready(Ok::<_, std::convert::Infallible>(response))
    });
    let layer = few();
    let endpoint = layer.endpoint();
    let mut first = call(layer.layer(handler), get_stream()).await;
    let token = first.header("x-resume-token").unwrap().to_owned();
    for _ in 0..100 {
        body.send(Ok("data: x\n\n".into())).unwrap();
    }
    let ask = |method, mode| {
        let request = http::Request::builder().method(method).uri("/resume").header("x-resume-mode", mode);
        call(endpoint.clone(), request.header("x-resume-token", &token).body(axum::body::Body::empty()).unwrap())
    };
    until("it is held back", async || ask(Method::GET, "status").await.json().await["last"] == 4).await;
    is_bare(ask(Method::DELETE, "live").await, 204).await;
    body.closed().await;
    first.phase("open").await;
    for _ in 0..4 {
        first.event().await;
    }
    brings_the_end(&mut first, 4).await;

    // One that waits for nothing that ever comes, with nobody there.
    let nodes = Nodes::start([few()]).await;
    let mut run = nodes.counted(1).await;
    run.leave();
    is_bare(cancel(&nodes, 0, run.id(1)).await, 204).await;
    run.told().dropped().await;
}

#[tokio::test]
async fn a_stream_whose_store_takes_nothing_is_stopped_as_well_where_its_clients_wait_for_the_store() {
    let switch = Switch::new(&MemoryStore::new()).shared();
    let stored = ResumeLayer::new(switch.clone(), keys()).tokens_are_enough().durability(Durability::Stored);
    let nodes = Nodes::start([stored.max_events(NonZeroUsize::new(4).unwrap())]).await;
    let mut run = nodes.counted(1).await;
    switch.set_full(true);
    // More than it may run ahead of the store: it is held back.
    run.told().count(2..=100);
    is_bare(cancel(&nodes, 0, run.id(1)).await, 204).await;
    run.told().dropped().await;
    switch.set_full(false);
    let (events, how) = run.first().events().await;
    let (end, counted) = events.split_last().unwrap();
    assert_eq!(
        (&end.json()["status"], &end.json()["seq"], how),
        (&"cancelled".into(), &(counted.len() + 1).into(), Ended::Clean)
    );
    assert!((1..99).contains(&counted.len()), "{}", counted.len());
}

/// What was said so far.
#[derive(Default)]
struct Said(Vec<u8>);

impl SnapshotFold for Said {
    fn event(&mut self, event: &EventView<'_>) {
        self.0.extend_from_slice(&event.data());
    }

    fn snapshot(&self) -> Option<bytes::Bytes> {
        Some(self.0.clone().into())
    }
}

#[tokio::test]
async fn a_cancelled_stream_has_its_snapshot_as_any_that_is_over() {
    let few = NonZeroUsize::new(2).unwrap();
    let nodes = Nodes::start([layer().max_events(few).snapshot_with(|_| Said::default())]).await;
    let run = nodes.counted(5).await;
    is_bare(cancel(&nodes, 0, run.id(5)).await, 204).await;
    let mut late = nodes.resume(0, run.id(0)).send().await;
    assert_eq!(late.phase("replay").await["mode"], "snapshot");
    late.phase("gap").await;
    assert_eq!(late.phase("snapshot").await["status"], "cancelled");
    assert_eq!(late.event().await.data, "12345");
    brings_the_end(&mut late, 5).await;
}

#[tokio::test]
async fn an_application_whose_result_is_there_has_it_also_where_it_was_cancelled_behind_it() {
    let classify = |event: &EventView<'_>| if event.name() == "result" { Class::new().result() } else { Class::new() };
    let nodes = Nodes::start([layer().classify_with(classify)]).await;
    let mut run = nodes.counted(1).await;
    run.say("event: result\ndata: all\n\n").await;
    is_bare(cancel(&nodes, 0, run.id(1)).await, 204).await;
    let seen = brings_the_end(run.first(), 2).await;
    let mut late = nodes.resume(0, &seen).send().await;
    late.phase("replay").await;
    assert_eq!(late.phase("snapshot").await["status"], "cancelled");
    assert_eq!(late.event().await.data, "all");
    brings_the_end(&mut late, 2).await;
}

#[tokio::test]
async fn a_cancel_leaves_its_connection_fit_for_use() {
    let nodes = Nodes::start([layer()]).await;
    let run = nodes.counted(1).await;
    let large = vec![b'x'; 100 * 1024];
    let request = Request::new(nodes.addr(0), Method::DELETE, "/stream").header("x-resume-token", run.id(1));
    is_bare(request.body(large).send().await, 204).await;
    let http2 = Request::new(nodes.addr(0), Method::DELETE, "/stream").http2();
    is_bare(http2.header("x-resume-token", run.id(1)).send().await, 204).await;
}
