//! The client against real servers, over real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    dead_code,
    unused_imports,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    reason = "test code"
)]

#[path = "../it/common/mod.rs"]
mod common;

mod bounds;
mod driver;
mod layered;
mod redirects;
mod scenarios;
