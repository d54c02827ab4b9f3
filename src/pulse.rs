//! How often a node has lately had something to write: what decides whether appends wait for company.
//!
//! What is counted is what would be an append if none waited. By the appends themselves, waiting would make a busy node
//! look quiet, and so on to and fro.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Appends a second up to which a node is quiet: there each one goes out at once.
const QUIET_APPENDS: u128 = 5_000;
/// How long a stretch is measured over, at least.
const STRETCH: Duration = Duration::from_millis(100);
/// How long a measure holds. A node that has gone silent is quiet.
const HOLDS: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Pulse(Mutex<State>);

#[derive(Debug)]
struct State {
    since: Instant,
    count: u32,
    busy: bool,
}

impl Pulse {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State { since: Instant::now(), count: 0, busy: false }))
    }

    /// Counts one.
    pub(crate) fn beat(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.count += 1;
        // The clock is looked at now and then only: on a busy node this is the hot path.
        if !state.count.is_multiple_of(64) {
            return;
        }
        let elapsed = state.since.elapsed();
        if elapsed >= STRETCH {
            let rate = u128::from(state.count) * 1000 / elapsed.as_millis().max(1);
            *state = State { since: Instant::now(), count: 0, busy: rate >= QUIET_APPENDS };
        }
    }

    /// Whether the node appends so often that waiting for company pays.
    pub(crate) fn is_busy(&self) -> bool {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.busy && state.since.elapsed() < HOLDS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    async fn beats(pulse: &Pulse, count: u32, over: Duration) {
        for _ in 0..count {
            pulse.beat();
            advance(over / count).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_is_busy_from_five_thousand_appends_a_second_on_and_quiet_again_without_them() {
        let pulse = Pulse::new();
        assert!(!pulse.is_busy());
        beats(&pulse, 1_000, Duration::from_secs(1)).await;
        assert!(!pulse.is_busy(), "1,000 a second");
        beats(&pulse, 10_000, Duration::from_secs(1)).await;
        assert!(pulse.is_busy(), "10,000 a second");
        advance(HOLDS).await;
        assert!(!pulse.is_busy(), "silent");
        beats(&pulse, 10_000, Duration::from_secs(1)).await;
        assert!(pulse.is_busy());
        beats(&pulse, 1_000, Duration::from_secs(1)).await;
        assert!(!pulse.is_busy(), "quieter again");
    }
}
