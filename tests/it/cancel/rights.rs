//! Who may cancel: what tokens hold, what the application says, and which requests are cancels at all.

use super::{cancel, is_bare, is_problem};
use crate::common::{Handler, Nodes, Peek, Request, call, get_stream, layer};
use axum::body::Body;
use http::Method;
use std::sync::{Arc, Mutex};
use tower_resume::{Attach, Authorization, StreamName};

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
            call(app.clone(), request.body(Body::empty()).unwrap())
        };
        let request = http::Request::get("/attach").body(Body::empty()).unwrap();
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
