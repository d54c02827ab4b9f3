//! What the examples of this folder share. Each is one file of `src/bin`, and shows one thing.

pub mod ticker;

use std::{error::Error, net::SocketAddr};

use tokio::net::TcpListener;
use tower_resume::{Keys, ResumeLayer, store::AnyStore};

/// What a `main` may fail with.
pub type Failure = Box<dyn Error + Send + Sync>;

/// A layer as the environment says (`SSE_RESUME_SECRET`, `REDIS_URL` and more), with a secret for development where none is
/// set. Nobody logs in to these examples: whoever has a stream's token may read that stream.
///
/// # Errors
///
/// If a variable's value is of no use.
pub fn layer() -> Result<ResumeLayer<AnyStore>, Failure> {
    let layer = ResumeLayer::from_env()?.tokens_are_enough();
    if layer.has_keys() {
        return Ok(layer);
    }
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)?;
    println!("No SSE_RESUME_SECRET is set: made one for development. Tokens die with this process.");
    Ok(layer.keys(Keys::new(secret)?))
}

/// Listens on this machine at `PORT`, or where that is not set at `port`, and says so.
///
/// # Errors
///
/// If `PORT` is no port number, or the port is taken.
pub async fn listen(name: &str, port: u16) -> Result<(TcpListener, SocketAddr), Failure> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let port = match std::env::var("PORT") {
        Err(_) => port,
        Ok(text) => text.parse().map_err(|_| format!("PORT: `{text}` given, a port number expected"))?,
    };
    let addr = SocketAddr::from(([127, 0, 0, 1], port));
    let listener = TcpListener::bind(addr).await;
    let listener = listener.map_err(|error| format!("cannot listen on {addr}: {error}; set PORT to a free port"))?;
    let addr = listener.local_addr()?;
    println!("{name} serves http://{addr}");
    Ok((listener, addr))
}
