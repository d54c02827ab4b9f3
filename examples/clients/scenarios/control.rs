//! The control API: what a client's test talks to.

use crate::{catalogue::SCENARIOS, matrix::Matrix, plan::Scenario, redis::Redis, report::Report, run::Run};
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// A run that nobody reports is dropped.
pub(crate) const FORGOTTEN: Duration = Duration::from_secs(120);

/// Runs at a time. A client that never reports would else take all ports.
const MAX_RUNS: usize = 256;

/// A report repeats all that was sent: some 21 MB by the slow consumer's scenario, more where JSON escapes it.
const MAX_REPORT: usize = 128 * 1024 * 1024;

pub(crate) struct Control {
    runs: Mutex<HashMap<String, Arc<Run>>>,
    matrix: Mutex<Matrix>,
    redis: Redis,
    has_redis: bool,
    /// Where verdicts are kept, besides.
    dir: Option<PathBuf>,
    /// How long a run that nobody reports is kept.
    forgotten: Duration,
}

#[derive(Deserialize)]
struct Wanted {
    scenario: String,
    seed: u64,
    client: String,
}

/// A status, and a sentence for people.
struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

impl Control {
    pub(crate) async fn new(dir: Option<PathBuf>, forgotten: Duration) -> Arc<Self> {
        let has_redis = Redis::can_start().await;
        Arc::new(Self {
            runs: Mutex::default(),
            matrix: Mutex::default(),
            redis: Redis::default(),
            has_redis,
            dir,
            forgotten,
        })
    }

    pub(crate) fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/scenarios", get(scenarios))
            .route("/runs", post(begin))
            .route("/runs/{run}", get(log))
            .route("/runs/{run}/slow", get(slow))
            .route("/runs/{run}/report", post(report))
            .route("/matrix", get(matrix))
            .layer(DefaultBodyLimit::max(MAX_REPORT))
            .layer(axum::middleware::from_fn(for_browsers))
            .with_state(self)
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<String, Arc<Run>>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn scenarios(&self) -> impl Iterator<Item = &'static Scenario> {
        let redis = self.has_redis;
        SCENARIOS.iter().filter(move |scenario| redis || !scenario.name.starts_with("two_nodes"))
    }

    fn run(&self, name: &str) -> Result<Arc<Run>, Refusal> {
        let unknown = || Refusal(StatusCode::NOT_FOUND, format!("there is no run {name}"));
        self.runs().get(name).cloned().ok_or_else(unknown)
    }
}

/// A page of any origin may test its client here.
async fn for_browsers(request: axum::extract::Request, next: axum::middleware::Next) -> Response {
    let mut response = if request.method() == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("*"));
    response
}

async fn scenarios(State(control): State<Arc<Control>>) -> Json<Value> {
    let scenario =
        |scenario: &Scenario| json!({"name": scenario.name, "about": scenario.about, "seeds": scenario.seeds});
    Json(control.scenarios().map(scenario).collect())
}

async fn begin(State(control): State<Arc<Control>>, Json(wanted): Json<Wanted>) -> Result<Json<Value>, Refusal> {
    let Some(scenario) = control.scenarios().find(|scenario| scenario.name == wanted.scenario) else {
        return Err(Refusal(StatusCode::NOT_FOUND, format!("there is no scenario {}", wanted.scenario)));
    };
    if control.runs().len() >= MAX_RUNS {
        return Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, "too many runs: report them".to_owned()));
    }
    let started = Run::start(scenario, wanted.seed, wanted.client, &control.redis).await;
    let (run, mut told) = started.map_err(|error| Refusal(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    let name = format!("{:08x}", fastrand::u32(..));
    if let Some(told) = told.as_object_mut() {
        told.insert("run".to_owned(), name.clone().into());
    }
    control.runs().insert(name.clone(), Arc::new(run));
    tokio::spawn(async move {
        tokio::time::sleep(control.forgotten).await;
        control.runs().remove(&name);
    });
    Ok(Json(told))
}

async fn log(State(control): State<Arc<Control>>, Path(run): Path<String>) -> Result<Json<Value>, Refusal> {
    Ok(Json(control.run(&run)?.log()))
}

async fn slow(State(control): State<Arc<Control>>, Path(run): Path<String>) -> Result<StatusCode, Refusal> {
    control.run(&run)?.slow().await;
    Ok(StatusCode::NO_CONTENT)
}

async fn report(
    State(control): State<Arc<Control>>,
    Path(name): Path<String>,
    Json(report): Json<Report>,
) -> Result<Json<Value>, Refusal> {
    let run = control.run(&name)?;
    let verdict = run.judge(&report).await;
    control.runs().remove(&name);
    let mut matrix = control.matrix.lock().unwrap_or_else(PoisonError::into_inner);
    matrix.add(run.scenario, &run.client, verdict.passed);
    if let Some(dir) = &control.dir
        && let Err(error) = matrix.save(&run.client, dir)
    {
        return Err(Refusal(StatusCode::INTERNAL_SERVER_ERROR, format!("the verdict cannot be kept: {error}")));
    }
    drop(matrix);
    let mut answer = serde_json::to_value(&verdict).unwrap_or_default();
    if let (false, Some(answer)) = (verdict.passed, answer.as_object_mut()) {
        answer.insert("run".to_owned(), run.log());
    }
    Ok(Json(answer))
}

async fn matrix(State(control): State<Arc<Control>>) -> String {
    let order: Vec<&str> = control.scenarios().map(|scenario| scenario.name).collect();
    control.matrix.lock().unwrap_or_else(PoisonError::into_inner).table(&order)
}
