//! Whether Redis can be reached, and how often it has come back.

use super::{
    super::{Health, StoreError, StoreErrorKind},
    line::Line,
};
use fred::interfaces::{ClientLike as _, EventInterface as _};
use std::time::Duration;
use tokio::{
    sync::{
        Notify,
        broadcast::error::{RecvError, TryRecvError},
        watch,
    },
    time::{sleep, timeout},
};
use tracing::debug;

/// How often Redis is asked while it is down.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// How long the other connections may take longer than the first before they are made anew.
const SETTLE: Duration = Duration::from_millis(50);
/// The probes without an answer after which a connection that seems to stand is made anew.
const SILENT_MAX: u32 = 3;

/// What is known of Redis. It is down when the connection for appends is lost or one of its commands went without
/// an answer, and up again once it has answered a `PING`, there and on the connection for reads. A command that Redis
/// refuses changes nothing: it is there.
#[derive(Debug)]
pub(super) struct Pulse {
    health: watch::Sender<Health>,
    trouble: Notify,
}

impl Pulse {
    pub(super) fn new() -> Self {
        Self { health: watch::Sender::new(Health { up: false, epoch: 0 }), trouble: Notify::new() }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    pub(super) fn is_up(&self) -> bool {
        self.health.borrow().up
    }

    pub(super) fn health(&self) -> Health {
        *self.health.borrow()
    }

    /// Notes an error of the connection for appends.
    pub(super) fn failed(&self, error: &StoreError) {
        if error.kind() == StoreErrorKind::Unavailable {
            self.set(false);
            self.trouble.notify_one();
        }
    }

    /// What was acknowledged so far may be gone, although the connection stands.
    pub(super) fn count_epoch(&self) {
        self.health.send_modify(|health| health.epoch += 1);
    }

    fn set(&self, up: bool) {
        let changed = self.health.send_if_modified(|health| std::mem::replace(&mut health.up, up) != up);
        if changed {
            debug!(store.up = up, "store health changed");
        }
    }

    /// Follows the connections until the task is aborted.
    pub(super) async fn follow(&self, lines: Lines) {
        let mut reconnects = lines.appends.client.reconnect_rx();
        let mut errors = lines.appends.client.error_rx();
        let mut reads = lines.reads.client.reconnect_rx();
        let mut connected = false;
        let mut silent = 0;
        loop {
            let up = self.is_up();
            tokio::select! {
                biased;
                made = reconnects.recv() => match made {
                    Ok(_) | Err(RecvError::Lagged(_)) if connected => self.health.send_modify(|health| health.epoch += 1),
                    Ok(_) | Err(RecvError::Lagged(_)) => connected = true,
                    Err(RecvError::Closed) => return,
                },
                lost = errors.recv() => match lost {
                    Ok(_) | Err(RecvError::Lagged(_)) => self.set(false),
                    Err(RecvError::Closed) => return,
                },
                _ = reads.recv(), if !up => {}
                () = self.trouble.notified(), if up => continue,
                () = sleep(PROBE_EVERY), if !up => {}
            }
            let answered = lines.appends.ping().await.is_ok();
            let up = answered && (self.is_up() || lines.others().await);
            // Never up in an epoch that is over: an answer may come over a connection that was made meanwhile.
            while connected && matches!(reconnects.try_recv(), Ok(_) | Err(TryRecvError::Lagged(_))) {
                self.health.send_modify(|health| health.epoch += 1);
            }
            self.set(up);
            silent = if answered || !lines.appends.client.is_connected() { 0 } else { silent + 1 };
            if silent >= SILENT_MAX {
                silent = 0;
                lines.appends.remake();
            }
        }
    }
}

/// The connections of a store.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) appends: Line,
    pub(super) reads: Line,
    pub(super) subscriber: Line,
}

impl Lines {
    /// Brings the other connections back too, which may still wait for their next attempt; whether reads work.
    async fn others(&self) -> bool {
        for line in [&self.reads, &self.subscriber] {
            let _ = timeout(SETTLE, line.client.wait_for_connect()).await;
        }
        if !self.subscriber.client.is_connected() {
            self.subscriber.remake();
        }
        let answered = self.reads.ping().await.is_ok();
        if !answered {
            self.reads.remake();
        }
        answered
    }
}
