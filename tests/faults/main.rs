//! Faults, one a test, against real processes: nodes that are this binary started again, a `redis-server` of each test's
//! own, and proxies between them. Each prints its row of a table:
//! `cargo test --all-features --test faults -- --nocapture | grep '^|'`.
//!
//! The columns: the fault; streams; clients; events received; lost; repeated; clients that hung; events within gaps;
//! connections that broke, those cut on purpose included; answers that said to come back; the time to recover, which is
//! from the fault's end until every log is whole again, or from a node's death until all who follow have the end.
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
#[path = "../nodes/node.rs"]
mod node;
#[path = "../redis_server/cluster.rs"]
mod redis_cluster;
#[path = "../redis_server/mod.rs"]
mod redis_server;
#[path = "../redis_server/sentinel.rs"]
mod sentinels;

mod client;
mod cluster;
mod dead_node;
mod fleet;
mod holes;
mod hostile;
mod ledger;
mod load;
mod logs;
mod proxy;
mod row;
mod scene;
mod sentinel;
mod sick_store;
