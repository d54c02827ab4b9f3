//! Nodes as processes of their own, on one Redis: start on one, resume on the other. A binary apart, since it starts
//! itself again as a node.
#![cfg(feature = "redis")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    unreachable_pub,
    dead_code,
    unused_imports,
    missing_docs,
    missing_debug_implementations,
    reason = "test code"
)]

#[path = "../it/common/mod.rs"]
mod common;
#[cfg(feature = "redis-tls")]
#[path = "../redis_server/ca.rs"]
mod ca;
#[path = "../redis_server/mod.rs"]
mod redis_server;

mod cancel;
mod dead;
mod herd;
mod keyed;
mod node;
mod outage;
mod rotation;
mod rolling;
mod stored;
mod two_nodes;
mod user;
