//! Asking for replicas: `WAIT`, once for all that one connection has written meanwhile.
//!
//! `WAIT` blocks its connection, so one for each append would make them queue. It speaks of what its own connection has
//! written and of nothing else, and over one that has written nothing it is content at once.

use super::{
    super::{StoreError, StoreErrorKind},
    line::At,
};
use fred::{error::Error, types::Value};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use tokio::sync::Mutex;

/// How many replicas an append has to have, and how long they have for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demand {
    pub(super) replicas: u32,
    pub(super) within: Duration,
}

/// The questions of one connection, one at a time.
#[derive(Debug, Default)]
pub(super) struct Waits {
    /// How many have asked.
    asked: AtomicU64,
    last: Mutex<Answer>,
}

/// What the last `WAIT` said, and to whom.
#[derive(Debug, Default)]
struct Answer {
    /// It was sent behind what this many had sent before they asked.
    asked: u64,
    demanded: u32,
    held: u32,
}

impl At {
    /// Whether the replicas hold all that was sent over this connection before this is polled for the first time.
    /// There has to be a write among it.
    pub(super) async fn is_held(&self, demand: Demand) -> Result<bool, Error> {
        let waits = &self.conn.waits;
        let me = waits.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut last = waits.last.lock().await;
        if last.asked < me || last.demanded < demand.replicas {
            // Should it fail, it fails for all of them.
            let asked = waits.asked.load(Ordering::SeqCst);
            *last = Answer { asked, demanded: demand.replicas, held: 0 };
            let args = vec![Value::from(demand.replicas), super::append::time(demand.within)];
            let held = self.call("WAIT", args).await?.as_u64().unwrap_or(0);
            last.held = u32::try_from(held).unwrap_or(u32::MAX);
        }
        Ok(last.held >= demand.replicas)
    }
}

/// The error for what is written, but not on as many replicas as it has to be.
pub(super) const fn too_few() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "too few replicas have confirmed")
}
