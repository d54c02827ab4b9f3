//! Protocol section 3: the table of codes, row by row.

use crate::common::{Ended, Handler, Item, Nodes, Peek, Reply, Request, Run, Switch, keys, layer, pass, until};
use http::{HeaderName, StatusCode, header};
use serde_json::Value;
use std::time::Duration;
use tower_resume::{ControlEvents, ResumeLayer, Step, store::MemoryStore};

/// Checks an error's head and body, all of it, and gives the body.
async fn problem(reply: Reply, status: u16, code: &str) -> Value {
    assert_eq!(reply.status, status, "{code}");
    assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{code}");
    assert_eq!(reply.header("cache-control"), Some("no-store, no-transform"), "{code}");
    let has = |name: HeaderName| reply.headers.get(&name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(has(header::WWW_AUTHENTICATE).as_deref(), (status == 401).then_some("Resume-Token"), "{code}");
    assert_eq!(has(header::RETRY_AFTER).is_some(), matches!(status, 429 | 503), "{code}");
    let upgrade = status == 426 && reply.version == http::Version::HTTP_11;
    assert_eq!(has(header::UPGRADE).as_deref(), upgrade.then_some("resume"), "{code}");
    assert_eq!(has(header::CONNECTION).as_deref(), upgrade.then_some("upgrade"), "{code}");
    for name in ["x-resume-stream", "x-resume-token"] {
        assert_eq!(reply.header(name), None, "{code}");
    }
    let json = reply.json().await;
    assert_eq!((&json["code"], &json["status"]), (&code.into(), &status.into()));
    assert_eq!(json["upgrade"], if status == 426 { "resume=unsupported".into() } else { Value::Null }, "{code}");
    assert!(json["title"].is_string() && json["type"].is_string(), "{json}");
    json
}

/// A token of this layer's whose stream is gone.
async fn gone(nodes: &Nodes) -> String {
    let mut run = nodes.counted(1).await;
    run.end().await;
    let token = run.id(1).to_owned();
    pass(Duration::from_secs(1000)).await;
    token
}

#[tokio::test]
async fn every_error_of_a_bad_request_is_a_problem_with_its_code() {
    let nodes = Nodes::start([layer()]).await;
    let run = nodes.counted(1).await;
    let spoiled = Peek::flips(run.id(1)).swap_remove(300);
    for http2 in [false, true] {
        let requests = [
            (Request::get(nodes.addr(0), "/resume"), 400, "missing_token"),
            (nodes.resume(0, "rubbish"), 400, "malformed_token"),
            (nodes.resume(0, &run.id(1)[..70]), 400, "malformed_token"),
            (nodes.resume(0, run.id(1)).header("x-resume-token", "x"), 400, "malformed_token"),
            (nodes.resume(0, run.id(1)).header("x-resume-from", "2"), 400, "bad_cursor"),
            (nodes.resume(0, run.id(1)).header("x-resume-from", "x"), 400, "bad_cursor"),
            (nodes.resume(0, run.id(1)).header("x-resume-mode", "x"), 400, "bad_mode"),
            (nodes.resume(0, &spoiled), 401, "invalid_signature"),
        ];
        for (request, status, code) in requests {
            let request = if http2 { request.http2() } else { request };
            problem(request.send().await, status, code).await;
        }
    }
}

#[tokio::test]
async fn what_can_never_be_resumed_asks_for_an_upgrade_and_over_http2_only_in_its_body() {
    let nodes = Nodes::start([layer()]).await;
    let token = gone(&nodes).await;
    let bare = Nodes::start([ResumeLayer::new(MemoryStore::new(), None)]).await;
    for http2 in [false, true] {
        let cases = [(nodes.resume(0, &token), "stream_expired"), (nodes.reconnect(0, &token), "stream_expired")];
        for (request, code) in cases.into_iter().chain([(bare.resume(0, &token), "resume_disabled")]) {
            let request = if http2 { request.http2() } else { request };
            problem(request.send().await, 426, code).await;
        }
    }
    assert_eq!(nodes.handler.untaken(), 0, "the handler does not run again");
}

#[tokio::test]
async fn the_status_for_what_is_gone_can_be_set() {
    let nodes = Nodes::start([layer().gone_status(StatusCode::GONE)]).await;
    let token = gone(&nodes).await;
    let reply = nodes.resume(0, &token).send().await;
    assert_eq!(reply.status, 410);
    assert_eq!((reply.header("upgrade"), reply.header("connection")), (None, None));
    assert_eq!(reply.json().await["code"], "stream_expired");
    let reply = nodes.resume(0, "rubbish").send().await;
    assert_eq!(reply.status, 400, "no other status changes");
}

#[tokio::test]
async fn an_applications_own_errors_get_the_headers_that_the_protocol_needs() {
    let render = |error: tower_resume::ResumeError, status: StatusCode| {
        http::Response::builder().status(status).header("x-mine", "1").body(error.code().into()).unwrap()
    };
    let nodes = Nodes::start([layer().render_error_with(render).max_stream_readers(1)]).await;
    let run = nodes.counted(1).await;
    let gone = gone(&nodes).await;
    let spoiled = Peek::flips(run.id(1)).swap_remove(300);
    let cases = [
        (nodes.resume(0, "rubbish"), 400, "malformed_token", None),
        (nodes.resume(0, &spoiled), 401, "invalid_signature", Some(("www-authenticate", "Resume-Token"))),
        (nodes.resume(0, &gone), 426, "stream_expired", Some(("upgrade", "resume"))),
        (nodes.resume(0, run.id(1)), 429, "too_many_readers", Some(("retry-after", "1"))),
    ];
    for (request, status, code, header) in cases {
        let reply = request.send().await;
        assert_eq!((reply.status.as_u16(), reply.header("x-mine")), (status, Some("1")));
        assert_eq!(reply.header("cache-control"), Some("no-store, no-transform"));
        if let Some((name, value)) = header {
            assert_eq!(reply.header(name), Some(value), "{code}");
        }
        assert_eq!(reply.text().await, code);
    }
}

#[tokio::test]
async fn no_error_names_a_stream_or_says_why_a_signature_failed() {
    let nodes = Nodes::start([layer().scope("a")]).await;
    let run = nodes.counted(1).await;
    let other_scope = Nodes::start([layer().scope("b")]).await;
    let other_secret =
        Nodes::start([ResumeLayer::new(MemoryStore::new(), tower_resume::Keys::new([9; 32]).unwrap())]).await;
    let spoiled = Peek::flips(run.id(1)).swap_remove(300);
    let refused = [nodes.resume(0, &spoiled), other_scope.resume(0, run.id(1)), other_secret.resume(0, run.id(1))];
    let mut bodies = Vec::new();
    for request in refused {
        bodies.push(problem(request.send().await, 401, "invalid_signature").await);
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
    for request in [nodes.resume(0, &gone(&nodes).await), nodes.resume(0, run.id(1)).header("x-resume-from", "7")] {
        let reply = request.send().await;
        let head = format!("{:?}", reply.headers);
        let all = head + &reply.text().await;
        assert!(!all.contains(&run.request_id) && !all.contains(&run.request_id.replace('-', "")), "{all}");
    }
}

/// Checks that a client is asked to wait: at its cursor, in a `200`, and that the response then ends abruptly.
async fn waits(mut reply: Reply, id: &str, reason: &str) {
    assert_eq!((reply.status.as_u16(), reply.header("content-type")), (200, Some("text/event-stream")));
    assert_eq!(reply.header("cache-control"), Some("no-store, no-transform"));
    let wait = reply.event().await;
    assert_eq!((wait.phase().as_deref(), &wait.json()["reason"]), (Some("wait"), &reason.into()));
    assert!(wait.retry.is_some() && wait.id_is_last);
    assert_eq!(wait.json()["token"].as_str(), wait.id.as_deref());
    assert_eq!(wait.json()["token"].as_str(), reply.header("x-resume-token"));
    assert_eq!(Peek::into(&wait.id.unwrap()), Peek::into(id), "the client's cursor");
    assert_eq!(reply.rest().await, (vec![], Ended::Abrupt));
}

#[tokio::test]
async fn too_many_readers_are_a_429_and_a_wait_for_what_may_be_a_browser() {
    let nodes = Nodes::start([layer().max_stream_readers(2).query_param("resume")]).await;
    let run = nodes.counted(2).await;
    let mut second = nodes.resume(0, run.id(0)).send().await;
    second.phase("replay").await;
    problem(nodes.resume(0, run.id(1)).send().await, 429, "too_many_readers").await;
    waits(nodes.reconnect(0, run.id(1)).send().await, run.id(1), "too_many_readers").await;
    waits(nodes.reconnect(0, run.id(1)).http2().send().await, run.id(1), "too_many_readers").await;
    let by_query = |from: &str| Request::get(nodes.addr(0), &format!("/stream?resume={}{from}", run.id(1)));
    waits(by_query("").send().await, run.id(1), "too_many_readers").await;
    // A page that was reloaded has nothing yet: as it comes back, it must not skip what it asked for.
    waits(by_query("&from=0").send().await, run.id(0), "too_many_readers").await;
    let beside = nodes.resume(0, run.id(0)).header("last-event-id", run.id(1));
    waits(beside.send().await, run.id(1), "too_many_readers").await;
    drop(second);
    until("there is room again", async || nodes.resume(0, run.id(1)).send().await.status == 200).await;
}

#[tokio::test]
async fn the_nodes_readers_are_counted_too() {
    let nodes = Nodes::start([layer().max_readers(2)]).await;
    let one = nodes.counted(1).await;
    let two = nodes.counted(1).await;
    for run in [&one, &two] {
        problem(nodes.resume(0, run.id(1)).send().await, 429, "too_many_readers").await;
    }
    assert_eq!(nodes.status(0, one.id(0)).await["last"], 1, "status takes no place");
    drop(two);
    until("there is room again", async || nodes.resume(0, one.id(1)).send().await.status == 200).await;
}

#[tokio::test]
async fn where_control_events_are_comments_a_wait_is_a_503() {
    let nodes = Nodes::start([layer().control_events(ControlEvents::Comments).max_stream_readers(1)]).await;
    let mut first = Request::post(nodes.addr(0), "/stream").send().await;
    let token = first.header("x-resume-token").unwrap().to_owned();
    first.frame().await.unwrap();
    problem(nodes.reconnect(0, &token).send().await, 503, "too_many_readers").await;
}

/// Two nodes over a store that passes for shared, and node 1's switch.
async fn apart(set: impl Fn(ResumeLayer<Switch>) -> ResumeLayer<Switch>) -> (Nodes, Switch) {
    let store = MemoryStore::new();
    let [one, two] = [Switch::new(&store).shared(), Switch::new(&store).shared()];
    let layers = [one, two.clone()].map(|switch| set(ResumeLayer::new(switch, keys()).tokens_are_enough()));
    (Nodes::start(layers).await, two)
}

#[tokio::test]
async fn a_store_out_of_reach_is_a_503_and_a_wait_for_what_may_be_a_browser() {
    let (nodes, switch) = apart(|layer| layer.query_param("resume")).await;
    let run = nodes.counted(2).await;
    nodes.knows(1, run.id(0), 2).await;
    switch.set_down(true);
    problem(nodes.resume(1, run.id(1)).send().await, 503, "store_unavailable").await;
    let status = nodes.resume(1, run.id(1)).header("x-resume-mode", "status");
    problem(status.send().await, 503, "store_unavailable").await;
    waits(nodes.reconnect(1, run.id(1)).send().await, run.id(1), "store_unavailable").await;
    let by_query = Request::get(nodes.addr(1), &format!("/stream?resume={}&from=0", run.id(2)));
    waits(by_query.send().await, run.id(0), "store_unavailable").await;
    let mut here = nodes.reconnect(0, run.id(1)).send().await;
    here.phase("replay").await;
    here.counts([2]).await;
    switch.set_down(false);
    let mut back = nodes.reconnect(1, run.id(1)).send().await;
    back.phase("replay").await;
    back.counts([2]).await;
}

#[tokio::test]
async fn a_stream_that_is_not_in_a_shared_store_yet_is_waited_for_only_while_its_token_is_young() {
    let now = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(1_800_000_000_000));
    let clock = std::sync::Arc::clone(&now);
    let clock = tower_resume::Clock::new(move || clock.load(std::sync::atomic::Ordering::SeqCst));
    let (nodes, _switch) = apart(|layer| layer.clock(clock.clone())).await;
    let elsewhere = Switch::new(&MemoryStore::new()).shared();
    let lone = Nodes::start([ResumeLayer::new(elsewhere, keys()).tokens_are_enough().clock(clock)]).await;
    let run = lone.counted(1).await;
    problem(nodes.resume(1, run.id(1)).send().await, 503, "store_unavailable").await;
    waits(nodes.reconnect(1, run.id(1)).send().await, run.id(1), "store_unavailable").await;
    now.fetch_add(20_000, std::sync::atomic::Ordering::SeqCst);
    problem(nodes.resume(1, run.id(1)).send().await, 426, "stream_expired").await;
    problem(nodes.reconnect(1, run.id(1)).send().await, 426, "stream_expired").await;
}

#[tokio::test]
async fn a_client_that_has_seen_the_end_is_stopped_however_the_stream_ended_and_also_when_it_is_gone() {
    let nodes = Nodes::start([layer().query_param("resume").detach_time(Duration::from_secs(5))]).await;
    let stopped = async |seen: &str| {
        for path in ["/stream", "/resume"] {
            let by_query = Request::get(nodes.addr(0), &format!("{path}?resume={seen}"));
            let by_id = Request::get(nodes.addr(0), path).header("last-event-id", seen);
            for request in [by_query, by_id] {
                let reply = request.send().await;
                assert_eq!(reply.status, 204);
                assert_eq!(reply.header("cache-control"), Some("no-store, no-transform"));
                assert_eq!((reply.header("content-type"), reply.header("content-length")), (None, None));
                assert_eq!(reply.text().await, "");
            }
        }
    };
    let mut complete = nodes.counted(1).await;
    let complete = complete.end().await;
    let mut failed = nodes.counted(1).await;
    failed.fail();
    let failed = failed.ended().await;
    let mut left = nodes.counted(1).await;
    left.leave();
    until("nobody reads it", async || {
        pass(Duration::from_secs(6)).await;
        nodes.status(0, left.id(0)).await["status"] == "interrupted"
    })
    .await;
    let mut reply = nodes.reconnect(0, left.id(1)).send().await;
    assert_eq!(reply.phase("replay").await["status"], "interrupted");
    let interrupted = reply.event().await;
    assert_eq!(interrupted.json()["status"], "interrupted");
    let seen = [complete, failed, interrupted.id.unwrap()];
    for seen in &seen {
        stopped(seen).await;
    }
    // Their logs are gone now; a client that has not seen the end has to know, one that has need not.
    pass(Duration::from_secs(1000)).await;
    problem(nodes.reconnect(0, left.id(1)).send().await, 426, "stream_expired").await;
    for seen in &seen {
        stopped(seen).await;
        problem(nodes.resume(0, seen).send().await, 426, "stream_expired").await;
    }
}

#[tokio::test]
async fn a_reloaded_page_that_asks_for_everything_again_is_not_stopped() {
    let nodes = Nodes::start([layer().query_param("resume")]).await;
    let mut run = nodes.counted(2).await;
    let seen = run.end().await;
    let path = format!("/stream?resume={seen}&from=0");
    let mut reply = Request::get(nodes.addr(0), &path).send().await;
    assert_eq!(reply.phase("replay").await["from"], 0);
    reply.counts([1, 2]).await;
    let end = reply.event().await.id.unwrap();
    let reply = Request::get(nodes.addr(0), &path).header("last-event-id", &end).send().await;
    assert_eq!(reply.status, 204);
}

#[tokio::test]
async fn a_step_that_does_not_fit_is_incompatible() {
    let classify = |event: &tower_resume::EventView<'_>| match event.name() {
        "message" => tower_resume::Class::new(),
        name => tower_resume::Class::new().step(name),
    };
    let rule = |token: &Step, stream: &Step| token == stream;
    let nodes = Nodes::of(Handler::new(), [layer().classify_with(classify).step_rule(rule)]).await;
    let mut run: Run = nodes.counted(1).await;
    run.say("event: next\ndata: 2\n\n").await;
    for request in [nodes.resume(0, run.id(1)), nodes.reconnect(0, run.id(1)), nodes.resume(0, run.id(1)).http2()] {
        problem(request.send().await, 426, "step_incompatible").await;
    }
    let mut reply = nodes.resume(0, run.id(2)).send().await;
    reply.phase("replay").await;
    let from = nodes.resume(0, run.id(1)).header("x-resume-from", "2");
    assert_eq!(from.send().await.phase("replay").await["from"], 2, "the cursor's step counts");
    run.end().await;
    let (items, ended) = reply.rest().await;
    assert_eq!((items.len(), ended), (2, Ended::Clean), "{items:?}");
    assert!(items.iter().all(|item| matches!(item, Item::Event(event) if event.event == "resume")));
}
