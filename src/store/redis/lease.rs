//! The lease of a node: by it, the others know that it lives and can reach Redis.

use super::{
    super::StoreError,
    append::time,
    fault::fault,
    keys::Keys,
    line::{Line, text},
    pulse::Pulse,
};
use crate::NodeId;
use fred::types::Value;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, sleep};
use tracing::debug;

/// How long a lease holds.
const LEASE: Duration = Duration::from_secs(9);
/// How often it is renewed, for all streams of the node at once.
const RENEW_EVERY: Duration = Duration::from_secs(2);
/// How soon it is tried again where that has failed: on a cluster, the node that has it may be away.
const RENEW_AGAIN: Duration = Duration::from_millis(250);
/// How long an answer about another node's lease is good for all who ask: many streams run on few nodes.
const FRESH: Duration = Duration::from_millis(500);
/// The most nodes that are remembered.
const NODES_MAX: usize = 1_024;

/// Renews the lease of this node until the task is aborted.
///
/// One that was there and is not any more says that Redis has lost something, or that this process stood still: every
/// writer then looks after its log, as it does when the connection was made anew.
pub(super) async fn hold(line: Line, key: Value, pulse: std::sync::Arc<Pulse>) {
    let mut health = pulse.subscribe();
    let mut held = false;
    loop {
        let mut pause = RENEW_EVERY;
        if pulse.is_up() {
            let args = vec![key.clone(), text("1"), text("PX"), time(LEASE), text("GET")];
            match line.call("SET", args).await {
                Ok(Value::Null) if held => {
                    debug!("the lease of this node was gone");
                    pulse.count_epoch();
                }
                Ok(_) => held = true,
                Err(error) => {
                    debug!(error = %fault(&error), "the lease of this node was not renewed");
                    pause = RENEW_AGAIN;
                }
            }
        }
        health.mark_unchanged();
        tokio::select! {
            () = sleep(pause) => {}
            changed = health.changed() => if changed.is_err() { return },
        }
    }
}

/// Whether other nodes live.
#[derive(Debug)]
pub(super) struct Leases {
    line: Line,
    keys: Keys,
    known: Mutex<HashMap<NodeId, (bool, Instant)>>,
}

impl Leases {
    pub(super) fn new(line: Line, keys: Keys) -> Self {
        Self { line, keys, known: Mutex::default() }
    }

    pub(super) async fn lives(&self, node: NodeId) -> Result<bool, StoreError> {
        let asked = Instant::now();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&node).copied();
        if let Some((lives, _)) = known.filter(|(_, at)| asked - *at < FRESH) {
            return Ok(lives);
        }
        let reply = self.line.call("EXISTS", vec![self.keys.node(node)]).await.map_err(|error| fault(&error))?;
        let lives = reply.as_u64() == Some(1);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= NODES_MAX {
            known.retain(|_, (_, at)| asked - *at < FRESH);
        }
        known.insert(node, (lives, asked));
        Ok(lives)
    }
}
