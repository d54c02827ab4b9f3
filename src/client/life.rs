//! How long a token can be used.

use crate::clock::{Clock, millis};
use std::time::Duration;
use tokio::time::Instant;

/// What a year is to a token: for ever. A larger number could not be added to a clock.
pub(super) const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// When the newest token is past its time, by this machine's clock.
#[derive(Debug, Default)]
pub(super) struct Life {
    /// How far the server's clock is ahead, in milliseconds.
    skew: i64,
    /// How long a token lives, and until when this one does.
    span: Option<(Duration, Instant)>,
}

impl Life {
    /// A token that was kept. `None` if it is past its time.
    pub(super) fn until(expires_at: Option<u64>) -> Option<Self> {
        let mut life = Self::default();
        life.set(expires_at);
        (expires_at.is_none() || !life.is_over()).then_some(life)
    }

    pub(super) const fn set_skew(&mut self, skew: i64) {
        self.skew = skew;
    }

    /// A new token, which is past its time at this one of the server's clock.
    pub(super) fn set(&mut self, expires_at: Option<u64>) {
        let Some(expires_at) = expires_at else { return self.renew() };
        let now = Clock::system().now().saturating_add_signed(self.skew);
        let span = Duration::from_millis(expires_at.saturating_sub(now)).min(LONGEST);
        self.span = Some((span, Instant::now() + span));
    }

    /// A new token, of which only is known that it is new: it lives as long as the ones before.
    pub(super) fn renew(&mut self) {
        if let Some((span, end)) = &mut self.span {
            *end = (*end).max(Instant::now() + *span);
        }
    }

    /// How long it lives from now on, where that is known.
    pub(super) fn left(&self) -> Option<Duration> {
        self.span.map(|(_, end)| end.saturating_duration_since(Instant::now()))
    }

    fn is_over(&self) -> bool {
        self.left().is_some_and(|left| left.is_zero())
    }

    /// In milliseconds since the epoch, by this machine's clock.
    pub(super) fn ends_at(&self) -> Option<u64> {
        Some(Clock::system().now().saturating_add(millis(self.left()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    const SECOND: Duration = Duration::from_secs(1);

    fn now() -> u64 {
        Clock::system().now()
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_token_lives_as_long_as_the_one_before() {
        let mut life = Life::default();
        assert!(!life.is_over(), "nothing is known");
        life.set(Some(now() + 10_000));
        advance(8 * SECOND).await;
        assert!(!life.is_over());
        life.renew();
        advance(8 * SECOND).await;
        assert!(!life.is_over());
        advance(3 * SECOND).await;
        assert!(life.is_over());
    }

    #[tokio::test(start_paused = true)]
    async fn the_servers_clock_counts_and_not_this_ones() {
        let mut life = Life::default();
        life.set_skew(-3_600_000);
        life.set(Some(now() - 3_590_000));
        assert!(!life.is_over(), "by this clock it would be an hour late");
        // By this clock, which goes on meanwhile.
        let (before, ends) = (now(), life.ends_at().unwrap());
        assert!((before..=now() + 10_000).contains(&ends), "{ends}");
        life.set_skew(0);
        life.set(Some(u64::MAX));
        assert!(!life.is_over());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_kept_for_too_long_is_of_no_use() {
        assert!(Life::until(Some(now() - 60_000)).is_none());
        assert!(Life::until(Some(now() + 60_000)).is_some());
        assert!(Life::until(None).is_some());
    }
}
