//! How many streams each principal runs on this node, so that nobody takes it all.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The streams that run now, by principal. Those who run none take no room.
#[derive(Debug, Default)]
pub(crate) struct Shares(Mutex<HashMap<Arc<str>, usize>>);

impl Shares {
    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more stream for this principal; `None`: it runs `max` already.
    pub(crate) fn take(self: &Arc<Self>, principal: &Arc<str>, max: usize) -> Option<Share> {
        let mut shares = self.lock();
        let running = shares.get(principal).copied().unwrap_or(0);
        if running >= max {
            return None;
        }
        shares.insert(Arc::clone(principal), running + 1);
        Some(Share { shares: Arc::clone(self), principal: Arc::clone(principal) })
    }
}

/// One running stream of a principal's, until it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    shares: Arc<Shares>,
    principal: Arc<str>,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut shares = self.shares.lock();
        if let Some(running) = shares.get_mut(&self.principal) {
            *running -= 1;
            if *running == 0 {
                shares.remove(&self.principal);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_has_so_many_and_one_that_has_none_takes_no_room() {
        let shares = Arc::<Shares>::default();
        let (one, other): (Arc<str>, Arc<str>) = ("one".into(), "other".into());
        assert!(shares.take(&one, 0).is_none());
        let held: Vec<_> = (0..3).map(|_| shares.take(&one, 3).unwrap()).collect();
        assert!(shares.take(&one, 3).is_none(), "three are running");
        let others = shares.take(&other, 3).unwrap();
        drop(held);
        assert_eq!(shares.lock().len(), 1);
        assert!(shares.take(&one, 1).is_some());
        drop(others);
        assert!(shares.lock().is_empty());
    }
}
