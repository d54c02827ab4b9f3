//! A server, and one connection to it after the other.

use super::{
    config::Dial,
    conn::Conn,
    pulse::{Pulse, Role},
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, watch},
    task::AbortHandle,
    time::sleep,
};

/// The shortest and the longest pause between two attempts to connect.
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// A connection that has stood for as long is followed by the next one without a pause.
const STOOD: Duration = Duration::from_secs(4);
/// How often a server is asked that has left a command without an answer.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// The probes without an answer after which a connection that seems to stand is given up.
const SILENT_MAX: u32 = 3;

/// Keeps a connection up, until [`Server`] is dropped.
#[derive(Debug)]
pub(super) struct Link {
    dial: Dial,
    now: watch::Sender<Option<Arc<Conn>>>,
    again: Notify,
    suspected: Notify,
    role: Role,
    server: u64,
    pulse: Arc<Pulse>,
}

impl Link {
    /// The connection, where there is one just now.
    pub(super) fn conn(&self) -> Option<Arc<Conn>> {
        self.now.borrow().clone()
    }

    /// The connections to come, and the one of now.
    pub(super) fn conns(&self) -> watch::Receiver<Option<Arc<Conn>>> {
        let mut conns = self.now.subscribe();
        conns.mark_changed();
        conns
    }

    /// Takes the connection down and makes a new one. `fred` cannot do it by itself while it waits for a peer that
    /// takes nothing more, and takes a connection for alive as long as we keep writing to it.
    pub(super) fn remake(&self) {
        self.again.notify_one();
    }

    /// A command over this connection went without an answer: it is asked until it answers again.
    pub(super) fn suspect(&self, conn: &Conn) {
        if self.now.borrow().as_ref().is_some_and(|now| now.number == conn.number) {
            self.pulse.note(self.server, self.role, false);
            self.suspected.notify_one();
        }
    }

    /// Connects at once and again for ever. `counts`: whether what was acknowledged before the first connection may be
    /// gone; with every further one it may.
    async fn keep(self: Arc<Self>, nudge: Arc<Notify>, mut counts: bool) {
        let mut pause = Duration::ZERO;
        loop {
            let made = tokio::select! {
                made = async { Conn::make(self.dial.client().ok()?).await } => made,
                () = self.again.notified() => None,
            };
            if let Some((conn, mut task)) = made {
                let conn = Arc::new(conn);
                // Whoever hears that the store is back finds the connection.
                self.now.send_replace(Some(Arc::clone(&conn)));
                self.pulse.made(self.server, self.role, std::mem::replace(&mut counts, true));
                // The others may still wait for their next attempt.
                nudge.notify_waiters();
                tokio::select! {
                    () = task.lost() => {}
                    () = self.again.notified() => pause = Duration::ZERO,
                    () = self.probe(&conn) => {}
                }
                conn.close();
                self.now.send_replace(None);
                self.pulse.note(self.server, self.role, false);
                if conn.since.elapsed() > STOOD {
                    pause = Duration::ZERO;
                }
            }
            // A jitter, so that the connections of many processes part ways.
            sleep(pause.min(PAUSE_MIN) + Duration::from_millis(fastrand::u64(0..20))).await;
            tokio::select! {
                () = sleep(pause.saturating_sub(PAUSE_MIN)) => {}
                () = nudge.notified() => {}
                () = self.again.notified() => {}
            }
            pause = (pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
        }
    }

    /// Ends when the server has been silent for too long.
    async fn probe(&self, conn: &Conn) {
        loop {
            self.suspected.notified().await;
            let mut silent = 0;
            while conn.ping().await.is_err() {
                silent += 1;
                if silent >= SILENT_MAX {
                    return;
                }
                sleep(PROBE_EVERY).await;
            }
            self.pulse.note(self.server, self.role, true);
        }
    }
}

/// A server of Redis, or whatever leads to one, with the connections to it. They end with it.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) appends: Arc<Link>,
    pub(super) reads: Arc<Link>,
    dial: Dial,
    nudge: Arc<Notify>,
    id: u64,
    pulse: Arc<Pulse>,
    tasks: [AbortHandle; 2],
}

impl Server {
    /// Inside a runtime. `counts`: whether a first connection counts as a return of the store.
    pub(super) fn new(dial: Dial, pulse: &Arc<Pulse>, counts: bool) -> Self {
        let id = pulse.enter();
        let nudge = Arc::<Notify>::default();
        let link = |role| Arc::new(Link::new(dial.clone(), role, id, Arc::clone(pulse)));
        let (appends, reads) = (link(Role::Appends), link(Role::Reads));
        let tasks = [&appends, &reads]
            .map(|link| tokio::spawn(Arc::clone(link).keep(Arc::clone(&nudge), counts)).abort_handle());
        Self { appends, reads, dial, nudge, id, pulse: Arc::clone(pulse), tasks }
    }

    /// A connection more, for a subscription.
    pub(super) fn subscriber(&self) -> Subscriber {
        let link = Arc::new(Link::new(self.dial.clone(), Role::Subscriber, self.id, Arc::clone(&self.pulse)));
        let task = tokio::spawn(Arc::clone(&link).keep(Arc::clone(&self.nudge), false)).abort_handle();
        Subscriber { link, task }
    }

    /// Whether it answers, by what was heard last.
    pub(super) fn answers(&self) -> bool {
        self.pulse.answers(self.id)
    }

    /// It does not do any longer what it did when we connected: it takes no writes, say. What leads to it may lead
    /// elsewhere by now.
    pub(super) fn distrust(&self) {
        for link in [&self.appends, &self.reads] {
            if link.conn().is_some_and(|conn| conn.since.elapsed() > PROBE_EVERY) {
                link.remake();
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        self.pulse.leave(self.id);
    }
}

/// A connection for a subscription, which ends with its owner.
#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) link: Arc<Link>,
    task: AbortHandle,
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Link {
    fn new(dial: Dial, role: Role, server: u64, pulse: Arc<Pulse>) -> Self {
        let now = watch::Sender::new(None);
        Self { dial, now, again: Notify::new(), suspected: Notify::new(), role, server, pulse }
    }
}
