//! What a node serves whose layer starts once for each key: a handler that notes its runs, and one that attaches.

use axum::{
    Extension, Json, Router,
    extract::Query,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response, Sse, sse::Event},
    routing::any,
};
use futures_util::{StreamExt as _, stream};
use std::{convert::Infallible, io::Write as _, time::Duration};
use tokio::time::sleep;
use tower_resume::{
    Attach, Idempotency, Keys, ResumeLayer, StreamName,
    store::{RedisConfig, RedisStore},
};

/// Names the file in which each run of the handler leaves a line: the run outlives its process there.
pub const RUNS: &str = "TOWER_RESUME_TEST_RUNS";
pub const WAIT: &str = "TOWER_RESUME_TEST_KEY_WAIT_MS";

/// What the handler does, told by a header: the query is part of what a key is for. It leaves word in the file, thinks for
/// `think` milliseconds, and answers.
#[derive(Clone, Default, serde::Deserialize)]
#[serde(default)]
struct Told {
    think: u64,
    answer: String,
    n: u64,
    pace: u64,
    name: Option<String>,
    finished: bool,
    from: u64,
}

fn note_run(key: &str) {
    let Some(path) = std::env::var_os(RUNS) else { return };
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(format!("{key}\n").as_bytes()).unwrap();
}

async fn start(head: HeaderMap) -> Response {
    let told = head.get("x-told").map_or("", |told| told.to_str().unwrap());
    let Query(told) = Query::<Told>::try_from_uri(&format!("/?{told}").parse().unwrap()).unwrap();
    note_run(head.get("idempotency-key").map_or("", |key| key.to_str().unwrap()));
    sleep(Duration::from_millis(told.think)).await;
    match &*told.answer {
        "json" => return Json("no stream").into_response(),
        "fail" => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        "panic" => panic!("told to"),
        _ => {}
    }
    let events = stream::iter(1..=told.n).then(move |number| async move {
        sleep(Duration::from_millis(told.pace)).await;
        Ok::<_, Infallible>(Event::default().event("count").data(number.to_string()))
    });
    let response = Sse::new(events);
    match told.name {
        Some(name) => (Extension(StreamName::new(name)), response).into_response(),
        None => response.into_response(),
    }
}

async fn attach(Query(told): Query<Told>) -> impl IntoResponse {
    let attach = Attach::to(told.name.unwrap_or_default()).from(told.from).include_finished(told.finished);
    Extension(attach)
}

/// What such a node serves beside the others' routes.
pub fn routes() -> Router {
    if std::env::var_os(RUNS).is_none() {
        return Router::new();
    }
    let wait = std::env::var(WAIT).ok().map(|wait| Duration::from_millis(wait.parse().unwrap()));
    let keys = Idempotency::new().shared_keys();
    // With Redis out of reach a handler runs, which on a busy machine a command that takes long would look like.
    let config = RedisConfig::new(&std::env::var("REDIS_URL").unwrap()).command_timeout(Duration::from_secs(20));
    let layer =
        ResumeLayer::new(RedisStore::with_config(config).unwrap(), Keys::from_env().unwrap()).tokens_are_enough();
    let layer = layer.idempotency(wait.map_or(keys.clone(), |wait| keys.wait(wait)));
    Router::new().route("/start", any(start)).route("/attach", any(attach)).layer(layer)
}
