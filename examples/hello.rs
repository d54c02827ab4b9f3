//! The smallest server: a handler that counts, made resumable by one layer. `cargo run --example hello`
#![allow(clippy::print_stdout, reason = "it says what to do next")]

use std::{convert::Infallible, error::Error, net::SocketAddr, time::Duration};

use axum::response::sse::{Event, Sse};
use axum::{Router, routing::get};
use tokio_stream::{Stream, StreamExt as _};
use tower_resume::{Keys, ResumeLayer, store::MemoryStore};

/// An ordinary handler. It knows nothing of resuming.
async fn count() -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let numbers = tokio_stream::iter(1..=60).throttle(Duration::from_millis(500));
    Sse::new(numbers.map(|number| Ok(Event::default().data(number.to_string()))))
}

#[tokio::main]
async fn main() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    if let Err(error) = serve().await {
        eprintln!("hello: {error}");
        std::process::exit(1);
    }
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let port = std::env::var("PORT").unwrap_or_else(|_| "3000".into());
    let port: u16 = port.parse().map_err(|_| format!("PORT: `{port}` given, a port number expected"))?;
    // They sign the tokens that clients resume by. A real service has one secret, the same on all its nodes.
    let (keys, made) = match Keys::from_env()? {
        Some(keys) => (keys, ""),
        None => (made()?, "No SSE_RESUME_SECRET is set: made one for development. Tokens die with this process.\n"),
    };
    // Nobody logs in here: whoever has a stream's token may read that stream.
    let layer = ResumeLayer::new(MemoryStore::new(), keys).tokens_are_enough();
    let app = Router::new()
        .route("/count", get(count))
        .layer(layer.clone())
        // Added after the layer, so outside of it.
        .route_service("/resume", layer.endpoint());

    let addr = SocketAddr::from(([127, 0, 0, 1], port));
    let listener = tokio::net::TcpListener::bind(addr).await;
    let listener = listener.map_err(|error| format!("cannot listen on {addr}: {error}; set PORT to a free port"))?;
    let at = format!("http://{}", listener.local_addr()?);
    println!("hello serves {at}\n{made}\n1. Start counting, and cut it with Ctrl-C after a few numbers:\n");
    println!("   curl -sSN {at}/count | tee count.sse\n\n2. Resume it where it was cut, with the last id that came:\n");
    println!("   curl -sSN {at}/resume -H \"Last-Event-ID: $(grep '^id: ' count.sse | tail -n 1 | cut -c 5-)\"\n");
    axum::serve(listener, app).await?;
    Ok(())
}

fn made() -> Result<Keys, Box<dyn Error>> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)?;
    Ok(Keys::new(secret)?)
}
