//! How long a stream has been without a reader, here or elsewhere, and when that is too long.

use crate::{EndStatus, WhenAlone, settings::Settings};
use std::time::Duration;
use tokio::time::Instant;

/// How often the store is asked, while nobody is connected here, whether somebody is elsewhere.
const LOOK: Duration = Duration::from_secs(5);
/// The same where it matters sooner: while the handler pauses for want of readers, somebody may wait for it to go on;
/// and a grace time may be short.
const LOOK_SOON: Duration = Duration::from_secs(1);
/// How long after the store's return nobody is believed to be gone: readers elsewhere make themselves known again.
const SETTLE: Duration = Duration::from_secs(10);

/// Who is there, as far as can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Company {
    /// Somebody reads it on this node.
    Here,
    /// Nobody does, but somebody reads it on another.
    Elsewhere,
    /// Nobody reads it.
    Nobody,
    /// Nobody reads it here, and who does elsewhere cannot be told; or they are on their way.
    Unknown,
}

#[derive(Debug, Default)]
pub(super) struct Alone {
    /// Since when nobody has been known to read it.
    since: Option<Instant>,
    /// Since when it is sure that nobody has.
    surely_since: Option<Instant>,
    /// When to look again who is there.
    look_at: Option<Instant>,
}

impl Alone {
    /// Notes who is there.
    pub(super) fn look(&mut self, company: Company, settings: &Settings, now: Instant) {
        let is_alone = matches!(company, Company::Nobody | Company::Unknown);
        self.since = is_alone.then(|| self.since.unwrap_or(now));
        self.surely_since = match company {
            Company::Here | Company::Elsewhere => None,
            Company::Nobody => self.surely_since.or(Some(now)),
            Company::Unknown => Some(now + SETTLE),
        };
        let soon = settings.grace.is_some() || (settings.when_alone == WhenAlone::Pause && is_alone);
        self.look_at = (company != Company::Here).then(|| now + if soon { LOOK_SOON } else { LOOK });
    }

    /// How the stream ends for having been alone for too long.
    pub(super) fn verdict(&self, settings: &Settings, now: Instant) -> Option<EndStatus> {
        let is_over = |at: Option<Instant>| at.is_some_and(|at| now >= at);
        if is_over(self.grace_ends(settings)) {
            return Some(EndStatus::Cancelled);
        }
        is_over(self.detach_ends(settings)).then_some(EndStatus::Interrupted)
    }

    /// When there is something to look at.
    pub(super) fn due(&self, settings: &Settings) -> Option<Instant> {
        [self.look_at, self.grace_ends(settings), self.detach_ends(settings)].into_iter().flatten().min()
    }

    fn grace_ends(&self, settings: &Settings) -> Option<Instant> {
        self.surely_since?.checked_add(settings.grace?)
    }

    fn detach_ends(&self, settings: &Settings) -> Option<Instant> {
        self.since?.checked_add(settings.detach_time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_told_counts_for_the_detach_time_and_not_for_the_grace_time() {
        let settings = Settings { grace: Some(5 * SECOND), detach_time: 60 * SECOND, ..Settings::default() };
        let start = Instant::now();
        let mut alone = Alone::default();
        for second in 0..30 {
            let now = start + second * SECOND;
            alone.look(Company::Unknown, &settings, now);
            assert_eq!(alone.verdict(&settings, now), None);
        }
        for second in 30..44 {
            let now = start + second * SECOND;
            alone.look(Company::Nobody, &settings, now);
            assert_eq!(alone.verdict(&settings, now), None, "the store is back for {} s", second - 29);
        }
        assert_eq!(alone.verdict(&settings, start + 44 * SECOND), Some(EndStatus::Cancelled));
        let settings = Settings { grace: None, ..settings };
        assert_eq!(alone.verdict(&settings, start + 59 * SECOND), None);
        assert_eq!(alone.verdict(&settings, start + 60 * SECOND), Some(EndStatus::Interrupted));
        assert_eq!(alone.due(&settings), Some(start + 44 * SECOND), "the next look");
    }

    #[tokio::test(start_paused = true)]
    async fn times_that_no_clock_can_tell_never_come() {
        let settings = Settings { grace: Some(Duration::MAX), detach_time: Duration::MAX, ..Settings::default() };
        let mut alone = Alone::default();
        alone.look(Company::Nobody, &settings, Instant::now());
        assert_eq!(alone.verdict(&settings, Instant::now() + 1_000_000 * SECOND), None);
    }
}
