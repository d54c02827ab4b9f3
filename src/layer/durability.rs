//! What a client's sight of an event says about the store.

use super::ResumeLayer;
use crate::{Durability, StoreOut, settings::FOREVER};
use std::time::Duration;

/// # Durability
///
/// What a client's sight of an event says about the store.
impl<S, Start> ResumeLayer<S, Start> {
    /// Whether an event goes out before the store has it. Defaults to [`Durability::Relaxed`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_resume::{Durability, Keys, ResumeLayer, StoreOut, store::MemoryStore};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = ResumeLayer::new(MemoryStore::new(), Keys::new([7; 32])?)
    ///     .durability(Durability::Stored)
    ///     .store_out(StoreOut::Relax)
    ///     .store_patience(Duration::from_secs(5));
    /// # let _ = layer;
    /// # Ok(())
    /// # }
    /// ```
    pub fn durability(self, durability: Durability) -> Self {
        self.set(|settings| settings.durability = durability)
    }

    /// How many replicas of Redis have to hold an event, too, before a client sees it, with [`Durability::Stored`].
    /// Defaults to 0.
    ///
    /// It is Redis' `WAIT`, whose own limit it has: a replica that lacks the event may still be promoted in place of
    /// one that has it. So it narrows the window in which the loss of the primary loses an event, and does not close
    /// it. While there are fewer replicas the store counts as out. Clients on other nodes, which read what the primary
    /// has, may see an event a moment before the replicas hold it. The memory store has no copies, and this does nothing.
    pub fn min_replicas(self, replicas: u32) -> Self {
        self.set(|settings| settings.min_replicas = replicas)
    }

    /// What becomes of a response that has waited for the store for too long, with [`Durability::Stored`]. Defaults to
    /// [`StoreOut::Cut`].
    pub fn store_out(self, then: StoreOut) -> Self {
        self.set(|settings| settings.store_out = then)
    }

    /// How long a response waits for the store, with [`Durability::Stored`], before [`StoreOut`] applies. Defaults to
    /// 10 seconds.
    pub fn store_patience(self, patience: Duration) -> Self {
        self.set(|settings| settings.store_patience = patience.clamp(Duration::from_millis(1), FOREVER))
    }
}
