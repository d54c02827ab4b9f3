//! Timeouts of heads do no harm in either order. Those of bodies belong outside: there a heartbeat counts, and a client that
//! was cut comes back; inside they end the handler's stream for good.

use crate::common::{Ended, Handler, Logs, Reply, call, get_stream, layer};
use axum::{Router, error_handling::HandleErrorLayer, routing::get};
use http::StatusCode;
use std::{future::pending, time::Duration};
use tower::ServiceBuilder;
use tower_http::timeout::{RequestBodyTimeoutLayer, ResponseBodyDeadlineLayer, ResponseBodyTimeoutLayer, TimeoutLayer};
use tracing::Level;

const SHORT: Duration = Duration::from_secs(5);
const LONG: Duration = Duration::from_secs(30);

fn resume(app: &Router, id: &str) -> impl Future<Output = Reply> {
    let mut request = get_stream();
    request.headers_mut().insert("last-event-id", id.parse().unwrap());
    call(app.clone(), request)
}

#[tokio::test(start_paused = true)]
async fn a_timeout_of_heads_is_for_handlers_that_do_not_answer_and_cuts_no_stream() {
    let timeout = || TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, SHORT);
    // tower's own, which answers with an error that axum wants handled.
    let towers = || {
        let handled = HandleErrorLayer::new(async |_: tower::BoxError| StatusCode::GATEWAY_TIMEOUT);
        ServiceBuilder::new().layer(handled).timeout(SHORT)
    };
    let handler = Handler::new();
    let app = || handler.router().route("/never", get(pending::<&'static str>));
    for app in [
        app().layer(layer()).layer(timeout()),
        app().layer(timeout()).layer(layer()),
        app().layer(layer()).layer(towers()),
        app().layer(towers()).layer(layer()),
    ] {
        let mut never = get_stream();
        *never.uri_mut() = "/never".parse().unwrap();
        assert_eq!(call(app.clone(), never).await.status, 504);

        let mut reply = call(app.clone(), get_stream()).await;
        reply.phase("open").await;
        let told = handler.told().await;
        for number in 1..=3 {
            tokio::time::sleep(SHORT).await;
            told.count([number]);
            reply.counts([number]).await;
        }
        told.end();
        reply.phase("end").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_timeout_outside_that_is_longer_than_the_heartbeat_cuts_nobody() {
    let handler = Handler::new();
    let app: Router = handler.router().layer(layer()).layer(ResponseBodyTimeoutLayer::new(LONG));
    let mut reply = call(app, get_stream()).await;
    reply.phase("open").await;
    let told = handler.told().await;
    let silence = async {
        tokio::time::sleep(10 * LONG).await;
        told.count(1..=1);
    };
    tokio::join!(silence, async { reply.counts(1..=1).await });
}

#[tokio::test(start_paused = true)]
async fn a_body_timeout_outside_that_is_shorter_cuts_and_nothing_is_lost() {
    let (handler, logs) = (Handler::new(), Logs::new());
    let app: Router = handler.router().layer(layer()).layer(ResponseBodyTimeoutLayer::new(SHORT));
    let mut reply = call(app.clone(), get_stream()).await;
    reply.phase("open").await;
    let told = handler.told().await;
    told.count(1..=1);
    let id = reply.counts(1..=1).await;
    assert_eq!(reply.rest().await, (vec![], Ended::Abrupt));
    told.count(2..=2);
    told.end();
    let mut reply = resume(&app, &id).await;
    reply.phase("replay").await;
    let mut next = reply.event().await;
    while next.phase().as_deref() == Some("live") {
        next = reply.event().await;
    }
    assert_eq!(next.data, "2");
    assert_eq!(reply.phase("end").await["status"], "complete");
    assert_eq!(logs.of(Level::WARN), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_deadline_of_bodies_outside_makes_clients_come_back_and_loses_nothing() {
    let handler = Handler::new();
    let app: Router = handler.router().layer(layer()).layer(ResponseBodyDeadlineLayer::new(SHORT));
    let mut reply = call(app.clone(), get_stream()).await;
    let told = handler.told().await;
    told.count(1..=2);
    reply.phase("open").await;
    let id = reply.counts(1..=2).await;
    assert_eq!(reply.rest().await.1, Ended::Abrupt);
    told.count(3..=3);
    told.end();
    let mut reply = resume(&app, &id).await;
    reply.phase("replay").await;
    let (events, ended) = reply.events().await;
    let data: Vec<_> = events.iter().filter(|event| event.phase().is_none()).map(|event| event.data.as_str()).collect();
    assert_eq!((data, ended), (vec!["3"], Ended::Clean));
}

#[tokio::test(start_paused = true)]
async fn body_timeouts_inside_end_the_stream_for_everybody_and_one_warning_says_why() {
    let handler = Handler::new();
    let app = || handler.router();
    for app in [
        app().layer(ResponseBodyTimeoutLayer::new(SHORT)).layer(layer()),
        app().layer(ResponseBodyDeadlineLayer::new(SHORT)).layer(layer()),
    ] {
        let logs = Logs::new();
        for _ in 0..2 {
            let mut reply = call(app.clone(), get_stream()).await;
            reply.phase("open").await;
            let told = handler.told().await;
            told.count(1..=1);
            let id = reply.counts(1..=1).await;
            assert_eq!(reply.phase("end").await["status"], "error");
            let mut again = resume(&app, &id).await;
            again.phase("replay").await;
            assert_eq!(again.phase("end").await["status"], "error");
            drop(told);
        }
        let warnings: Vec<_> = logs.of(Level::WARN).into_iter().filter(|line| line.contains("ResumeLayer")).collect();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("put the body timeout outside of ResumeLayer (in axum, add it after)"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_timeout_of_request_bodies_is_nothing_to_a_stream() {
    let handler = Handler::new();
    let app = || handler.router();
    let timeout = || RequestBodyTimeoutLayer::new(SHORT);
    for app in [app().layer(layer()).layer(timeout()), app().layer(timeout()).layer(layer())] {
        let mut reply = call(app, get_stream()).await;
        reply.phase("open").await;
        let told = handler.told().await;
        tokio::time::sleep(2 * SHORT).await;
        told.count(1..=1);
        reply.counts(1..=1).await;
    }
}
