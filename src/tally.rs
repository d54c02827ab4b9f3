//! How often clients have come back to a stream, counted over all nodes: each adds its own to what the store knows.

use crate::{live::LiveLog, node::Node, store::Counts};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, timeout};

/// How long the stream's end may wait for what other nodes have counted.
const WITHIN: Duration = Duration::from_millis(100);
/// For how long an answer of the store's is good enough for others who ask: many readers end together.
const FRESH: Duration = Duration::from_secs(1);

/// What one node knows of a stream's counts.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// As the store last said.
    stored: Counts,
    /// What it has not been told, or not confirmed.
    pending: Counts,
    asked: Option<Instant>,
}

impl Tally {
    pub(crate) fn total(&self) -> Counts {
        self.stored + self.pending
    }

    pub(crate) fn add(&mut self, more: Counts) {
        self.pending = self.pending + more;
    }

    /// What to tell the store: what it has said, and what comes on top.
    fn take(&mut self, now: Instant) -> (Counts, Counts) {
        self.asked = Some(now);
        (self.stored, std::mem::take(&mut self.pending))
    }

    fn is_fresh(&self, now: Instant) -> bool {
        self.pending == Counts::default() && self.asked.is_some_and(|asked| now < asked + FRESH)
    }

    fn settled(&mut self, stored: Counts) {
        self.stored = self.stored.max(stored);
    }

    fn unsettled(&mut self, more: Counts) {
        self.add(more);
        self.asked = None;
    }
}

/// Counts, here at once, and in the store soon.
pub(crate) fn count(node: &Arc<Node>, log: &Arc<LiveLog>, more: Counts) {
    log.tally(|tally| tally.add(more));
    if node.store_is_up() {
        let (node, log) = (Arc::clone(node), Arc::clone(log));
        drop(tokio::spawn(async move { settle(&node, &log).await }));
    }
}

async fn settle(node: &Node, log: &LiveLog) {
    let (known, more) = log.tally(|tally| tally.take(Instant::now()));
    match Arc::clone(&node.store).count(log.id, known, more).await {
        Ok(stored) => log.tally(|tally| tally.settled(stored)),
        Err(_) => log.tally(|tally| tally.unsettled(more)),
    }
}

/// Brings the counts of all nodes together for the stream's end, which waits for it a moment at most.
pub(crate) async fn bring_together(node: Arc<Node>, log: Arc<LiveLog>) {
    if node.store_is_up() && !log.tally(|tally| tally.is_fresh(Instant::now())) {
        // A count that is dropped on its way may be lost: better than an end that is late.
        let _ = timeout(WITHIN, settle(&node, &log)).await;
    }
}
