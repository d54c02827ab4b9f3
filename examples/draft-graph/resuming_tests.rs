//! The application under the layer, as a client of it sees it.

use std::time::Duration;

use super::*;
use crate::http::{STREAM_PATH, Settings, router};
use crate::pace::Pace;
use axum::body::Body;
use axum::http::{HeaderMap, Request};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;
use tower_resume::store::MemoryStore;

const BRIEF: &str = "Should we raise the Pro price from £49 to £59, or keep it as it is?";

pub(crate) fn layer() -> ResumeLayer<AnyStore, Idempotent> {
    configure(ResumeLayer::new(AnyStore::new(MemoryStore::new()), Keys::new([7; 32]).unwrap()))
}

fn app(layer: ResumeLayer<AnyStore, Idempotent>) -> Router {
    resumable(router(Settings { pace: Pace::every(Duration::ZERO), ..Settings::default() }), layer)
}

fn start(body: &Value) -> Request<Body> {
    Request::post(STREAM_PATH).header("content-type", "application/json").body(body.to_string().into()).unwrap()
}

fn resume(token: &str) -> Request<Body> {
    Request::post(RESUME_PATH).header("x-resume-token", token).body(Body::empty()).unwrap()
}

async fn call(app: &Router, request: Request<Body>) -> (StatusCode, HeaderMap, String) {
    let (head, body) = app.clone().oneshot(request).await.unwrap().into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    (head.status, head.headers, String::from_utf8(bytes.to_vec()).unwrap())
}

/// The events of a stream: name, data and id.
fn events(text: &str) -> Vec<(String, Value, String)> {
    let blocks = text.split_terminator("\n\n").filter(|block| !block.starts_with(':'));
    blocks
        .map(|block| {
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            (field("event: ").to_owned(), serde_json::from_str(field("data: ")).unwrap(), field("id: ").to_owned())
        })
        .collect()
}

#[tokio::test]
async fn a_draft_is_the_streams_events_between_open_and_end() {
    let (status, headers, text) = call(&app(layer()), start(&json!({ "brief": BRIEF }))).await;
    assert_eq!(status, 200);
    let id = headers["x-resume-stream"].to_str().unwrap();
    assert_eq!(headers["x-correlation-id"], id, "the handler echoes the stream's id");
    let events = events(&text);
    assert_eq!((&*events[0].0, &events[0].1["phase"]), ("resume", &json!("open")));
    assert_eq!(events[1].1, json!({ "stage": "DRAFTING" }));
    let complete = &events[events.len() - 2];
    assert_eq!((&*complete.0, &complete.1["stage"]), ("stage", &json!("COMPLETE")));
    assert_eq!(complete.1["payload"]["diagnostics"]["correlation_id"], id);
    let end = &events[events.len() - 1].1;
    assert_eq!((&end["phase"], &end["status"]), (&json!("end"), &json!("complete")));
    assert!((20..=45).contains(&events.len()), "{} events", events.len());
}

#[tokio::test]
async fn a_draft_resumes_after_every_event_and_is_whole() {
    let app = app(layer());
    let (_, _, text) = call(&app, start(&json!({ "brief": BRIEF }))).await;
    let whole = events(&text);
    for cut in 0..whole.len() - 1 {
        let (status, headers, text) = call(&app, resume(&whole[cut].2)).await;
        assert_eq!(status, 200);
        assert_eq!(headers["x-correlation-id"], headers["x-resume-stream"]);
        let rest = events(&text);
        assert_eq!(rest[0].1["phase"], "replay");
        let drafts = |events: &[(String, Value, String)]| -> Vec<Value> {
            events.iter().filter(|event| event.0 == "stage").map(|event| event.1.clone()).collect()
        };
        assert_eq!([drafts(&whole[..=cut]), drafts(&rest)].concat(), drafts(&whole), "cut after {cut}");
    }
}

#[tokio::test]
async fn a_client_that_comes_when_the_events_are_gone_gets_the_whole_draft_without_its_stage() {
    let app = app(layer().max_events(4.try_into().unwrap()));
    let (_, _, text) = call(&app, start(&json!({ "brief": BRIEF }))).await;
    let whole = events(&text);
    let (_, _, text) = call(&app, resume(&whole[0].2)).await;
    let rest = events(&text);
    let phases: Vec<_> = rest.iter().map(|event| event.1["phase"].as_str().unwrap_or(&event.0)).collect();
    assert_eq!(phases, ["replay", "gap", "snapshot", "complete", "end"]);
    assert_eq!(rest[3].1, whole[whole.len() - 2].1["payload"]);
}

#[tokio::test]
async fn a_draft_that_fails_ends_as_an_error_and_its_snapshot_says_so() {
    let nodes: Vec<Value> =
        (0..51).map(|n| json!({ "id": format!("fac_{n}"), "kind": "factor", "label": "x" })).collect();
    let graph = json!({ "version": "1", "default_seed": 17, "nodes": nodes, "edges": [] });
    let app = app(layer());
    let (status, _, text) = call(&app, start(&json!({ "brief": BRIEF, "previous_graph": graph }))).await;
    assert_eq!(status, 200);
    let events = events(&text);
    let complete = &events[events.len() - 2].1;
    assert_eq!(complete["payload"]["schema"], "error.v1", "{complete}");
    assert_eq!(events[events.len() - 1].1["status"], "error");
}

#[tokio::test]
async fn a_draft_is_cancelled_by_its_token_at_the_resume_path() {
    let pace = Pace::every(Duration::from_secs(3600));
    let app = resumable(router(Settings { pace, ..Settings::default() }), layer());
    let response = app.clone().oneshot(start(&json!({ "brief": BRIEF }))).await.unwrap();
    let token = response.headers()["x-resume-token"].to_str().unwrap().to_owned();
    let delete = Request::delete(RESUME_PATH).header("x-resume-token", &token).body(Body::empty()).unwrap();
    let (status, _, text) = call(&app, delete).await;
    assert_eq!((status, &*text), (StatusCode::NO_CONTENT, ""));
    let text = response.into_body().collect().await.unwrap().to_bytes();
    let events = events(std::str::from_utf8(&text).unwrap());
    assert_eq!(events.last().unwrap().1["status"], "cancelled");
}

#[tokio::test]
async fn errors_come_in_the_applications_envelope() {
    let app = app(layer());
    let (status, headers, text) = call(&app, Request::post(RESUME_PATH).body(Body::empty()).unwrap()).await;
    assert_eq!((status.as_u16(), &headers["content-type"]), (400, &"application/problem+json".parse().unwrap()));
    let error: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&error["schema"], &error["code"]), (&json!("error.v1"), &json!("missing_token")));
    assert!(text.starts_with(r#"{"schema":"error.v1","code":"#), "{text}");

    let of_another = self::app(layer());
    let (_, headers, _) = call(&of_another, start(&json!({ "brief": BRIEF }))).await;
    let (status, _, text) = call(&app, resume(headers["x-resume-token"].to_str().unwrap())).await;
    let error: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status.as_u16(), &error["code"]), (426, &json!("stream_expired")));
    assert_eq!(error["details"]["upgrade"], "resume=unsupported");
}

fn with_key(body: String) -> Request<Body> {
    Request::post(STREAM_PATH).header("idempotency-key", "\"of-mine\"").body(body.into()).unwrap()
}

#[tokio::test]
async fn a_brief_that_is_sent_again_with_its_key_joins_its_draft_and_another_brief_is_refused() {
    let app = app(layer());
    let brief = json!({ "brief": BRIEF }).to_string();
    let (status, first, drafted) = call(&app, with_key(brief.clone())).await;
    assert_eq!((status.as_u16(), first.get("idempotency-replayed")), (200, None));
    let (status, again, joined) = call(&app, with_key(brief)).await;
    assert_eq!((status.as_u16(), &again["idempotency-replayed"]), (200, &HeaderValue::from_static("true")));
    assert_eq!(again["x-resume-stream"], first["x-resume-stream"]);
    let (drafted, joined) = (events(&drafted), events(&joined));
    let stages = |events: &[(String, Value, String)]| {
        let stages = events.iter().filter(|event| event.0 == "stage");
        stages.map(|event| event.1.clone()).collect::<Vec<_>>()
    };
    assert_eq!(stages(&drafted), stages(&joined));
    let other = json!({ "brief": format!("{BRIEF} Or neither?") }).to_string();
    let (status, _, refused) = call(&app, with_key(other)).await;
    let refused: Value = serde_json::from_str(&refused).unwrap();
    assert_eq!(
        (status.as_u16(), &refused["code"], &refused["schema"]),
        (422, &json!("key_reused"), &json!("error.v1"))
    );
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_by_the_handler_with_a_key_too() {
    let large = json!({ "brief": "x".repeat(crate::limits::BODY_LIMIT_BYTES) }).to_string();
    let (status, headers, _) = call(&app(layer()), with_key(large)).await;
    assert_eq!((status.as_u16(), headers.get("x-resume-stream")), (413, None));
}
