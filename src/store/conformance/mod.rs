//! The suite that every store has to pass: each promise of [`Store`]'s contract, as a check that names it.
//!
//! The store is used as the layer uses it, with random stream ids, so that checks can share one backend, also with
//! whatever else it holds. Time is real: do not run it with tokio's clock paused.
//!
//! ```
//! use tower_resume::store::{MemoryStore, conformance};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! conformance::run(async || MemoryStore::new()).await;
//! # }
//! ```
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a suite says by a panic that a promise is broken"
)]

mod appends;
mod model;
mod reads;
mod scribe;
mod shared;
mod steering;
mod times;

use super::Store;
use std::{fmt::Debug, future::Future};

/// Checks one store by itself, on a new one from `make` for each group of promises. Takes some seconds.
///
/// # Panics
///
/// If a promise is broken; the message names it. Where it says a seed, [`run_seed`] runs the same operations again.
pub async fn run<S: Store, F: Future<Output = S>>(make: impl Fn() -> F) {
    appends::check(&make().await).await;
    reads::check(&make().await).await;
    times::check(&make().await).await;
    steering::check(&make().await).await;
    for _ in 0..4 {
        model::check(&make().await, fastrand::u64(..)).await;
    }
}

/// Runs the random operations of this seed, to see again what [`run`] has found.
///
/// # Panics
///
/// If a promise is broken.
pub async fn run_seed<S: Store>(store: &S, seed: u64) {
    model::check(store, seed).await;
}

/// Checks two stores that share one backend, as two nodes do: `make` gives a new pair.
///
/// # Panics
///
/// If a promise is broken; the message names it.
pub async fn run_shared<A: Store, B: Store, F: Future<Output = (A, B)>>(make: impl Fn() -> F) {
    let (one, other) = make().await;
    shared::check(&one, &other).await;
    steering::check_shared(&one, &other).await;
}

/// Fails in the name of a promise of the contract.
#[track_caller]
fn promise<T: PartialEq + Debug>(found: T, promised: T, promise: &str) {
    assert!(found == promised, "broken promise: {promise}\n   found: {found:?}\npromised: {promised:?}");
}
