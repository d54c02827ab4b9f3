//! Protocol section 3, cancel: the handler stops wherever it runs, and the client is told what is true.

use crate::common::{
    Ended, Handler, Nodes, Peek, Reply, Request, Run, Switch, call, get_stream, keys, layer, sharing, until,
};
use http::Method;
use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex},
    time::Duration,
};
use tower::{Layer as _, service_fn};
use tower_resume::{
    Attach, Authorization, Class, Durability, EventView, Principal, ResumeLayer, SnapshotFold, StreamName,
    store::MemoryStore,
};

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

/// Every token of a first response, and of the responses that it is resumed by, may cancel: whatever came last in them.
#[tokio::test]
async fn each_token_of_a_first_response_and_of_its_resumes_may_cancel() {
    for events in 0..3 {
        for resumes in 0..3 {
            let nodes = Nodes::start([layer()]).await;
            let run = nodes.counted(events).await;
            let mut token = run.id(events).to_owned();
            for _ in 0..resumes {
                let mut reply = nodes.resume(0, &token).send().await;
                token = reply.phase("replay").await["token"].as_str().unwrap().to_owned();
            }
            assert!(Peek::into(&token).may_cancel);
            is_bare(cancel(&nodes, 0, &token).await, 204).await;
            run.told().dropped().await;
        }
    }
}

#[tokio::test]
async fn the_applications_hook_sees_a_cancel_and_may_refuse_it() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let authorize = move |head: &http::request::Parts| {
        noted.lock().unwrap().push(head.method.clone());
        match head.headers.contains_key("x-good") {
            true => Authorization::Allow,
            false => Authorization::Refuse(Box::new(http::Response::builder().status(418).body("no".into()).unwrap())),
        }
    };
    let nodes = Nodes::start([layer().authorize_with(authorize)]).await;
    let run = nodes.counted(1).await;
    for token in [run.id(1), "rubbish"] {
        assert_eq!(cancel(&nodes, 0, token).await.status, 418, "the hook comes first");
    }
    assert!(!run.told().is_dropped());
    let good = Request::new(nodes.addr(0), Method::DELETE, "/stream").header("x-good", "1");
    is_bare(good.header("x-resume-token", run.id(1)).send().await, 204).await;
    assert_eq!(*seen.lock().unwrap(), [Method::DELETE, Method::DELETE, Method::DELETE]);
}

#[tokio::test]
async fn only_the_token_header_makes_a_delete_a_cancel() {
    let nodes = Nodes::start([layer().query_param("resume")]).await;
    let mut run = nodes.counted(1).await;
    let plain = Request::new(nodes.addr(0), Method::DELETE, "/stream").header("last-event-id", "41").ask();
    let plain = tokio::spawn(plain);
    assert_eq!(nodes.handler.told().await.head.method, Method::DELETE, "a DELETE of the application's own");
    drop(plain);
    let by_id = Request::new(nodes.addr(0), Method::DELETE, "/resume").header("last-event-id", run.id(1));
    let by_query = Request::new(nodes.addr(0), Method::DELETE, &format!("/resume?resume={}", run.id(1)));
    for request in [by_id, by_query] {
        request.send().await.phase("replay").await;
    }
    run.count(1).await;
    assert!(!run.told().is_dropped());
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

#[tokio::test]
async fn the_tokens_of_an_attached_reader_cancel_only_where_the_application_says_so() {
    for may_cancel in [false, true] {
        let named = |mut response: axum::response::Response| {
            response.extensions_mut().insert(StreamName::new("chat"));
            response
        };
        let layer = layer();
        let handler = Handler::with_head(named);
        let attach = axum::routing::get(async move || axum::Extension(Attach::to("chat").may_cancel(may_cancel)));
        let app = handler.router().route("/attach", attach).layer(layer.clone());
        let app = app.route_service("/resume", layer.endpoint());
        let mut first = call(app.clone(), get_stream()).await;
        first.phase("open").await;
        let told = handler.told().await;
        let ask = |method, path, token: &str| {
            let request = http::Request::builder().method(method).uri(path).header("x-resume-token", token);
            call(app.clone(), request.body(axum::body::Body::empty()).unwrap())
        };
        let request = http::Request::get("/attach").body(axum::body::Body::empty()).unwrap();
        let mut attached = call(app.clone(), request).await;
        let token = attached.phase("replay").await["token"].as_str().unwrap().to_owned();
        // What is resumed with it has no more rights than it had.
        let mut resumed = ask(Method::GET, "/resume", &token).await;
        let again = resumed.phase("replay").await["token"].as_str().unwrap().to_owned();
        for token in [&token, &again] {
            let reply = ask(Method::DELETE, "/resume", token).await;
            match may_cancel {
                true => is_bare(reply, 204).await,
                false => is_problem(reply, 403, "not_allowed").await,
            }
        }
        if may_cancel {
            told.dropped().await;
        } else {
            assert!(!told.is_dropped());
        }
    }
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

/// Two nodes, each with its own hold on one store.
async fn switched() -> (Nodes, [Switch; 2]) {
    let store = MemoryStore::new();
    let switches = [Switch::new(&store).shared(), Switch::new(&store).shared()];
    let layers = switches.clone().map(|switch| ResumeLayer::new(switch, keys()).tokens_are_enough());
    (Nodes::start(layers).await, switches)
}

async fn known_to_both(nodes: &Nodes) -> Run {
    let run = nodes.counted(2).await;
    nodes.knows(1, run.id(0), 2).await;
    run
}

#[tokio::test]
async fn without_a_store_a_stream_is_cancelled_on_its_node_and_nowhere_else() {
    let (nodes, switches) = switched().await;
    let mut run = known_to_both(&nodes).await;
    for switch in &switches {
        switch.set_down(true);
    }
    is_problem(cancel(&nodes, 1, run.id(1)).await, 503, "store_unavailable").await;
    assert!(!run.told().is_dropped());
    is_bare(cancel(&nodes, 0, run.id(1)).await, 204).await;
    run.told().dropped().await;
    brings_the_end(run.first(), 2).await;
    for switch in &switches {
        switch.set_down(false);
    }
    until("the store has it", async || nodes.status(1, run.id(1)).await["status"] == "cancelled").await;
}

#[tokio::test]
async fn a_node_that_does_not_hear_is_told_by_the_store_and_until_then_the_client_only_that_it_was_asked() {
    let (nodes, [one, other]) = switched().await;
    let mut run = known_to_both(&nodes).await;
    other.set_deaf(true);
    is_bare(cancel(&nodes, 1, run.id(1)).await, 202).await;
    assert!(!run.told().is_dropped());
    assert_eq!(nodes.status(1, run.id(1)).await["status"], "running");
    // The writer looks after its log when the store has come back, and finds the word that was left there.
    one.set_down(true);
    run.count(1).await;
    one.set_down(false);
    run.told().dropped().await;
    brings_the_end(run.first(), 3).await;
    is_bare(cancel(&nodes, 1, run.id(1)).await, 204).await;
}

#[tokio::test]
async fn the_word_in_the_store_is_read_at_each_renewal() {
    let store = MemoryStore::new();
    let [one, other] = [Switch::new(&store).shared(), Switch::new(&store).shared()];
    let layers = [one, other.clone()]
        .map(|switch| ResumeLayer::new(switch, keys()).tokens_are_enough().state_ttl(Duration::from_secs(3)));
    let nodes = Nodes::start(layers).await;
    let mut run = known_to_both(&nodes).await;
    other.set_deaf(true);
    // Some renewals come within the two seconds that the client waits, some do not: it is told what is true.
    let status = cancel(&nodes, 1, run.id(1)).await.status;
    assert!(status == 202 || (status == 204 && run.told().is_dropped()), "{status}");
    run.told().dropped().await;
    brings_the_end(run.first(), 2).await;
}

#[tokio::test]
async fn a_stream_whose_node_is_dead_or_does_not_know_it_is_ended_in_its_place() {
    for dead in [true, false] {
        let (nodes, [one, other]) = switched().await;
        let run = known_to_both(&nodes).await;
        let token = run.id(1).to_owned();
        let mut follower = nodes.resume(1, run.id(2)).send().await;
        follower.phase("replay").await;
        follower.phase("live").await;
        // Its node is cut off for good. What it has is in the store.
        one.set_down(true);
        if dead {
            other.misses(&one, true);
        } else {
            other.set_ignorant(true);
        }
        is_bare(cancel(&nodes, 1, &token).await, 204).await;
        brings_the_end(&mut follower, 2).await;
        assert_eq!(nodes.status(1, &token).await["status"], "cancelled");
        // A writer that finds such an end stops, too.
        assert!(!run.told().is_dropped());
        one.set_down(false);
        run.told().dropped().await;
    }
}

#[tokio::test]
async fn a_stream_that_the_store_does_not_hold_yet_is_asked_for_at_its_node() {
    let (nodes, [one, other]) = switched().await;
    one.set_full(true);
    let run = nodes.counted(1).await;
    // It is stopped, and cannot be seen to be: its end is not in the store.
    is_bare(cancel(&nodes, 1, run.id(1)).await, 202).await;
    run.told().dropped().await;
    one.set_full(false);
    until("the store has it", async || cancel(&nodes, 1, run.id(1)).await.status == 204).await;
    one.set_full(true);
    let run = nodes.counted(1).await;
    other.set_deaf(true);
    is_bare(cancel(&nodes, 1, run.id(1)).await, 202).await;
    other.misses(&one, true);
    is_problem(cancel(&nodes, 1, run.id(1)).await, 503, "store_unavailable").await;
    assert!(!run.told().is_dropped(), "a young stream may yet come");
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
