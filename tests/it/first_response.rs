//! Protocol section 2: what the first client sees, headers first.

use crate::common::{Ended, Handler, Request, Server, layer};
use http::{HeaderMap, HeaderValue};
use tower_resume::ResumeStream;

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

/// The head of a stream whose handler sets these headers.
async fn head_of(headers: &'static [(&'static str, &'static str)]) -> HeaderMap {
    let handler = Handler::with_head(move |mut response| {
        for (name, value) in headers {
            let value = HeaderValue::from_static(value);
            match *name {
                "content-type" => drop(response.headers_mut().insert(*name, value)),
                _ => drop(response.headers_mut().append(*name, value)),
            }
        }
        response
    });
    let server = Server::start(handler.router().layer(layer())).await;
    let mut reply = Request::get(server.addr, "/stream").send().await;
    reply.phase("open").await;
    reply.headers.clone()
}

fn all<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
}

#[tokio::test]
async fn headers_that_are_no_longer_true_are_removed() {
    let untrue = [
        "content-length",
        "etag",
        "content-md5",
        "digest",
        "content-digest",
        "repr-digest",
        "accept-ranges",
        "trailer",
    ];
    let headers = head_of(&[
        ("content-length", "7"),
        ("etag", "\"x\""),
        ("content-md5", "x"),
        ("digest", "sha-256=x"),
        ("content-digest", "sha-256=:x:"),
        ("repr-digest", "sha-256=:x:"),
        ("accept-ranges", "bytes"),
        ("trailer", "x-sum"),
    ])
    .await;
    for name in untrue {
        assert_eq!(all(&headers, name), [""; 0], "{name}");
    }
    assert_eq!(all(&headers, "transfer-encoding"), ["chunked"]);
}

#[tokio::test]
async fn the_handlers_other_headers_stay_as_they_were() {
    let headers = head_of(&[
        ("content-type", "Text/Event-Stream; charset=utf-8"),
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("x-own", ""),
        ("last-modified", "Tue, 01 Jan 2030 00:00:00 GMT"),
        ("content-encoding", "identity"),
        ("x-accel-buffering", "yes"),
        ("x-resume-token", "the handler's own"),
        ("x-resume-stream", "the handler's own"),
    ])
    .await;
    assert_eq!(all(&headers, "content-type"), ["Text/Event-Stream; charset=utf-8"]);
    assert_eq!(all(&headers, "set-cookie"), ["a=1", "b=2"]);
    assert_eq!(all(&headers, "x-own"), [""]);
    assert_eq!(all(&headers, "last-modified"), ["Tue, 01 Jan 2030 00:00:00 GMT"]);
    assert_eq!(all(&headers, "x-accel-buffering"), ["no"]);
    assert_eq!(all(&headers, "x-resume-stream")[0].len(), 36);
    assert_eq!(all(&headers, "x-resume-token").len(), 1);
    assert_ne!(all(&headers, "x-resume-token"), ["the handler's own"]);
    assert_eq!(all(&headers, "x-resume-degraded"), [""; 0]);
}

#[tokio::test]
async fn no_transform_joins_what_the_handler_tells_caches() {
    for (said, expected) in [
        (&[][..], "no-cache, no-transform"),
        (&[("cache-control", "no-store")], "no-store, no-transform"),
        (&[("cache-control", "private"), ("cache-control", "max-age=1")], "private, max-age=1, no-transform"),
        (&[("cache-control", "no-cache, No-Transform")], "no-cache, No-Transform"),
        (&[("cache-control", " ")], "no-cache, no-transform"),
    ] {
        assert_eq!(all(&head_of(said).await, "cache-control").join(", "), expected, "{said:?}");
    }
}

#[tokio::test]
async fn the_streams_name_is_a_random_uuid_whatever_the_client_offers() {
    let handler = Handler::new();
    let server = Server::start(handler.router().layer(layer())).await;
    let mut seen = std::collections::HashSet::new();
    let offered = "11111111-1111-4111-8111-111111111111";
    for _ in 0..8 {
        let request = Request::get(server.addr, "/stream");
        let request = request.header("x-request-id", offered).header("x-resume-stream", offered);
        let reply = request.send().await;
        let name = reply.header("x-resume-stream").unwrap().to_owned();
        let bytes = name.as_bytes();
        assert!(
            bytes.iter().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => *byte == b'-',
                14 => *byte == b'4',
                19 => matches!(byte, b'8' | b'9' | b'a' | b'b'),
                _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            }),
            "{name}"
        );
        assert_eq!(name.len(), 36);
        assert_ne!(name, offered);
        assert!(seen.insert(name), "a name was given twice");
    }
}

#[tokio::test]
async fn a_handler_finds_its_streams_name_in_the_requests_extensions() {
    let handler = Handler::new();
    let server = Server::start(handler.router().layer(layer())).await;
    let reply = Request::get(server.addr, "/stream").send().await;
    let told = handler.told().await;
    let stream = told.head.extensions.get::<ResumeStream>().expect("the extension");
    assert_eq!(Some(stream.request_id.to_string().as_str()), reply.header("x-resume-stream"));
}

#[tokio::test]
async fn the_end_names_the_clients_own_request_id_where_it_is_a_sane_one() {
    let longest = "x".repeat(128);
    let too_long = "x".repeat(129);
    for (offered, taken) in [
        (Some("abc-1_2.3:4/5+6="), true),
        (Some(longest.as_str()), true),
        (None, false),
        (Some(""), false),
        (Some(too_long.as_str()), false),
        (Some("two words"), false),
        (Some("\"},\"phase\":\"open"), false),
        (Some("a,b"), false),
        (Some("tab\there"), false),
        (Some("<script>"), false),
        (Some("\u{e9}"), false),
    ] {
        let handler = Handler::new();
        let server = Server::start(handler.router().layer(layer())).await;
        let mut request = Request::get(server.addr, "/stream");
        if let Some(offered) = offered {
            request = request.header("x-request-id", offered);
        }
        let mut reply = request.send().await;
        reply.phase("open").await;
        handler.told().await.end();
        let end = reply.phase("end").await;
        let expected = offered.filter(|_| taken).or(reply.header("x-resume-stream"));
        assert_eq!(end["diagnostics"]["correlation_id"].as_str(), expected, "{offered:?}");
    }
}

#[tokio::test]
async fn a_recorded_responses_trailers_are_dropped_and_what_follows_them_is_not() {
    let handler = Handler::with_head(|mut response| {
        response.headers_mut().insert("trailer", HeaderValue::from_static("x-sum"));
        response
    });
    let server = Server::start(handler.router().layer(layer())).await;
    for http2 in [false, true] {
        let mut request = Request::get(server.addr, "/stream").header("te", "trailers");
        if http2 {
            request = request.http2();
        }
        let mut reply = request.send().await;
        reply.phase("open").await;
        let told = handler.told().await;
        told.count(1..=1);
        told.send("");
        told.send_trailers(HeaderMap::from_iter([(
            http::HeaderName::from_static("x-sum"),
            HeaderValue::from_static("1"),
        )]));
        told.end();
        reply.counts(1..=1).await;
        reply.phase("end").await;
        assert_eq!(reply.rest().await, (vec![], Ended::Clean));
        assert_eq!(reply.trailers, None);
    }
}

#[tokio::test]
async fn streams_that_end_at_once_begin_and_end_all_the_same() {
    let app = axum::Router::new().route(
        "/stream",
        axum::routing::any(|| async { ([("content-type", "text/event-stream")], axum::body::Body::empty()) }),
    );
    let server = Server::start(app.layer(layer())).await;
    for http2 in [false, true] {
        let mut request = Request::get(server.addr, "/stream");
        if http2 {
            request = request.http2();
        }
        let mut reply = request.send().await;
        assert_eq!((reply.status.as_u16(), reply.header("content-length")), (200, None));
        assert_eq!(reply.size_hint().exact(), None, "a recorded body's size is not known");
        let open = reply.phase("open").await;
        let end = reply.phase("end").await;
        assert_eq!((end["status"].as_str(), end["seq"].as_u64()), (Some("complete"), Some(0)));
        assert_eq!(end["diagnostics"]["correlation_id"], open["request_id"]);
        assert_eq!(reply.rest().await, (vec![], Ended::Clean));
    }
}
