//! A server that drafts decision graphs, with no model behind it: the same brief always gives the same graph.
//!
//! `input` → `draft` (`brief`, `archetype`, `numbers` → `assemble` → `guards`) → `progress` → `pace` → `http`.

mod archetype;
mod assemble;
mod brief;
mod cable;
mod correlation;
mod critique;
mod draft;
mod error;
mod fixture;
mod graph;
mod grounding;
mod guards;
mod http;
mod input;
mod layout;
mod limits;
mod metrics;
mod numbers;
mod once;
mod output;
mod pace;
mod page;
mod previous;
mod progress;
mod query;
mod refine;
mod resuming;
mod scan;
mod sizing;
mod strength;
mod table;
mod templates;
mod text;
mod topology;
mod usage;
mod validate;
mod viewers;
mod watch;
mod wire;

use std::error::Error;
use std::future::IntoFuture as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use futures_util::FutureExt as _;
use tower_resume::store::AnyStore;
use tower_resume::{Idempotent, ResumeLayer};

use crate::cable::{Cables, Cutter};
use crate::pace::Pace;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A `main` that returns it would show a text in quotes, as programmers write it.
            let _ = writeln!(std::io::stderr(), "Error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    if let Some(usage) = usage::asked(std::env::args_os().skip(1))? {
        std::io::stdout().lock().write_all(usage.as_bytes())?;
        return Ok(());
    }
    let log = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "tower_resume=info".into());
    tracing_subscriber::fmt().with_env_filter(log).with_writer(std::io::stderr).init();
    let port: u16 = variable("PORT", "a port number")?.unwrap_or(3101);
    let per_event: u64 = variable("DRAFT_PACE_MS", "milliseconds for one event")?.unwrap_or(300);
    let at_least: usize = variable("DRAFT_MIN_EVENTS", "a number of events")?.unwrap_or(0);
    let drain: u64 = variable("DRAFT_DRAIN_SEC", "seconds for open drafts when told to stop")?.unwrap_or(25);
    let pace = Pace::every(Duration::from_millis(per_event)).at_least(at_least);
    // Before the layer, which looks its metrics up when it is made.
    let metrics = metrics::install()?;
    let (layer, secret_is_made) = resuming::layer()?;
    let store = layer.store_kind();
    let has_page: bool = variable("DRAFT_PAGE", "true or false")?.unwrap_or(true);
    let app = resuming::resumable(http::router(http::Settings { pace, ..http::Settings::default() }), layer.clone());
    let app = app.merge(metrics.router());
    // The page can cut its own connections: no service should let its clients do that, so it goes with the page.
    let app = if has_page { page::with_page(viewers::cuttable(app, layer.endpoint())) } else { app };
    let addr = SocketAddr::from(([127, 0, 0, 1], port));
    let listener = tokio::net::TcpListener::bind(addr)
        .await
        .map_err(|error| format!("cannot listen on {addr}: {error}; set PORT to a free port"))?;
    greet(listener.local_addr()?, store, secret_is_made, has_page)?;
    serve(Cables(listener), app, layer, Duration::from_secs(drain)).await
}

/// Serves until it is told to stop. Open drafts then have their time to end, or to go on elsewhere.
async fn serve(
    listener: Cables,
    app: axum::Router,
    layer: ResumeLayer<AnyStore, Idempotent>,
    drain: Duration,
) -> Result<(), Box<dyn Error>> {
    let told = told_to_stop()?.shared();
    let app = app.into_make_service_with_connect_info::<Cutter>();
    let mut server = tokio::spawn(axum::serve(listener, app).with_graceful_shutdown(told.clone()).into_future());
    tokio::select! {
        // With no connection open, the server ends as soon as it is told to: that is no reason to leave out the drain.
        biased;
        () = told => {}
        served = &mut server => return Ok(served??),
    }
    layer.drain(drain).await;
    // A client that takes nothing would hold its connection for ever.
    match tokio::time::timeout(Duration::from_secs(1), server).await {
        Ok(served) => Ok(served??),
        Err(_) => Ok(()),
    }
}

/// Ready when somebody presses Ctrl-C, or when an orchestrator terminates the process.
#[cfg(unix)]
fn told_to_stop() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Ready when somebody presses Ctrl-C.
#[cfg(not(unix))]
fn told_to_stop() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    Ok(tokio::signal::ctrl_c().map(|_| ()))
}

/// A variable of the environment, where it is set.
fn variable<T: FromStr>(name: &str, what: &str) -> Result<Option<T>, String> {
    let Ok(text) = std::env::var(name) else { return Ok(None) };
    match text.trim() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| format!("{name}: `{text}` given, {what} expected")),
    }
}

/// Says where the server is, and what to do next: a page to open, and three lines to paste.
fn greet(addr: SocketAddr, store: &str, secret_is_made: bool, has_page: bool) -> std::io::Result<()> {
    let (stream, resume) = (http::STREAM_PATH, resuming::RESUME_PATH);
    let brief = "Should we raise the price of our Pro plan from £49 to £59, to reach £20k MRR within 12 months while \
                 keeping monthly churn under 4%?";
    let mut out = std::io::stdout().lock();
    if has_page {
        writeln!(out, "Open http://{addr} in a browser.")?;
    }
    writeln!(out, "draft-graph serves http://{addr}, streams kept in: {store}")?;
    if secret_is_made {
        writeln!(out, "No SSE_RESUME_SECRET is set: made one for development. Tokens die with this process.")?;
    }
    writeln!(
        out,
        r#"
1. Start a draft, and cut it with Ctrl-C after a few events:

   curl -sSN http://{addr}{stream} -H 'content-type: application/json' -d '{{"brief":"{brief}"}}' | tee draft.sse

2. Resume it where it was cut, with the last id that came:

   curl -sSN http://{addr}{resume} -H "Last-Event-ID: $(grep '^id: ' draft.sse | tail -n 1 | cut -c 5-)"

3. Look at its status:

   curl -s "http://{addr}{resume}?mode=status" -H "X-Resume-Token: $(grep '^id: ' draft.sse | tail -n 1 | cut -c 5-)"
"#
    )
}
