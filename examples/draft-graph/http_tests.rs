//! The routes as a client sees them, without a socket.

use std::time::Duration;

use super::*;
use axum::http::Request;
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

const BRIEF: &str = "Should we raise the Pro price from £49 to £59, or keep it as it is?";

fn app(pace: Pace) -> Router {
    router(Settings { pace, ..Settings::default() })
}

fn at_once() -> Router {
    app(Pace::every(Duration::ZERO))
}

fn post_to(path: &str, body: impl Into<Body>) -> Request<Body> {
    let request = Request::post(path).header("content-type", "application/json");
    request.body(body.into()).unwrap()
}

async fn call(app: Router, request: Request<Body>) -> (StatusCode, HeaderMap, String) {
    let response = app.oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    (head.status, head.headers, String::from_utf8(bytes.to_vec()).unwrap())
}

async fn stream(body: Value) -> (StatusCode, HeaderMap, Vec<Value>) {
    let (status, headers, text) = call(at_once(), post_to(STREAM_PATH, body.to_string())).await;
    (status, headers, events(&text))
}

/// The data of all events; fails on anything that is not exactly `event: stage`, one data line, a blank line.
fn events(text: &str) -> Vec<Value> {
    assert!(text.ends_with("\n\n"), "{text:?}");
    let frames = text.strip_suffix("\n\n").unwrap().split("\n\n");
    frames
        .map(|frame| {
            let data = frame.strip_prefix("event: stage\ndata: ").expect(frame);
            assert!(!data.contains('\n'));
            serde_json::from_str(data).unwrap()
        })
        .collect()
}

#[tokio::test]
async fn a_stream_goes_from_drafting_to_complete() {
    let (status, headers, events) = stream(json!({ "brief": BRIEF })).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers["content-type"], "text/event-stream");
    assert_eq!(headers["cache-control"], "no-cache");
    assert!((20..=40).contains(&events.len()), "{}", events.len());
    assert_eq!(events[0], json!({"stage": "DRAFTING"}));
    let (last, before) = events.split_last().unwrap();
    assert!(before.iter().all(|event| event["stage"] == "DRAFTING"));
    assert_eq!(last["stage"], "COMPLETE");
    let id = headers["x-correlation-id"].to_str().unwrap();
    assert_eq!(last["payload"]["diagnostics"]["correlation_id"], id);
    assert_eq!(last["payload"]["confidence"], 0.85);
}

#[tokio::test]
async fn stream_and_json_give_the_same_output() {
    let body = json!({ "brief": BRIEF });
    let request = |path: &str| {
        let mut request = post_to(path, body.to_string());
        request.headers_mut().insert("x-request-id", HeaderValue::from_static("same-1"));
        request
    };
    let (_, headers, streamed) = call(at_once(), request(STREAM_PATH)).await;
    assert_eq!(headers["x-correlation-id"], "same-1");
    let (status, headers, whole) = call(at_once(), request(JSON_PATH)).await;
    assert_eq!((status, headers["content-type"].as_bytes()), (StatusCode::OK, &b"application/json"[..]));
    let last = streamed.trim_end().rsplit("data: ").next().unwrap();
    assert_eq!(crate::wire::snapshot_payload(last).as_deref(), Some(whole.as_str()));
}

#[tokio::test(start_paused = true)]
async fn with_a_pace_the_first_event_is_immediate_and_the_whole_takes_its_time() {
    let start = Instant::now();
    let request = post_to(STREAM_PATH, json!({ "brief": BRIEF }).to_string());
    let mut body = app(Pace::default()).oneshot(request).await.unwrap().into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, "event: stage\ndata: {\"stage\":\"DRAFTING\"}\n\n");
    assert_eq!(start.elapsed(), Duration::ZERO);
    let mut placeholder = None;
    while let Some(frame) = body.frame().await {
        let data = frame.unwrap().into_data().unwrap();
        if String::from_utf8_lossy(&data).contains(r#""source":"fixtures""#) {
            placeholder = Some(start.elapsed());
        }
    }
    let placeholder = placeholder.unwrap().as_millis();
    assert!((2500..2510).contains(&placeholder), "{placeholder}");
    assert!((7..=12).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}

#[tokio::test]
async fn invalid_input_on_the_stream_is_400_with_two_events() {
    let (status, headers, text) = call(at_once(), post_to(STREAM_PATH, r#"{"brief":"short"}"#)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(headers["content-type"], "text/event-stream");
    assert!(headers.contains_key("x-correlation-id"));
    let events = events(&text);
    assert_eq!(
        events,
        [
            json!({"stage": "DRAFTING"}),
            json!({"stage": "COMPLETE", "payload": {
                "schema": "error.v1", "code": "BAD_INPUT", "message": "invalid input",
                "details": {"formErrors": [], "fieldErrors": {"brief": ["String must contain at least 30 character(s)"]}},
            }}),
        ]
    );
}

#[tokio::test]
async fn invalid_input_on_the_json_path_is_400_json() {
    for body in [r#"{"brief":"short"}"#, "[]", "{", ""] {
        let (status, headers, text) = call(at_once(), post_to(JSON_PATH, body)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(headers["content-type"], "application/json");
        let error: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&error["schema"], &error["message"]), (&json!("error.v1"), &json!("invalid input")));
    }
}

#[tokio::test]
async fn attachments_over_the_limit_are_400_on_both_paths() {
    let body = json!({
        "brief": BRIEF, "flags": {"grounding": true},
        "attachments": [{"id": "a", "kind": "md", "name": "long"}],
        "attachment_payloads": {"a": {"data": "x".repeat(5001), "encoding": "utf-8"}},
    });
    let (status, _, text) = call(at_once(), post_to(JSON_PATH, body.to_string())).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(text.contains("5k"), "{text}");
    let (status, _, events) = stream(body).await;
    assert_eq!((status, events.len()), (StatusCode::BAD_REQUEST, 2));
    assert!(events[1]["payload"]["details"]["hint"].is_string());
}

#[tokio::test]
async fn a_draft_that_fails_on_the_stream_is_200_and_ends_in_an_error() {
    let empty = json!({ "brief": BRIEF, "previous_graph": {"nodes": [], "edges": []} });
    let (status, _, events) = stream(empty.clone()).await;
    assert_eq!((status, events.len()), (StatusCode::OK, 2));
    assert_eq!(events[1]["stage"], "COMPLETE");
    assert_eq!(events[1]["payload"]["details"]["reason"], "empty_graph");
    assert!(events[1]["payload"]["diagnostics"]["correlation_id"].is_string());
    let (status, _, _) = call(at_once(), post_to(JSON_PATH, empty.to_string())).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn fixtures_are_two_events() {
    let (_, _, events) = stream(json!({ "brief": BRIEF, "fixtures": true })).await;
    assert_eq!(events.len(), 2);
    assert_eq!(events[1]["payload"]["graph"]["meta"]["source"], "fixtures");
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let body = vec![b' '; limits::BODY_LIMIT_BYTES + 1];
    for path in [JSON_PATH, STREAM_PATH] {
        let (status, headers, text) = call(at_once(), post_to(path, body.clone())).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
        assert!(text.contains(r#""schema":"error.v1""#) && text.contains("1048576"), "{text}");
        assert!(headers.contains_key("x-correlation-id"));
    }
    let mut fits = json!({ "brief": BRIEF }).to_string();
    fits.push_str(&" ".repeat(limits::BODY_LIMIT_BYTES - fits.len()));
    assert_eq!(call(at_once(), post_to(JSON_PATH, fits)).await.0, StatusCode::OK);
}

#[tokio::test]
async fn events_on_the_json_path_are_426_unless_json_will_do() {
    let cases = [
        ("text/event-stream", 426),
        ("Text/Event-Stream; q=0.9", 426),
        ("text/event-stream, application/json", 200),
        ("text/event-stream, */*;q=0.1", 200),
        ("application/json", 200),
    ];
    for (accept, expected) in cases {
        let mut request = post_to(JSON_PATH, json!({ "brief": BRIEF }).to_string());
        request.headers_mut().insert("accept", HeaderValue::from_static(accept));
        let (status, headers, text) = call(at_once(), request).await;
        assert_eq!(status.as_u16(), expected, "{accept}");
        if expected == 426 {
            let error: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(error["details"]["recommended_endpoint"], STREAM_PATH);
            assert!(error["details"]["migration_guide"].is_string());
            assert!(headers.contains_key("upgrade"));
        }
    }
}

#[tokio::test]
async fn health_and_limits_are_told() {
    let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    let (status, _, text) = call(at_once(), get("/healthz")).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["ok"], true);
    let (status, _, text) = call(at_once(), get("/v1/limits")).await;
    assert_eq!(status, StatusCode::OK);
    let limits: Value = serde_json::from_str(&text).unwrap();
    let expected = [
        ("schema", json!("limits.v1")),
        ("max_nodes", json!(50)),
        ("max_edges", json!(200)),
        ("graph_max_nodes", json!(50)),
        ("graph_max_edges", json!(200)),
        ("body_limit_bytes", json!(1_048_576)),
    ];
    for (name, value) in expected {
        assert_eq!(limits[name], value, "{name}");
    }
}

#[tokio::test]
async fn other_paths_and_methods_are_error_v1() {
    let (status, _, text) = call(at_once(), post_to("/assist/nothing", "")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(text.starts_with(r#"{"schema":"error.v1","code":"NOT_FOUND""#), "{text}");
    let put = Request::put(STREAM_PATH).body(Body::empty()).unwrap();
    let (status, headers, text) = call(at_once(), put).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(text.contains("error.v1"), "{text}");
    assert_eq!(headers["allow"], "GET,HEAD,POST");
}

async fn get_stream(query: &str) -> (StatusCode, HeaderMap, Vec<Value>) {
    let request = Request::get(format!("{STREAM_PATH}?{query}")).body(Body::empty()).unwrap();
    let (status, headers, text) = call(at_once(), request).await;
    (status, headers, events(&text))
}

#[tokio::test]
async fn a_get_with_a_brief_is_the_same_draft() {
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("brief", BRIEF).finish();
    let (status, headers, mut by_get) = get_stream(&query).await;
    assert_eq!((status, &headers["content-type"]), (StatusCode::OK, &HeaderValue::from_static("text/event-stream")));
    let (_, _, mut by_post) = stream(json!({ "brief": BRIEF })).await;
    for events in [&mut by_get, &mut by_post] {
        // Each draft has an id of its own.
        events.last_mut().unwrap()["payload"]["diagnostics"]["correlation_id"].take();
    }
    assert_eq!(by_get, by_post);
}

#[tokio::test]
async fn a_get_is_refused_as_a_post_is() {
    for (query, field) in [("", "brief"), ("brief=short", "brief"), (&format!("brief={}", "x".repeat(5001)), "brief")] {
        let (status, headers, events) = get_stream(query).await;
        assert_eq!((status, headers["content-type"].to_str().unwrap()), (StatusCode::BAD_REQUEST, "text/event-stream"));
        let payload = &events.last().unwrap()["payload"];
        assert_eq!(payload["code"], "BAD_INPUT");
        assert!(payload["details"]["fieldErrors"][field].is_array(), "{payload}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_says_how_fast_a_draft_is_told() {
    let start = Instant::now();
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("brief", BRIEF).finish();
    let (_, _, events) = get_stream(&format!("{query}&pace_ms=1000")).await;
    let (took, steps) = (start.elapsed(), events.len() as u32);
    assert!(took > Duration::from_millis(700) * (steps - 4) && took < Duration::from_millis(1300) * steps, "{took:?}");
    let (status, _, events) = get_stream(&format!("{query}&pace_ms=soon")).await;
    assert_eq!((status, &events[1]["payload"]["details"]["parameter"]), (StatusCode::BAD_REQUEST, &json!("pace_ms")));
}
