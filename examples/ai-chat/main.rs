//! A chat backend for the AI SDK's `useChat({ resume: true })`, with no model behind it. See README.md beside this file.
//!
//! `http` (three routes) → `answer` (what a model would say) → `parts` (the SDK's UI message stream); `history` keeps the
//! chats. The layer does the rest: it is told which chat a stream belongs to, and finds it again.

mod answer;
mod history;
mod http;
mod parts;

use std::error::Error;
use std::io::Write as _;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Duration;

use tower_resume::store::AnyStore;
use tower_resume::{Keys, ResumeLayer};

/// A chat that is attached to again is sent its answer from the start: all of it has to be kept. One event is one word here.
const MAX_EVENTS: NonZeroUsize = NonZeroUsize::new(8192).unwrap();
const MAX_BYTES: NonZeroUsize = NonZeroUsize::new(4 * 1024 * 1024).unwrap();

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
    let log = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "tower_resume=info".into());
    tracing_subscriber::fmt().with_env_filter(log).with_writer(std::io::stderr).init();
    let port: u16 = number("PORT", "a port number", 3102)?;
    let pace: u64 = number("CHAT_PACE_MS", "milliseconds for one word", 60)?;

    let layer = layer()?;
    let app = http::router(Duration::from_millis(pace)).layer(layer.clone());
    let addr = SocketAddr::from(([127, 0, 0, 1], port));
    let listener = tokio::net::TcpListener::bind(addr)
        .await
        .map_err(|error| format!("cannot listen on {addr}: {error}; set PORT to a free port"))?;
    greet(listener.local_addr()?, layer.store_kind())?;
    axum::serve(listener, app).await?;
    Ok(())
}

/// The layer as the environment says, with room for whole answers. Where no secret is set, one is made for this process.
fn layer() -> Result<ResumeLayer<AnyStore>, Box<dyn Error>> {
    let mut layer = ResumeLayer::from_env()?;
    if !layer.has_keys() {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        layer = layer.keys(Keys::new(secret)?);
    }
    // A real application has logins, and `principal_with` here. This one lets whoever knows a chat's id read it.
    Ok(layer.scope("ai-chat").tokens_are_enough().max_events(MAX_EVENTS).max_bytes(MAX_BYTES))
}

fn number<T: std::str::FromStr>(name: &str, what: &str, default: T) -> Result<T, String> {
    match std::env::var(name) {
        Ok(text) if !text.trim().is_empty() => {
            text.trim().parse().map_err(|_| format!("{name}: `{text}` given, {what} expected"))
        }
        _ => Ok(default),
    }
}

fn greet(addr: SocketAddr, store: &str) -> std::io::Result<()> {
    writeln!(
        std::io::stdout().lock(),
        r#"ai-chat serves http://{addr}, streams kept in: {store}

1. Ask, and cut it with Ctrl-C after a few words:

   curl -sSN http://{addr}/api/chat -H 'content-type: application/json' -d '{{"id":"c1","messages":[{{"id":"m1","role":"user","parts":[{{"type":"text","text":"Why do streams break?"}}]}}]}}'

2. Attach to the answer, from its start (204 when it is over):

   curl -iN http://{addr}/api/chat/c1/stream

3. Stop it:

   curl -i -X POST http://{addr}/api/chat/c1/stop
"#
    )
}
