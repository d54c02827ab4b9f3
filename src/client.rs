//! A client: a stream of typed events over `reqwest` that comes back by itself.
//!
//! It sends the first request, reads the events, and when the connection is lost it goes on behind the last event that
//! it has yielded, by the layer's token: none is lost, none comes twice, and what cannot be had is an item of its own.
//! Any method can be resumed, `POST` among them.
//!
//! ```no_run
//! use tower_resume::client::{Client, Item};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new();
//! let mut stream = client
//!     .post("http://127.0.0.1:3101/assist/draft-graph/stream")
//!     .json(&serde_json::json!({ "brief": "Should we build our own billing or buy one?" }))
//!     .resume_url("/assist/draft-graph/resume")
//!     .idempotent()
//!     .send();
//! while let Some(item) = stream.next().await {
//!     match item? {
//!         Item::Event(event) => println!("{} {}: {}", event.seq, event.name, event.data),
//!         Item::Gap(gap) => println!("{} to {} are gone", gap.from, gap.to),
//!         Item::Snapshot(snapshot) => println!("all up to {}: {}", snapshot.seq, snapshot.data),
//!         Item::End(end) => println!("over: {}", end.status),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # When a connection is lost
//!
//! A reset, an end of the response before the stream's own `end`, and 30 s of silence are all the same to it: it waits
//! for a random time, up to 1 s at first and up to 30 s later, and asks for the rest, until the token is past its time.
//! `retry:` and `Retry-After` are obeyed. See [`Request`] for everything that can be set.
//!
//! A **start** is sent again only where that does no harm: with a safe method, or an idempotency key. Else a request that
//! is lost before it is answered is an [error](ErrorKind::StartFailed).
//!
//! A server **without the layer** is read as a browser would read it: with a safe method the client comes back with
//! `Last-Event-ID`; with another one a loss is an [error](ErrorKind::NotResumable).
//!
//! # TLS
//!
//! This crate chooses none. Name `reqwest` among your own dependencies, with the one that you want; cargo unites the
//! features, and [`Client::new`] speaks `https`:
//!
//! ```toml
//! reqwest = { version = "0.13", default-features = false, features = ["rustls"] }
//! ```
//!
//! A proxy, certificates, HTTP/2 and the like are set on a [`reqwest::Client`]: `Client::from` takes one.

mod answer;
mod backoff;
mod cancel;
mod control;
mod cursor;
mod error;
mod events;
mod failures;
mod item;
mod life;
mod options;
mod parser;
mod request;
#[cfg(test)]
mod script;
mod shelf;
mod state;
mod storage;
mod token;
mod transport;

pub use cancel::Cancelled;
pub use error::{Error, ErrorKind};
pub use events::Events;
pub use item::{Control, Diagnostics, End, Event, Gap, GapReason, Item, Snapshot};
pub use options::{DEFAULT_IDLE_TIMEOUT, DEFAULT_MAX_EVENT_BYTES, DEFAULT_RETRY_BASE, DEFAULT_RETRY_MAX, ResumeFrom};
pub use request::Request;
pub use state::{State, Stats};
pub use storage::{FileStorage, MemoryStorage, Storage};

use http::Method;
use options::{Options, checked};
use reqwest::{IntoUrl, redirect};
use std::sync::Arc;
use transport::Transport;

/// Most redirects that are followed.
const MAX_REDIRECTS: usize = 10;

/// Makes streams. Its clones share one pool of connections.
///
/// [`Client::new`] follows redirects within one origin only, since a token should not go elsewhere. One that is made of a
/// [`reqwest::Client`] does as that one does. A total `timeout` set there cuts every stream after that time; it comes
/// back, but for no good.
#[derive(Clone)]
pub struct Client(Result<Arc<dyn Transport>, Arc<reqwest::Error>>);

impl Client {
    /// A client with `reqwest`'s settings, but for redirects to other origins, which are not followed.
    ///
    /// Where the TLS that `reqwest` was built with cannot be set up, its streams say so.
    #[must_use]
    pub fn new() -> Self {
        let same_origin = redirect::Policy::custom(|attempt| {
            let before = attempt.previous();
            let stays = before.last().is_none_or(|last| last.origin() == attempt.url().origin());
            if stays && before.len() <= MAX_REDIRECTS { attempt.follow() } else { attempt.stop() }
        });
        match reqwest::Client::builder().redirect(same_origin).build() {
            Ok(client) => client.into(),
            Err(error) => Self(Err(Arc::new(error))),
        }
    }

    /// A stream that begins with a `GET`.
    pub fn get(&self, url: impl IntoUrl) -> Request {
        self.request(Method::GET, url)
    }

    /// A stream that begins with a `POST`.
    pub fn post(&self, url: impl IntoUrl) -> Request {
        self.request(Method::POST, url)
    }

    /// A stream that begins with a request of this method.
    pub fn request(&self, method: Method, url: impl IntoUrl) -> Request {
        Request::new(self.options(method, url))
    }

    fn options(&self, method: Method, url: impl IntoUrl) -> Result<Options, Error> {
        let url = url.into_url().map_err(|error| {
            Error::new(ErrorKind::BadUrl, "an absolute URL of http or https expected").with_source(error.without_url())
        })?;
        let transport = self
            .0
            .clone()
            .map_err(|error| Error::new(ErrorKind::BadRequest, "TLS cannot be set up").with_source(error))?;
        Ok(Options::new(transport, method, checked(url)?))
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl From<reqwest::Client> for Client {
    fn from(client: reqwest::Client) -> Self {
        Self(Ok(Arc::new(client)))
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}
