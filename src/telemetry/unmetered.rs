//! What takes the place of the metrics in a build without them: nothing.

use super::Id;
use tokio::time::Instant;

/// Counts nothing.
#[derive(Debug)]
pub(crate) struct Meter;

impl Meter {
    pub(crate) const fn new(_: &'static str) -> Self {
        Self
    }

    pub(crate) const fn count(&self, _: Id, _: u64) {}

    pub(crate) const fn count_by(&self, _: Id, _: &str, _: u64) {}

    pub(crate) const fn size(&self, _: Id, _: u64) {}

    pub(crate) const fn time(&self, _: Id, _: Stopwatch) {}

    pub(crate) const fn time_by(&self, _: Id, _: &str, _: Stopwatch) {}

    pub(crate) const fn level(&self, _: Id) -> Level {
        Level
    }

    pub(crate) const fn dial(&self, _: Id) -> Dial {
        Dial
    }
}

/// Shows nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dial;

impl Dial {
    pub(crate) const fn raise(&self, _: usize) {}

    pub(crate) const fn lower(&self, _: usize) {}
}

/// Adds nothing.
#[derive(Debug, Default)]
pub(crate) struct Level;

impl Level {
    pub(crate) const fn set(&mut self, _: u64) {}

    pub(crate) const fn at(self, _: u64) -> Self {
        self
    }
}

/// Measures nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch;

impl Stopwatch {
    pub(crate) const fn start() -> Self {
        Self
    }
}

impl From<Instant> for Stopwatch {
    fn from(_: Instant) -> Self {
        Self
    }
}
