//! The layers of tower and tower-http around and inside of the layer: what each order does.
//!
//! In axum the layer that is added last is the outermost.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    dead_code,
    unused_imports,
    reason = "test code; each binary uses a part of what is shared"
)]

#[path = "../../../../tests/it/common/mod.rs"]
mod common;

mod auth;
mod compression;
mod cors;
mod limits;
mod panics;
mod request_id;
mod timeouts;
mod trace;
