//! What the layer takes of the memory when clients, or the store, are slow, many or hostile: measured, by an allocator that
//! counts, each test on a thread of its own.
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
#[cfg(feature = "metrics")]
#[path = "../it/numbers.rs"]
mod numbers;

#[cfg(feature = "metrics")]
mod counted;
mod fast;
mod full;
mod many;
mod stalled;
mod tokens;

use std::future::Future;
use tokio::runtime::{Builder, Runtime};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// A runtime that does everything on this thread, whose allocations are counted; time is paused.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

/// What a part of a test takes: at most while it runs, and still when it is done.
struct Memory {
    most: u64,
    left: i64,
}

/// Runs a part of a test, and what it gives back.
fn measured<T>(runtime: &Runtime, part: impl Future<Output = T>) -> (T, Memory) {
    let mut given = None;
    let info = allocation_counter::measure(|| given = Some(runtime.block_on(part)));
    (given.unwrap(), Memory { most: info.bytes_max, left: info.bytes_current })
}
