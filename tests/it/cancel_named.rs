//! A stop button that knows a name and no token: handlers that answer with `CancelStream`.

use crate::attach::{Nodes, get, nodes, nothing};
use crate::common::Ended;
use axum::{body::Body, response::Response};
use http::StatusCode;
use tower_resume::{Attach, CancelStream, RequestId};

fn cancelled(cancel: CancelStream) -> Response {
    let mut response = Response::new(Body::from("the handler's own"));
    response.headers_mut().insert("x-own", "kept".parse().unwrap());
    response.extensions_mut().insert(cancel);
    response
}

async fn cancel(nodes: &Nodes, node: usize, cancel: CancelStream) -> crate::common::Reply {
    nodes.answer(node, get(), cancelled(cancel)).await
}

#[tokio::test(start_paused = true)]
async fn a_name_is_enough_to_stop_a_stream_from_either_node() {
    for node in 0..2 {
        let nodes = nodes(|layer| layer);
        let (mut first, body) = nodes.named(0, "chat:1").await;
        body.count(1);
        first.counts([1]).await;
        let mut follower = nodes.attach(1, Attach::to("chat:1")).await;
        follower.phase("replay").await;
        follower.counts([1]).await;
        follower.phase("live").await;
        let reply = cancel(&nodes, node, CancelStream::named("chat:1")).await;
        assert_eq!(reply.header("x-own"), Some("kept"));
        nothing(reply).await;
        body.dropped().await;
        for reply in [&mut first, &mut follower] {
            let end = reply.phase("end").await;
            assert_eq!((&end["status"], &end["seq"]), (&"cancelled".into(), &1.into()), "from node {node}");
            assert_eq!(reply.rest().await, (vec![], Ended::Clean));
        }
        // Once more is as good as once, and nobody is attached to it any more.
        nothing(cancel(&nodes, node, CancelStream::named("chat:1")).await).await;
        nothing(nodes.attach(node, Attach::to("chat:1")).await).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_click_does_not_stop_the_answer_to_the_next_question() {
    for node in 0..2 {
        let nodes = nodes(|layer| layer);
        let (mut old, ended) = nodes.named(0, "chat:1").await;
        drop(ended);
        old.rest().await;
        let (mut new, body) = nodes.named(1, "chat:1").await;
        let id = |text: Option<&str>| RequestId::parse(text.unwrap()).unwrap();
        let (old, newest) = (id(old.header("x-resume-stream")), id(new.header("x-resume-stream")));
        nothing(cancel(&nodes, node, CancelStream::named("chat:1").only(old)).await).await;
        body.count(1);
        new.counts([1]).await;
        nothing(cancel(&nodes, node, CancelStream::named("chat:1").only(newest)).await).await;
        body.dropped().await;
        assert_eq!(new.phase("end").await["status"], "cancelled");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_stream_of_that_name_nothing_runs_that_could_be_stopped() {
    let nodes = nodes(|layer| layer);
    let (mut first, body) = nodes.named(0, "chat:1").await;
    for node in 0..2 {
        for name in ["chat:2", "chat:", "Chat:1", ""] {
            nothing(cancel(&nodes, node, CancelStream::named(name)).await).await;
        }
    }
    body.count(1);
    first.counts([1]).await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_refuses_its_caller_is_not_overruled() {
    let nodes = nodes(|layer| layer);
    let (mut first, body) = nodes.named(0, "chat:1").await;
    let mut refused = cancelled(CancelStream::named("chat:1"));
    *refused.status_mut() = StatusCode::FORBIDDEN;
    let reply = nodes.answer(0, get(), refused).await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
    assert_eq!(reply.text().await, "the handler's own");
    body.count(1);
    first.counts([1]).await;
}

#[tokio::test(start_paused = true)]
async fn while_nobody_can_be_asked_the_caller_is_told_so() {
    let nodes = nodes(|layer| layer);
    let (mut first, body) = nodes.named(0, "chat:1").await;
    nodes.nodes[1].1.set_down(true);
    let reply = cancel(&nodes, 1, CancelStream::named("chat:1")).await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(reply.json().await["code"], "store_unavailable");
    // The node that runs it needs nobody.
    nodes.nodes[0].1.set_down(true);
    nothing(cancel(&nodes, 0, CancelStream::named("chat:1")).await).await;
    body.dropped().await;
    assert_eq!(first.phase("end").await["status"], "cancelled");
}
