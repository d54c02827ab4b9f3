//! The promises of the wire contract, through the public API and real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    reason = "test code"
)]

mod common;
#[cfg(feature = "metrics")]
mod numbers;
#[cfg(feature = "redis")]
#[path = "../redis_server/mod.rs"]
mod redis_server;

mod alone;
mod auto_traits;
mod control_events;
mod dead;
mod degraded;
mod drain;
mod drivers;
mod ends;
mod first_response;
mod framing;
mod hostile;
mod limits;
mod oversize;
mod passthrough;
mod pressure;
mod priority;
mod service;

// Section 3 and the properties.
#[cfg(feature = "encryption")]
mod at_rest;
mod cancel;
mod carriers;
mod endpoint;
mod errors;
mod following;
mod grace;
mod group_commit;
mod hooks;
mod idempotency;
mod attach;
mod cancel_named;
mod claim_properties;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "metrics")]
mod metrics_page;
mod model;
mod modes;
#[cfg(feature = "redis")]
mod on_redis;
mod properties;
mod readers;
mod set_back;
mod snapshot;
mod spans;
mod stored;
mod stored_outage;
mod stored_properties;
mod stress;
mod styles;
mod telemetry;
mod tokens;
mod two_nodes;
mod wrong_order;
