//! Tower middleware that makes any Server-Sent-Events handler resumable, with no change to the handler.
//!
//! A phone changes network, a tab reloads, a proxy times out: the client comes back, with `X-Resume-Token` or by
//! itself with the browser's `Last-Event-ID`, and gets exactly what it missed and then the live rest; on any node, while
//! the handler runs on, or after it has ended.
//!
//! ```no_run
//! use axum::{Router, response::{Sse, sse::Event}, routing::get};
//! use futures_util::{Stream, stream};
//! use std::convert::Infallible;
//! use tower_resume::{Keys, ResumeLayer, store::MemoryStore};
//!
//! async fn count() -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
//!     Sse::new(stream::iter((1..=100).map(|n| Ok(Event::default().data(n.to_string())))))
//! }
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let keys = Keys::new(std::env::var("SSE_RESUME_SECRET")?)?;
//! let app: Router = Router::new().route("/count", get(count)).layer(ResumeLayer::new(MemoryStore::new(), keys));
//! axum::serve(tokio::net::TcpListener::bind("127.0.0.1:3000").await?, app).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Where to find what
//!
//! | for | look at |
//! | --- | --- |
//! | the layer and all its settings | [`ResumeLayer`], [`ResumeLayer::from_env`]; `docs/configuration.md` |
//! | where streams are kept | [`store`]: memory, Redis, or a store of your own |
//! | secrets, and who may read | [`Keys`], [`Principal`], [`Authorization`]; `docs/security.md` |
//! | a path of its own for resumes | [`ResumeEndpoint`] |
//! | starting once, finding a stream by name, stopping it | [`Idempotency`], [`StreamName`], [`Attach`], [`CancelStream`] |
//! | what your events are, and what stands in for those that are gone | [`Classify`], [`SnapshotFold`], [`Eviction`] |
//! | what a client may lose when a node is killed | [`Durability`]; `docs/guarantees.md` |
//! | deploys | [`ResumeLayer::drain`]; `docs/operations.md` |
//! | logs and metrics | [`telemetry`]; `docs/operations.md` |
//! | CORS | [`header`] |
//! | clients: browsers, `curl`, JavaScript, Python, Rust | `docs/clients.md`; [`client`], with that feature |
//!
//! The pages in `docs/` come with the crate. Begin with `docs/getting-started.md`; what a client sees, to the letter, is
//! `docs/protocol.md`; when it does not work, `docs/troubleshooting.md`.
//!
//! # How it works
//!
//! ```text
//!  request ──► is it a resume? ── no ──► the handler ──► an event stream? ── no ──► passed as it is
//!                   │ yes                                      │ yes
//!                   │                                   ┌──────▼──────┐
//!                   │ token verified                    │  recorder   │ one task a stream
//!                   │                                   └──────┬──────┘
//!                   │                         ┌────────────────┴───────┐
//!                   │                    ┌────▼─────┐             ┌────▼─────┐
//!                   │                    │ live log │             │  store   │ memory or Redis
//!                   │                    └────┬─────┘             └────┬─────┘
//!                   │                         └───────────┬────────────┘
//!                   └────────────────────────────────► reader ──► response body
//! ```
//!
//! The handler's body is read by a recorder, to its end, whether or not anybody is connected. Everything that a client
//! gets, the first one included, comes from a reader, which is a cursor over the stream's log.
//!
//! # What is promised
//!
//! | promise | limit |
//! | --- | --- |
//! | No silent hole: after cursor c come c+1, c+2 …; what is missing is announced by a `gap` with its bounds | |
//! | The same bytes for everybody, but for the `id` line | |
//! | A client that leaves stops nothing | [`ResumeLayer::detach_time`] |
//! | A node that dies does not leave its clients waiting: elsewhere they get what was stored, and the end | within 15 s |
//! | A store that is away delays and cuts nobody who is connected | other nodes wait until it is back |
//! | Memory is bounded, for each stream and for the node | over it, new streams pass unrecorded |
//!
//! # Features
//!
//! | feature | default | what |
//! | --- | --- | --- |
//! | `metrics` | yes | what the layer counts goes to the `metrics` facade: [`telemetry`] |
//! | `redis` | yes | [`store`]`::RedisStore`, over `fred` |
//! | `redis-tls` | | TLS to Redis, by rustls |
//! | `compression` | | what Redis keeps can be compressed, by LZ4 |
//! | `encryption` | | what Redis keeps can be encrypted, by XChaCha20-Poly1305 |
//! | `conformance` | | the suite that every store has to pass, for stores of your own |
//! | `client` | | [`client`], for programs that read such streams, over `reqwest` |
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(missing_docs)]
#![forbid(unsafe_code)]

// In the order in which a request flows.
mod layer;
mod env;
mod settings;
mod idempotency;
mod durability;
mod hooks;
mod node;
mod deploy;
mod pulse;
mod share;
mod usage;
mod service;
mod keyed;
mod claim;
mod names;
mod endpoint;
pub mod header;
mod request;
mod resume;
mod cancel;
mod answers;
mod drain;
mod begin;
mod instead;
mod attach;
mod response;
mod order;
mod record;
mod source;
mod framer;
mod live;
mod writer;
mod follow;
mod death;
mod tally;
pub mod store;
mod reader;
mod control;
mod body;
mod token;
mod error;
pub mod telemetry;
mod event;
mod end;
mod id;
mod clock;
// The other side of the wire.
#[cfg(feature = "client")]
pub mod client;

#[doc(hidden)]
#[cfg(any(test, fuzzing))]
pub mod fuzz;

pub use attach::{Attach, StreamName};
pub use body::ResumeBody;
pub use cancel::CancelStream;
pub use clock::Clock;
pub use deploy::Drained;
pub use durability::{DEFAULT_STORE_PATIENCE, Durability, StoreOut};
pub use end::EndStatus;
pub use endpoint::{NoBody, ResumeEndpoint};
pub use env::ConfigError;
pub use error::ResumeError;
pub use event::{Eol, Event, EventView, Step};
pub use hooks::{Authorization, Class, Classify, Principal, ResumeStream, SnapshotFold};
pub use id::{NodeId, RequestId};
pub use idempotency::Idempotency;
pub use keyed::{Idempotent, IdempotentFuture};
pub use layer::ResumeLayer;
pub use service::{Plain, ResponseFuture, Resume};
pub use settings::{
    ControlEvents, DEFAULT_DETACH_TIME, DEFAULT_HEARTBEAT, DEFAULT_KEY_WAIT, DEFAULT_MAX_BYTES,
    DEFAULT_MAX_EVENT_BYTES, DEFAULT_MAX_EVENTS, DEFAULT_MAX_NODE_BYTES, DEFAULT_MAX_PRINCIPAL_STREAMS,
    DEFAULT_MAX_READERS, DEFAULT_MAX_STREAM_READERS, DEFAULT_MAX_STREAMS, DEFAULT_RETRY, DEFAULT_SNAPSHOT_TTL,
    DEFAULT_STALL_TIME, DEFAULT_STATE_TTL, DEFAULT_TOKEN_TTL, EventIds, Eviction, WhenAlone,
};
pub use token::{KeyError, Keys};

/// The pages for people, whose examples are compiled as this crate's own are.
#[cfg(all(doctest, feature = "redis"))]
mod pages {
    #[doc = include_str!("../README.md")]
    struct Readme;
    #[cfg(feature = "client")]
    #[doc = include_str!("../docs/clients.md")]
    struct Clients;
    #[doc = include_str!("../docs/configuration.md")]
    struct Configuration;
    #[doc = include_str!("../docs/getting-started.md")]
    struct GettingStarted;
}
