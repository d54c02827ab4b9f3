//! How often clients have come back to a stream, counted over all nodes: each adds its own to what the store knows.

use crate::{live::LiveLog, node::Node, store::Counts};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// How long the stream's end may wait for what other nodes have counted.
const WITHIN: Duration = Duration::from_millis(100);

/// What one node knows of a stream's counts.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// As the store last said.
    stored: Counts,
    /// What it is being told. One question at a time: an answer that may hold it or not would have it counted twice.
    underway: Counts,
    /// What it has not been told, or not confirmed.
    pending: Counts,
    /// How many questions were put to it.
    asked: u64,
    /// The last of them that it has answered.
    answered: u64,
}

impl Tally {
    pub(crate) fn total(&self) -> Counts {
        self.stored + self.underway + self.pending
    }

    pub(crate) fn add(&mut self, more: Counts) {
        self.pending = self.pending + more;
    }

    /// What to tell the store: what it has said, and what comes on top. Nothing, where all is told and a question later
    /// than the first `asked` was answered: many readers end together.
    fn take(&mut self, asked: u64) -> Option<(Counts, Counts)> {
        if self.pending == Counts::default() && self.answered > asked {
            return None;
        }
        self.asked += 1;
        self.underway = std::mem::take(&mut self.pending);
        Some((self.stored, self.underway))
    }

    fn settled(&mut self, stored: Counts) {
        self.answered = self.asked;
        self.underway = Counts::default();
        self.stored = self.stored.max(stored);
    }

    fn unsettled(&mut self) {
        let more = std::mem::take(&mut self.underway);
        self.add(more);
    }
}

/// Counts, here at once, and in the store soon.
pub(crate) fn count(node: &Arc<Node>, log: &Arc<LiveLog>, more: Counts) {
    log.tally(|tally| tally.add(more));
    if node.store_is_up() {
        drop(tokio::spawn(settle(Arc::clone(node), Arc::clone(log), 0)));
    }
}

async fn settle(node: Arc<Node>, log: Arc<LiveLog>, asked: u64) {
    let _turn = log.counting.lock().await;
    // It may have gone away while others waited for it.
    if !node.store_is_up() {
        return;
    }
    let Some((known, more)) = log.tally(|tally| tally.take(asked)) else { return };
    match Arc::clone(&node.store).count(log.id, known, more).await {
        Ok(stored) => log.tally(|tally| tally.settled(stored)),
        Err(_) => log.tally(Tally::unsettled),
    }
}

/// Brings the counts of all nodes together for the stream's end, which waits for it a moment at most.
pub(crate) async fn bring_together(node: Arc<Node>, log: Arc<LiveLog>) {
    if node.store_is_up() {
        // An answer to what was asked before may lack what others have counted since.
        let asked = log.tally(|tally| tally.asked);
        // A task of its own: an end that waits no longer must not leave a question half put.
        let _ = timeout(WITHIN, tokio::spawn(settle(node, log, asked))).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn counts(resumes: u64, recovered: u64) -> Counts {
        Counts { resumes, recovered }
    }

    #[test]
    fn what_is_on_its_way_to_the_store_counts_once_before_and_after() {
        let mut tally = Tally::default();
        tally.add(counts(1, 4));
        assert_eq!(tally.total(), counts(1, 4));
        assert_eq!(tally.take(0), Some((counts(0, 0), counts(1, 4))));
        assert_eq!(tally.total(), counts(1, 4));
        tally.add(counts(1, 0));
        assert_eq!(tally.total(), counts(2, 4));
        tally.settled(counts(6, 9));
        assert_eq!(tally.total(), counts(7, 9));
        assert_eq!(tally.take(0), Some((counts(6, 9), counts(1, 0))));
        tally.unsettled();
        assert_eq!(tally.total(), counts(7, 9));
        assert_eq!(tally.take(0), Some((counts(6, 9), counts(1, 0))));
    }

    #[test]
    fn only_an_answer_to_a_later_question_spares_another() {
        let mut tally = Tally::default();
        tally.add(counts(1, 0));
        tally.take(0).unwrap();
        // Two ask while the first question is on its way: one question more answers both.
        let asked = tally.asked;
        tally.settled(counts(1, 0));
        assert_eq!(tally.take(asked), Some((counts(1, 0), counts(0, 0))));
        tally.settled(counts(3, 0));
        assert_eq!(tally.take(asked), None);
        assert_eq!(tally.total(), counts(3, 0));
        // One that comes now may miss what was counted since.
        assert!(tally.take(tally.asked).is_some());
    }
}
