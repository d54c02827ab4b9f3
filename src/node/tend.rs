//! What follows on a node from the store's coming and going.

use super::Node;
use std::sync::{Arc, PoisonError, Weak, atomic::Ordering};
use tokio::runtime::Handle;

impl Node {
    /// One task a node: it tells of the store's health, and when the store has come back, every stream of this node to
    /// look after its log. It begins with the node, or with the first stream where there is no runtime before.
    pub(super) fn tend(self: &Arc<Self>) {
        let Ok(runtime) = Handle::try_current() else { return };
        if !self.store.is_shared() || self.tending.swap(true, Ordering::Relaxed) {
            return;
        }
        let (tending, mut health) = (Tending(Arc::downgrade(self)), self.health.clone());
        let mut was_up = health.borrow().up;
        let mut was_ever_up = was_up;
        drop(runtime.spawn(async move {
            while health.changed().await.is_ok() {
                let Some(node) = Weak::upgrade(&tending.0) else { return };
                let up = health.borrow_and_update().up;
                node.show_store(up);
                // One that is found at last, and that no stream has missed, is no news. Nor is one that was away for so
                // short a time that nobody has seen it.
                if up != was_up && (was_ever_up || !up || !node.streams().recorded.is_empty()) {
                    node.telemetry.store_health(up);
                }
                (was_up, was_ever_up) = (up, was_ever_up || up);
                if up {
                    let logs: Vec<_> = node.streams().recorded.values().cloned().collect();
                    logs.iter().for_each(|log| log.kick());
                }
            }
        }));
    }

    fn show_store(&self, up: bool) {
        self.store_down.lock().unwrap_or_else(PoisonError::into_inner).set((!up).into());
    }
}

/// The task that tends a node. Where its runtime shuts down before the node, the next stream begins another one.
struct Tending(Weak<Node>);

impl Drop for Tending {
    fn drop(&mut self) {
        if let Some(node) = Weak::upgrade(&self.0) {
            node.tending.store(false, Ordering::Relaxed);
        }
    }
}
