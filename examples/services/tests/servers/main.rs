//! The examples as a newcomer meets them: processes of their own, real sockets, the commands that they print.
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

mod bare_hyper;
mod grpc;
mod hello;
mod layers;
mod process;
