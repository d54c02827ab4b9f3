//! Protocol section 2: what the first client sees.

use crate::common::{Ended, Handler, Request, Server, layer};

#[tokio::test]
async fn the_first_client_gets_open_at_once_then_each_event_with_its_id_last_then_end() {
    let handler = Handler::new();
    let server = Server::start(handler.router().layer(layer())).await;
    let mut reply = Request::post(server.addr, "/stream").send().await;
    assert_eq!(reply.status, 200);
    let open = reply.event().await;
    assert_eq!(open.phase().as_deref(), Some("open"), "before the handler said anything");
    assert!(open.id_is_last && open.retry.is_some(), "{open:?}");
    assert_eq!(open.json()["token"].as_str(), reply.header("x-resume-token"));
    assert_eq!(open.json()["request_id"].as_str(), reply.header("x-resume-stream"));
    assert_eq!(reply.header("x-accel-buffering"), Some("no"));
    assert_eq!(reply.header("cache-control"), Some("no-cache, no-transform"));
    let told = handler.told().await;
    told.send("event: a\ndata: 1\nid: mine\n\n");
    let event = reply.event().await;
    assert_eq!((event.event.as_str(), event.data.as_str()), ("a", "1"));
    assert!(event.id_is_last);
    assert_ne!(event.id.as_deref(), Some("mine"));
    told.send(": ping\n\ndata: 2\r\n\r\n");
    told.end();
    let (items, ended) = reply.rest().await;
    assert_eq!(ended, Ended::Clean);
    assert_eq!(items.len(), 3, "{items:?}");
    let text = String::from_utf8(reply.bytes.clone()).unwrap();
    assert!(text.contains("\n\n: ping\n\ndata: 2\r\nid: "), "{text}");
    assert!(text.ends_with("\n\n"), "{text}");
}

#[tokio::test]
async fn a_client_that_was_cut_resumes_where_it_was_and_goes_on_live() {
    let handler = Handler::new();
    let server = Server::start(handler.router().layer(layer())).await;
    let mut reply = Request::post(server.addr, "/stream").send().await;
    reply.phase("open").await;
    let told = handler.told().await;
    told.count(1..=3);
    let id = reply.counts(1..=3).await;
    drop(reply);
    told.count(4..=5);
    let mut again = Request::get(server.addr, "/stream").header("last-event-id", &id).send().await;
    let replay = again.phase("replay").await;
    assert_eq!(replay["from"], 3);
    again.counts(4..=5).await;
    let live = again.phase("live").await;
    assert_eq!((live["seq"].as_u64(), live["replayed"].as_u64()), (Some(5), Some(2)));
    told.count(6..=6);
    told.end();
    let seen = again.counts(6..=6).await;
    let end = again.phase("end").await;
    assert_eq!((end["status"].as_str(), end["seq"].as_u64()), (Some("complete"), Some(6)));
    assert_eq!(again.rest().await, (vec![], Ended::Clean));
    let mut late = Request::get(server.addr, "/stream").header("last-event-id", &seen).send().await;
    assert_eq!(late.phase("replay").await["status"], "complete");
    late.phase("end").await;
}
