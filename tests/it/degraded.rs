//! Protocol section 2, "Degraded": what a stream goes without where there is no secret, no room, or no store.

use crate::{
    common::{Ended, Handler, Reply, Server, Switch, call, get_stream, keys, layer},
    limits::{SECOND, resume},
};

use std::time::Duration;
use tokio::time::sleep;
use tower_resume::{Principal, ResumeLayer, store::MemoryStore};

/// The response is the bare handler's, but for the word why.
async fn assert_bare(mut reply: Reply, told: crate::common::Told, reason: &str) {
    assert_eq!(reply.header("x-resume-degraded"), Some(reason));
    for name in ["x-resume-stream", "x-resume-token", "x-accel-buffering", "cache-control"] {
        assert_eq!(reply.header(name), None, "{name}");
    }
    assert_eq!((reply.status.as_u16(), reply.header("etag")), (200, Some("\"x\"")));
    told.send("\u{feff}id: 7\ndata: 1\r\r\n\n: half");
    told.end();
    while reply.frame().await.is_ok() {}
    assert_eq!(reply.bytes, "\u{feff}id: 7\ndata: 1\r\r\n\n: half".as_bytes());
}

fn tagged() -> Handler {
    Handler::with_head(|mut response| {
        response.headers_mut().insert("etag", http::HeaderValue::from_static("\"x\""));
        response
    })
}

#[tokio::test]
async fn with_no_secret_a_stream_is_the_bare_handlers_and_says_so() {
    let handler = tagged();
    let server = Server::start(handler.router().layer(ResumeLayer::new(MemoryStore::new(), None))).await;
    let reply = crate::common::Request::get(server.addr, "/stream").send().await;
    assert_bare(reply, handler.told().await, "no-secret").await;
    let reply = crate::common::Request::get(server.addr, "/stream").header("last-event-id", "7").send().await;
    assert_bare(reply, handler.told().await, "no-secret").await;
}

#[tokio::test]
async fn over_a_nodes_limits_a_new_stream_passes_unrecorded() {
    for (limited, what) in
        [(layer().max_streams(1), "streams"), (layer().max_node_bytes(1), "bytes"), (layer().max_readers(1), "readers")]
    {
        let handler = tagged();
        let server = Server::start(handler.router().layer(limited)).await;
        let get = || crate::common::Request::get(server.addr, "/stream").send();
        let mut first = get().await;
        assert_eq!(first.header("x-resume-degraded"), None, "{what}");
        first.phase("open").await;
        let told = handler.told().await;
        told.count(1..=1);
        first.counts(1..=1).await;
        let second = get().await;
        assert_bare(second, handler.told().await, "capacity").await;
        told.count(2..=2);
        first.counts(2..=2).await;
        told.end();
        first.phase("end").await;
        assert_eq!(first.rest().await, (vec![], Ended::Clean), "{what}");
        drop(first);
        // The server lets the finished response go in its own time.
        let third = loop {
            let reply = get().await;
            if reply.header("x-resume-degraded").is_none() {
                break reply;
            }
            tokio::task::yield_now().await;
        };
        assert!(third.header("x-resume-token").is_some(), "{what}");
    }
}

#[tokio::test]
async fn with_no_room_at_all_every_stream_passes() {
    for limited in [layer().max_streams(0), layer().max_node_bytes(0), layer().max_readers(0)] {
        let handler = tagged();
        let reply = call(handler.router().layer(limited), get_stream()).await;
        assert_bare(reply, handler.told().await, "capacity").await;
    }
}

#[tokio::test(start_paused = true)]
async fn over_its_share_a_principals_new_stream_passes_unrecorded_and_others_are_not_touched() {
    let handler = tagged();
    let rule = |head: &http::request::Parts| Some(Principal::new(head.headers.get("x-user")?.to_str().ok()?));
    let app = handler.router().layer(layer().principal_with(rule).max_principal_streams(2));
    let start = async |user: Option<&'static str>| {
        let mut request = get_stream();
        if let Some(user) = user {
            request.headers_mut().insert("x-user", http::HeaderValue::from_static(user));
        }
        (call(app.clone(), request).await, handler.told().await)
    };
    let mut running = Vec::new();
    for user in [Some("ann"), Some("ann"), Some("bob"), None, None, None] {
        let (reply, told) = start(user).await;
        assert_eq!(reply.header("x-resume-degraded"), None, "{user:?}");
        running.push((reply, told));
    }
    let (third, told) = start(Some("ann")).await;
    assert_bare(third, told, "capacity").await;
    let (mut first, told) = running.remove(0);
    let (second, _told) = running.remove(0);
    drop(second);
    sleep(SECOND).await;
    let (again, told_again) = start(Some("ann")).await;
    assert_bare(again, told_again, "capacity").await;
    told.end();
    first.phase("open").await;
    first.phase("end").await;
    assert_eq!(start(Some("ann")).await.0.header("x-resume-degraded"), None, "one of them is over");
}

#[tokio::test(start_paused = true)]
async fn with_the_store_out_a_stream_goes_on_says_so_and_can_be_resumed_here() {
    let store = Switch::new(&MemoryStore::new());
    let handler = Handler::new();
    let app = handler.router().layer(ResumeLayer::new(store.clone(), keys()).tokens_are_enough());
    store.set_down(true);
    let mut reply = call(app.clone(), get_stream()).await;
    assert_eq!(reply.header("x-resume-degraded"), Some("store"));
    let token = reply.header("x-resume-token").unwrap().to_owned();
    reply.phase("open").await;
    let told = handler.told().await;
    told.count(1..=2);
    reply.counts(1..=2).await;
    let mut again = call(app.clone(), resume(&token)).await;
    again.phase("replay").await;
    again.counts(1..=2).await;
    again.phase("live").await;
    told.end();
    for reply in [&mut reply, &mut again] {
        reply.phase("end").await;
        assert_eq!(reply.rest().await, (vec![], Ended::Clean));
    }
    store.set_down(false);
    assert_eq!(call(app, get_stream()).await.header("x-resume-degraded"), None, "the store is back");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_on_the_way_neither_delays_nor_cuts_nor_alters_anything() {
    let store = Switch::new(&MemoryStore::new());
    let handler = Handler::new();
    let app = handler.router().layer(ResumeLayer::new(store.clone(), keys()).tokens_are_enough());
    let mut reply = call(app, get_stream()).await;
    reply.phase("open").await;
    let told = handler.told().await;
    let start = tokio::time::Instant::now();
    for number in 1..=2000 {
        store.set_down(number % 100 > 50);
        told.count([number]);
        if number % 10 == 0 {
            reply.counts(number - 9..=number).await;
        }
    }
    told.end();
    assert_eq!(reply.phase("end").await["seq"], 2000);
    assert_eq!(reply.rest().await, (vec![], Ended::Clean));
    assert!(start.elapsed() < SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_there_but_refuses_is_asked_again_at_times_and_gets_it_all_once_it_has_room() {
    let store = Switch::new(&MemoryStore::new());
    let handler = Handler::new();
    let app = handler.router().layer(ResumeLayer::new(store.clone(), keys()).tokens_are_enough());
    store.set_full(true);
    let mut reply = call(app.clone(), get_stream()).await;
    let token = reply.phase("open").await["token"].as_str().unwrap().to_owned();
    let told = handler.told().await;
    told.count(1..=3);
    reply.counts(1..=3).await;
    drop(reply);
    let asked = store.asked();
    sleep(60 * SECOND).await;
    assert!((20..=70).contains(&(store.asked() - asked)), "{} times", store.asked() - asked);
    store.set_full(false);
    told.end();
    sleep(4 * SECOND).await;
    let mut again = call(app, resume(&token)).await;
    again.phase("replay").await;
    again.counts(1..=3).await;
    assert_eq!(again.phase("end").await["status"], "complete");
}

#[tokio::test(start_paused = true)]
async fn with_no_time_to_keep_anything_a_stream_still_runs() {
    let handler = Handler::new();
    let app = handler.router().layer(layer().state_ttl(Duration::ZERO));
    let mut reply = call(app, get_stream()).await;
    reply.phase("open").await;
    let told = handler.told().await;
    told.count([1]);
    reply.counts([1]).await;
    sleep(SECOND).await;
    told.end();
    reply.phase("end").await;
}
