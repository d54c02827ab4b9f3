//! How long to wait before the next attempt: exponential, with full jitter.

use std::time::Duration;

/// Longest time that a server can send a client away for. Beyond it nothing is gained: the token is past its time.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// Counts the attempts that failed in a row.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    base: Duration,
    max: Duration,
    most: Option<u32>,
    failed: u32,
}

impl Backoff {
    pub(super) const fn new(base: Duration, max: Duration, most: Option<u32>) -> Self {
        Self { base, max, most, failed: 0 }
    }

    /// The server has said what to begin with.
    pub(super) fn set_base(&mut self, base: Duration) {
        self.base = base;
    }

    /// All is well again.
    pub(super) const fn reset(&mut self) {
        self.failed = 0;
    }

    /// An attempt has failed. Whether there may be another one.
    pub(super) fn fail(&mut self) -> bool {
        self.failed = self.failed.saturating_add(1);
        self.most.is_none_or(|most| self.failed < most)
    }

    /// How many have failed in a row.
    pub(super) const fn failed(&self) -> u32 {
        self.failed
    }

    /// How long to wait: anything up to twice as much after each failure, no less than the server asks for.
    pub(super) fn wait(&self, at_least: Option<Duration>) -> Duration {
        let least = at_least.unwrap_or_default().min(MAX_RETRY_AFTER);
        self.ceiling().mul_f64(fastrand::f64()).max(least)
    }

    fn ceiling(&self) -> Duration {
        // 2³⁰ times anything is beyond every bound.
        self.base.saturating_mul(1 << self.failed.min(30)).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_ceiling_doubles_up_to_the_maximum_and_falls_back_once_all_is_well() {
        let mut backoff = Backoff::new(SECOND, 30 * SECOND, None);
        let mut ceilings = vec![backoff.ceiling().as_secs()];
        for _ in 0..100 {
            assert!(backoff.fail());
            ceilings.push(backoff.ceiling().as_secs());
        }
        assert_eq!(ceilings[..7], [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(ceilings[100], 30);
        backoff.reset();
        assert_eq!(backoff.ceiling(), SECOND);
        backoff.set_base(100 * SECOND);
        assert_eq!(backoff.ceiling(), 30 * SECOND, "what a server asks for is bounded, too");
    }

    #[test]
    fn the_jitter_is_full() {
        let mut backoff = Backoff::new(SECOND, 30 * SECOND, None);
        backoff.fail();
        let waits: Vec<_> = (0..2000).map(|_| backoff.wait(None)).collect();
        assert!(waits.iter().all(|wait| *wait <= 2 * SECOND));
        assert!(waits.iter().any(|wait| *wait < SECOND / 5), "near to nothing");
        assert!(waits.iter().any(|wait| *wait > SECOND * 9 / 5), "near to the ceiling");
    }

    #[test]
    fn what_the_server_asks_for_is_the_least() {
        let backoff = Backoff::new(SECOND, 30 * SECOND, None);
        assert_eq!(backoff.wait(Some(7 * SECOND)), 7 * SECOND);
        assert_eq!(backoff.wait(Some(Duration::MAX)), MAX_RETRY_AFTER);
    }

    #[test]
    fn attempts_can_be_counted() {
        let mut backoff = Backoff::new(SECOND, SECOND, Some(3));
        assert_eq!([backoff.fail(), backoff.fail(), backoff.fail()], [true, true, false]);
        backoff.reset();
        assert!(backoff.fail());
        assert_eq!(backoff.failed(), 1);
    }
}
