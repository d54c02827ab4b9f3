//! Tower middleware that makes any Server-Sent-Events handler resumable.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod begin;
mod body;
mod clock;
mod control;
mod drain;
mod end;
mod endpoint;
mod env;
mod error;
mod event;
mod follow;
mod framer;
mod hooks;
mod id;
mod layer;
mod live;
mod node;
mod reader;
mod record;
mod request;
mod response;
mod resume;
mod service;
mod settings;
mod source;
pub mod store;
pub mod telemetry;
mod token;
mod writer;

pub use body::ResumeBody;
pub use clock::Clock;
pub use end::EndStatus;
pub use endpoint::{NoBody, ResumeEndpoint};
pub use env::ConfigError;
pub use error::ResumeError;
pub use event::{Eol, Event, EventView, Step};
pub use hooks::{Authorization, Class, Classify, Principal, ResumeStream, SnapshotFold};
pub use id::{NodeId, RequestId};
pub use layer::ResumeLayer;
pub use service::{ResponseFuture, Resume};
pub use settings::{
    ControlEvents, DEFAULT_DETACH_TIME, DEFAULT_HEARTBEAT, DEFAULT_MAX_BYTES, DEFAULT_MAX_EVENT_BYTES,
    DEFAULT_MAX_EVENTS, DEFAULT_MAX_NODE_BYTES, DEFAULT_MAX_READERS, DEFAULT_MAX_STREAM_READERS, DEFAULT_MAX_STREAMS,
    DEFAULT_RETRY, DEFAULT_SNAPSHOT_TTL, DEFAULT_STALL_TIME, DEFAULT_STATE_TTL, DEFAULT_TOKEN_TTL, EventIds,
};
pub use token::{KeyError, Keys};
