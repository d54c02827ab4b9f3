//! Who traces sees a stream, its resumes and what the store is asked, linked, and never a token.

use crate::common::{Handler, Logs, Reply, Switch, call, keys, layer, until};
use axum::{Router, body::Body};
use http::request::Builder;
use std::time::Duration;
use tower_resume::{ResumeLayer, store::MemoryStore};
use tracing::{Instrument as _, Level, info_span};

/// A request as a server would take it: in a span of its own, by which it is named.
async fn request(app: &Router, request: Builder) -> Reply {
    let request = request.uri("/stream").body(Body::empty()).unwrap();
    call(app.clone(), request).instrument(info_span!("request")).await
}

fn resume(token: &str) -> Builder {
    http::Request::builder().header("x-resume-token", token)
}

#[tokio::test]
async fn a_resume_follows_from_the_recording_and_both_belong_to_their_requests() {
    let logs = Logs::new();
    let handler = Handler::new();
    let app = handler.router().layer(layer());
    let mut first = request(&app, http::Request::builder().header("x-request-id", "mine")).await;
    let open = first.phase("open").await;
    let (id, token) = (open["request_id"].as_str().unwrap(), open["token"].as_str().unwrap());
    let told = handler.told().await;
    told.count(1..=3);
    first.counts(1..=3).await;
    let [record] = &logs.spans("resume.record")[..] else { panic!("one stream") };
    assert_eq!((record.parent, record.level, record.is_closed), (Some("request"), Level::DEBUG, false));
    assert_eq!((record.field("request_id"), record.field("correlation_id")), (Some(id), Some("mine")));

    let mut reply = request(&app, resume(token)).await;
    reply.phase("replay").await;
    reply.counts(1..=3).await;
    reply.phase("live").await;
    let [replay] = &logs.spans("resume.replay")[..] else { panic!("one resume") };
    assert_eq!((replay.parent, replay.level), (Some("request"), Level::DEBUG));
    assert_eq!(replay.follows, [record.fields.as_str()]);
    for (field, value) in [
        ("request_id", id),
        ("correlation_id", "mine"),
        ("from_seq", "0"),
        ("mode", "live"),
        ("replayed", "3"),
        ("to_seq", "3"),
    ] {
        assert_eq!(replay.field(field), Some(value), "{field} in {replay:?}");
    }
    until("the replay's span is closed while the response goes on", async || logs.spans("resume.replay")[0].is_closed)
        .await;

    told.end();
    first.phase("end").await;
    until("the end is stored", async || logs.spans("resume.record")[0].is_closed).await;
    let [record] = &logs.spans("resume.record")[..] else { panic!("one stream") };
    assert_eq!((record.field("status"), record.field("events")), (Some("complete"), Some("3")));
    let appends = logs.spans("resume.store").into_iter().filter(|span| span.field("op") == Some("append"));
    let appends: Vec<_> = appends.collect();
    assert!(!appends.is_empty());
    for append in appends {
        assert_eq!((append.parent, append.level), (Some("resume.record"), Level::TRACE));
        assert_eq!((append.field("request_id"), append.field("store")), (Some(id), Some("memory")));
    }
    // Once it is over, the field alone leads back.
    request(&app, resume(token)).await.rest().await;
    let late = logs.spans("resume.replay").pop().unwrap();
    assert_eq!((late.field("request_id"), late.follows.is_empty()), (Some(id), true));
}

#[tokio::test]
async fn across_nodes_the_request_id_and_what_the_first_request_was_called_lead_back() {
    let logs = Logs::new();
    let store = MemoryStore::new();
    let handler = Handler::new();
    let [here, there] = [(); 2].map(|()| {
        let layer = ResumeLayer::new(Switch::new(&store).shared(), keys()).tokens_are_enough();
        handler.router().layer(layer)
    });
    let mut first = request(&here, http::Request::builder().header("x-request-id", "mine")).await;
    let open = first.phase("open").await;
    let (id, token) = (open["request_id"].as_str().unwrap(), open["token"].as_str().unwrap());
    let told = handler.told().await;
    told.count([1]);
    first.counts([1]).await;
    until("the other node knows of it", async || request(&there, resume(token)).await.status == 200).await;
    told.end();
    let mut reply = request(&there, resume(token)).await;
    reply.phase("replay").await;
    reply.counts([1]).await;
    reply.rest().await;
    let replay = logs.spans("resume.replay").pop().unwrap();
    assert_eq!((replay.field("request_id"), replay.field("correlation_id")), (Some(id), Some("mine")));
    assert!(replay.follows.is_empty(), "another node's span is not known here: {replay:?}");
    let mut opens = logs.spans("resume.store").into_iter().filter(|span| span.field("op") == Some("open"));
    assert_eq!(opens.next().unwrap().parent, Some("resume.replay"));
}

#[tokio::test]
async fn no_span_is_above_debug_and_none_holds_a_token() {
    let logs = Logs::new();
    let handler = Handler::new();
    let app = handler.router().layer(layer());
    let mut first = request(&app, http::Request::builder()).await;
    let mut ids = vec![first.header("x-resume-token").unwrap().to_owned()];
    first.phase("open").await;
    let told = handler.told().await;
    told.send("data: private\n\n");
    ids.push(first.event().await.id.unwrap());
    for mode in ["live", "replay", "status"] {
        for token in ids.clone() {
            let request = request(&app, resume(&token).header("x-resume-mode", mode));
            drop(request.await);
        }
    }
    let spoiled = format!("{}AAAA", &ids[0][..ids[0].len() - 4]);
    assert_eq!(request(&app, resume(&spoiled)).await.status, 401);
    request(&app, resume(&ids[0]).method("DELETE")).await;
    ids.push(spoiled);
    tokio::time::sleep(Duration::ZERO).await;
    let spans: Vec<_> =
        ["resume.record", "resume.replay", "resume.store"].into_iter().flat_map(|name| logs.spans(name)).collect();
    assert!(spans.len() > 8, "{spans:?}");
    for span in spans {
        assert!(span.level >= Level::DEBUG, "{span:?}");
        for secret in ids.iter().map(String::as_str).chain(["private", "the secret of the tests"]) {
            assert!(!span.fields.contains(secret), "{secret} in {span:?}");
        }
    }
}
