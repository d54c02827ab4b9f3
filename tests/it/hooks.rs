//! Protocol section 3: who may resume, as the application says, and what it says of steps.

use crate::common::{Ended, Nodes, Peek, Request, layer, sharing};
use http::{StatusCode, request::Parts};
use tower_resume::{Authorization, Class, EventView, Principal};

fn user(head: &Parts) -> Option<Principal> {
    head.headers.get("x-user").map(|user| Principal::new(user.to_str().unwrap()))
}

/// Begins a stream as this user, with one event; the token at it.
async fn begun_as(nodes: &Nodes, name: &str) -> (String, crate::common::Run) {
    let request = Request::post(nodes.addr(0), "/stream").header("x-user", name);
    let mut run = crate::common::Run::of(&nodes.handler, request).await;
    run.count(1).await;
    (run.id(1).to_owned(), run)
}

#[tokio::test]
async fn a_token_is_good_for_its_own_principal_only() {
    let nodes = Nodes::start(sharing(2).into_iter().map(|layer| layer.principal_with(user))).await;
    let (ada, _run) = begun_as(&nodes, "ada").await;
    let nobodys = nodes.counted(1).await;
    nodes.knows(1, nobodys.id(1), 1).await;
    for node in 0..2 {
        for (token, name, status) in [
            (&*ada, Some("ada"), 200),
            (&ada, Some("bob"), 401),
            (&ada, Some("Ada"), 401),
            (&ada, None, 401),
            (nobodys.id(1), None, 200),
            (nobodys.id(1), Some("ada"), 401),
        ] {
            for request in [nodes.resume(node, token), nodes.reconnect(node, token)] {
                let request = name.into_iter().fold(request, |request, name| request.header("x-user", name));
                assert_eq!(request.send().await.status, status, "{name:?}");
            }
        }
    }
}

#[tokio::test]
async fn the_tokens_of_a_resumed_response_are_the_principals_too() {
    let nodes = Nodes::start([layer().principal_with(user)]).await;
    let (ada, _run) = begun_as(&nodes, "ada").await;
    let reply = nodes.resume(0, &ada).header("x-user", "ada").send().await;
    let renewed = reply.header("x-resume-token").unwrap();
    assert_eq!(nodes.resume(0, renewed).header("x-user", "ada").send().await.status, 200);
    assert_eq!(nodes.resume(0, renewed).header("x-user", "bob").send().await.status, 401);
    assert_eq!(nodes.resume(0, renewed).send().await.status, 401);
}

#[tokio::test]
async fn the_authorisation_hook_refuses_with_a_response_of_its_own_before_anything_else() {
    let refuse = |head: &Parts| {
        if head.headers.contains_key("x-user") {
            return Authorization::Allow;
        }
        let response = http::Response::builder().status(StatusCode::FORBIDDEN).header("x-why", "no user");
        Authorization::Refuse(Box::new(response.body("not you".into()).unwrap()))
    };
    let nodes = Nodes::start([layer().authorize_with(refuse)]).await;
    let run = nodes.counted(1).await;
    let spoiled = Peek::flips(run.id(1)).swap_remove(300);
    for token in [run.id(1), "rubbish", &spoiled] {
        for mode in ["live", "replay", "status"] {
            for request in
                [nodes.resume(0, token), Request::get(nodes.addr(0), "/stream").header("x-resume-token", token)]
            {
                let reply = request.header("x-resume-mode", mode).send().await;
                assert_eq!((reply.status.as_u16(), reply.header("x-why")), (403, Some("no user")));
                assert_eq!(reply.text().await, "not you");
            }
        }
    }
    assert_eq!(nodes.reconnect(0, run.id(1)).send().await.status, 403);
    let allowed = nodes.resume(0, run.id(1)).header("x-user", "ada").send().await;
    assert_eq!(allowed.status, 200);
}

#[tokio::test]
async fn a_request_that_is_no_resume_is_not_asked_for_authorisation() {
    let refuse = |_: &Parts| Authorization::Refuse(Box::default());
    let nodes = Nodes::start([layer().authorize_with(refuse)]).await;
    nodes.counted(1).await;
}

#[tokio::test]
async fn the_authorisation_hook_may_say_who_asks() {
    let name = |head: &Parts| user(head).map_or(Authorization::Allow, Authorization::AllowAs);
    let nodes = Nodes::start([layer().authorize_with(name).principal_with(user_of_first)]).await;
    // The rule names the first client by another header; the hook has the say on a resume.
    let request = Request::post(nodes.addr(0), "/stream").header("x-owner", "ada");
    let mut run = crate::common::Run::of(&nodes.handler, request).await;
    run.count(1).await;
    let cases = [
        (Some("x-user"), "ada", 200),
        (Some("x-user"), "bob", 401),
        (Some("x-owner"), "ada", 200),
        (Some("x-owner"), "bob", 401),
        (None, "", 401),
    ];
    for (header, name, status) in cases {
        let request = nodes.resume(0, run.id(1));
        let request = header.into_iter().fold(request, |request, header| request.header(header, name));
        assert_eq!(request.send().await.status, status, "{header:?} {name}");
    }
}

fn user_of_first(head: &Parts) -> Option<Principal> {
    head.headers.get("x-owner").map(|user| Principal::new(user.to_str().unwrap()))
}

/// An event's name is the step that begins with it.
fn steps(event: &EventView<'_>) -> Class {
    if event.name() == "message" { Class::new() } else { Class::new().step(event.name()) }
}

#[tokio::test]
async fn a_step_holds_until_the_next_is_named_in_tokens_and_status() {
    let nodes = Nodes::start(sharing(2).into_iter().map(|layer| layer.classify_with(steps))).await;
    let mut run = nodes.counted(1).await;
    for event in ["event: DRAFTING\ndata: 2\n\n", "data: 3\n\n", "event: COMPLETE\ndata: 4\n\n", "data: 5\n\n"] {
        run.say(event).await;
    }
    let steps = run.ids.iter().map(|id| Peek::into(id).step).collect::<Vec<_>>();
    let expected = ["", "", "DRAFTING", "DRAFTING", "COMPLETE", "COMPLETE"];
    assert_eq!(steps, expected);
    nodes.knows(1, run.id(0), 5).await;
    for over in [false, true] {
        if over {
            run.end().await;
        }
        for node in 0..2 {
            assert_eq!(nodes.status(node, run.id(0)).await["step"], "COMPLETE");
            let mut reply = nodes.resume(node, run.id(0)).header("x-resume-mode", "replay").send().await;
            for step in expected {
                let event = reply.event().await;
                assert_eq!(Peek::into(&event.id.unwrap()).step, step, "node {node}");
            }
            let ended = reply.rest().await.1;
            assert_eq!(ended, Ended::Clean);
            for (from, step) in expected.iter().enumerate() {
                let request = nodes.resume(node, run.id(5)).header("x-resume-from", from.to_string());
                let reply = request.send().await;
                assert_eq!(Peek::into(reply.header("x-resume-token").unwrap()).step, *step, "node {node} from {from}");
            }
        }
    }
}

#[tokio::test]
async fn a_step_rule_is_asked_with_the_tokens_step_and_the_streams() {
    let rule = |token: &tower_resume::Step, stream: &tower_resume::Step| {
        !matches!((token.as_str(), stream.as_str()), ("DRAFTING", "REVIEW") | ("", "COMPLETE"))
    };
    let layers = sharing(2).into_iter().map(|layer| layer.classify_with(steps).step_rule(rule));
    let nodes = Nodes::start(layers).await;
    let mut run = nodes.begin().await;
    run.say("event: DRAFTING\ndata: 1\n\n").await;
    nodes.knows(1, run.id(1), 1).await;
    for node in 0..2 {
        for from in 0..=1 {
            assert_eq!(nodes.resume(node, run.id(from)).send().await.status, 200);
        }
    }
    run.say("event: REVIEW\ndata: 2\n\n").await;
    nodes.knows(1, run.id(1), 2).await;
    for node in 0..2 {
        assert_eq!(nodes.resume(node, run.id(0)).send().await.status, 200);
        assert_eq!(nodes.resume(node, run.id(1)).send().await.status, 426);
        assert_eq!(nodes.resume(node, run.id(2)).send().await.status, 200);
        assert_eq!(nodes.status(node, run.id(1)).await["step"], "REVIEW", "status says why");
    }
    run.say("event: COMPLETE\ndata: 3\n\n").await;
    run.end().await;
    for node in 0..2 {
        assert_eq!(nodes.resume(node, run.id(0)).send().await.json().await["code"], "step_incompatible");
        for from in 1..=3 {
            assert_eq!(nodes.resume(node, run.id(from)).send().await.status, 200);
        }
    }
}
