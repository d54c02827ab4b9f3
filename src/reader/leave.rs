//! How a reader is sent away while its node is drained: its client comes back on another node and goes on there.

use super::{Purpose, Reader, take::Fetch};
use crate::deploy::Stage;
use tokio::time::Instant;

impl Reader {
    /// Whether this response is to be cut short now.
    pub(super) fn is_sent_away(&mut self, stage: Stage) -> bool {
        let log = self.place.log();
        if stage >= Stage::Overdue {
            // A stream of this node's own is about to end, and says so.
            return !log.recorded && !log.is_over();
        }
        let now = Instant::now();
        let known = self.leave_at;
        let at = known.unwrap_or_else(|| self.node.deploy.leave_at(self.began, now));
        let leaves = now >= at && self.can_go_on_elsewhere();
        let next = if now >= at { self.node.deploy.look_again_at(now) } else { at };
        if !leaves && known != Some(next) {
            self.leave_at = Some(next);
            let timer = self.timer.deadline();
            self.timer.as_mut().reset(timer.min(next));
        }
        leaves
    }

    /// Whether nothing comes any more that is worth waiting for. A stream of this node's own that still runs ends at once.
    pub(super) fn waits_in_vain(&self) -> bool {
        let log = self.place.log();
        // The end itself waits a moment at most.
        let is_ending = matches!(self.fetch, Fetch::Counts(..));
        !is_ending && (!log.recorded || log.is_over())
    }

    /// Whether another node has what this response would bring. One that ends by itself is left to.
    fn can_go_on_elsewhere(&self) -> bool {
        let log = self.place.log();
        let goes_on = matches!(self.purpose, Purpose::First | Purpose::Live) && !self.in_part && !log.is_over();
        let is_there = self.node.store.is_shared() && self.node.store_is_up() && (!log.recorded || log.reaches_store());
        goes_on && is_there
    }
}
