//! How a reader waits for a store that is out, where durability is `Stored`.

use super::Reader;
use crate::StoreOut;
use tokio::time::Instant;

/// Said to each client of a stream that goes on without waiting for the store, and when it waits for it again.
const RELAXED: &[u8] = b": durability relaxed\n\n";
const STORED: &[u8] = b": durability stored\n\n";

impl Reader {
    /// When the store will have kept this response waiting for too long, if it does.
    pub(super) fn impatient_at(&self) -> Option<Instant> {
        let settings = &self.node.settings;
        if !settings.is_stored() {
            return None;
        }
        let since = self.place.log().waiting_since()?;
        Some(since.max(self.began) + settings.store_patience)
    }

    pub(super) fn lose_patience(&mut self) {
        match self.node.settings.store_out {
            StoreOut::Cut => drop(self.cut()),
            StoreOut::Relax => {
                if self.place.log().relax() {
                    self.node.telemetry.degraded("relaxed");
                }
            }
        }
    }

    /// Says what the stream's durability has come to; not in the middle of something.
    pub(super) fn say_lifted(&mut self) {
        if self.in_part {
            return;
        }
        if let Some(lifted) = self.lifted.take() {
            self.out.extend_from_slice(if lifted { RELAXED } else { STORED });
        }
    }
}
