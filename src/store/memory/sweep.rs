//! Gives the memory of expired logs back, also where no request comes any more.

use super::{Shared, log::Trash};
use std::sync::{Arc, Weak};
use tokio::{runtime::Handle, sync::Notify, time};

/// Starts the task, if there is a runtime to run it. It ends by itself once there is nothing left that could
/// expire, and when the store is dropped; [`Shared`] starts it again with the next log.
pub(super) fn start(shared: &Arc<Shared>) {
    let task = Sweeper { shared: Arc::downgrade(shared), woken: Arc::clone(&shared.earlier), done: false };
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(task.run());
    }
}

struct Sweeper {
    shared: Weak<Shared>,
    woken: Arc<Notify>,
    /// Whether the store knows already that this task has ended.
    done: bool,
}

impl Sweeper {
    async fn run(mut self) {
        loop {
            let Some(next) = self.sweep() else { return };
            tokio::select! {
                () = time::sleep_until(next) => {}
                () = self.woken.notified() => {}
            }
        }
    }

    /// Lets go of what has expired by now, and says when to come again.
    fn sweep(&mut self) -> Option<time::Instant> {
        let shared = self.shared.upgrade()?;
        let mut trash = Trash::new();
        let mut state = shared.lock();
        state.sweep(time::Instant::now(), &mut trash);
        let next = state.next_due();
        if next.is_none() {
            state.sweeping = false;
            self.done = true;
        }
        drop(state);
        next
    }
}

/// A runtime that shuts down drops the task: another runtime may start it again.
impl Drop for Sweeper {
    fn drop(&mut self) {
        if let (false, Some(shared)) = (self.done, self.shared.upgrade()) {
            shared.lock().sweeping = false;
        }
    }
}
