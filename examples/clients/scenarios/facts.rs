//! What has happened in a run so far: scenarios wait for it, and the judge reads it.

use crate::wire::Exchange;
use std::{
    collections::HashSet,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};
use tokio::sync::watch;

/// Counts, by which a scenario waits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) connections: u64,
    /// Requests that came to the proxy, without preflights.
    pub(crate) requests: u64,
    /// Those of them whose answers are over.
    pub(crate) answered: u64,
    /// Answers that the proxy broke off.
    pub(crate) cuts: u64,
    /// Bytes written to the client.
    pub(crate) bytes: u64,
    /// Events that handlers have given, all together.
    pub(crate) given: u64,
    /// Handlers that were called, and those that are over or were stopped.
    pub(crate) begun: u64,
    pub(crate) stopped: u64,
    /// Control events `token` and `end` that went to the client whole.
    pub(crate) tokens: u64,
    pub(crate) ends: u64,
    /// Those `token`s that were given by a clock which had been moved.
    pub(crate) fresh_tokens: u64,
    /// Resumes that were answered with a stream.
    pub(crate) resumed: u64,
    /// How often the client has said that it takes nothing for now.
    pub(crate) held: u64,
    /// How often the client has taken nothing for a while of what the proxy had for it.
    pub(crate) stalls: u64,
}

/// Something that a run waits for.
pub(crate) type Until = Box<dyn Fn(&Facts) -> bool + Send + Sync>;

/// All that is known of a run.
#[derive(Debug, Default)]
pub(crate) struct World {
    facts: watch::Sender<Facts>,
    exchanges: Mutex<Vec<Exchange>>,
    tokens: Mutex<HashSet<String>>,
    /// What the proxy and the handlers did, in order.
    log: Mutex<Vec<String>>,
    /// How far the run's clock is ahead, in milliseconds.
    ahead: AtomicU64,
}

impl World {
    pub(crate) fn note(&self, note: impl FnOnce(&mut Facts)) {
        self.facts.send_modify(note);
    }

    pub(crate) fn facts(&self) -> Facts {
        self.facts.borrow().clone()
    }

    /// Waits until it is so.
    pub(crate) async fn until(&self, is_so: impl Fn(&Facts) -> bool) {
        // The sender lives as long as this does.
        let _ = self.facts.subscribe().wait_for(|facts| is_so(facts)).await;
    }

    pub(crate) fn exchanges(&self) -> MutexGuard<'_, Vec<Exchange>> {
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every token that the client was given.
    pub(crate) fn tokens(&self) -> MutexGuard<'_, HashSet<String>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn log(&self, line: String) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    pub(crate) fn logged(&self) -> Vec<String> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Moves the run's clock.
    pub(crate) fn advance(&self, by: Duration) {
        self.ahead.fetch_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The run's clock.
    pub(crate) fn now(&self) -> u64 {
        Self::system_now() + self.ahead.load(Ordering::Relaxed)
    }

    pub(crate) fn system_now() -> u64 {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
    }
}
