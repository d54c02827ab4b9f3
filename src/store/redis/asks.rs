//! Questions to other nodes that wait for their answer.

use super::super::{StoreError, StoreErrorKind};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::oneshot;

/// The most questions that may wait at a time. One more fails at once: those who ask come again.
const WAITING_MAX: usize = 4_096;

/// All questions of this node that wait.
#[derive(Debug, Default)]
pub(super) struct Asks(Mutex<HashMap<u64, oneshot::Sender<bool>>>);

/// One question that waits, for as long as it is held.
#[derive(Debug)]
pub(super) struct Asked {
    asks: Arc<Asks>,
    pub(super) nonce: u64,
    pub(super) answer: oneshot::Receiver<bool>,
}

impl Asks {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<bool>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn ask(self: &Arc<Self>) -> Result<Asked, StoreError> {
        let (sender, answer) = oneshot::channel();
        let nonce = fastrand::u64(..);
        let mut waiting = self.lock();
        if waiting.len() >= WAITING_MAX {
            return Err(StoreError::new(StoreErrorKind::Unavailable, "too many questions to other nodes at once"));
        }
        waiting.insert(nonce, sender);
        drop(waiting);
        Ok(Asked { asks: Arc::clone(self), nonce, answer })
    }

    /// An answer came in.
    pub(super) fn answered(&self, nonce: u64, knows: bool) {
        let asked = self.lock().remove(&nonce);
        if let Some(asked) = asked {
            // Whoever asked may have left.
            let _ = asked.send(knows);
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.asks.lock().remove(&self.nonce);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_reaches_who_asked_and_what_nobody_waits_for_is_forgotten() {
        let asks = Arc::<Asks>::default();
        let (one, mut other) = (asks.ask().unwrap(), asks.ask().unwrap());
        asks.answered(other.nonce, true);
        assert_eq!((&mut other.answer).await, Ok(true));
        asks.answered(7, true);
        drop((one, other));
        assert!(asks.lock().is_empty());
    }

    #[test]
    fn the_questions_that_wait_are_bounded() {
        let asks = Arc::<Asks>::default();
        let waiting: Vec<_> = (0..WAITING_MAX).map(|_| asks.ask().unwrap()).collect();
        assert_eq!(asks.ask().unwrap_err().kind(), StoreErrorKind::Unavailable);
        drop(waiting);
        assert!(asks.ask().is_ok());
    }
}
