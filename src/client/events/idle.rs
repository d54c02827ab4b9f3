//! How long a connection has been silent.

use futures_util::FutureExt as _;
use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep};

/// Counts the time in which bytes were asked for, and none came. What a consumer does between two items is not counted.
#[derive(Debug, Default)]
pub(super) struct Idle {
    most: Option<Duration>,
    sleep: Option<Pin<Box<Sleep>>>,
    counts: bool,
}

impl Idle {
    pub(super) fn new(most: Option<Duration>) -> Self {
        Self { most, ..Self::default() }
    }

    /// There was something.
    pub(super) const fn pause(&mut self) {
        self.counts = false;
    }

    /// There is nothing. Ready once that is so for too long.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(most) = self.most else { return Poll::Pending };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep(most)));
        if !self.counts {
            self.counts = true;
            let now = Instant::now();
            sleep.as_mut().reset(now.checked_add(most).unwrap_or(now + super::super::life::LONGEST));
        }
        sleep.poll_unpin(cx)
    }
}
