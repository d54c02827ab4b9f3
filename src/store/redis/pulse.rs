//! Whether Redis can be reached, and how often it has come back.

use super::super::Health;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{Notify, watch};
use tracing::debug;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Appends,
    Reads,
    Subscriber,
}

/// What is known of Redis, by what happens to the connections. A server is down when its connection for appends is lost
/// or one of its commands went without an answer. It is up again once it answers, there and on the connection for reads.
/// A command that it refuses changes nothing: it is there. A cluster is up while any of its nodes is: the streams of the
/// others go on.
#[derive(Debug)]
pub(super) struct Pulse {
    servers: Mutex<Servers>,
    health: watch::Sender<Health>,
    /// Told when a server comes or goes.
    pub(super) turned: Notify,
}

#[derive(Debug, Default)]
struct Servers {
    all: HashMap<u64, Server>,
    next: u64,
}

#[derive(Debug, Default)]
struct Server {
    up: bool,
    appends: bool,
    reads: bool,
}

impl Pulse {
    pub(super) fn new() -> Self {
        let health = watch::Sender::new(Health { up: false, epoch: 0 });
        Self { servers: Mutex::default(), health, turned: Notify::new() }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    pub(super) fn is_up(&self) -> bool {
        self.health.borrow().up
    }

    fn lock(&self) -> MutexGuard<'_, Servers> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One server more; its number.
    pub(super) fn enter(&self) -> u64 {
        let mut servers = self.lock();
        servers.next += 1;
        let id = servers.next;
        servers.all.insert(id, Server::default());
        id
    }

    pub(super) fn leave(&self, id: u64) {
        let mut servers = self.lock();
        servers.all.remove(&id);
        self.tell(&servers, false);
    }

    /// Whether a connection answers.
    pub(super) fn note(&self, id: u64, role: Role, answers: bool) {
        let mut servers = self.lock();
        if servers.note(id, role, answers) {
            self.turned.notify_one();
            self.tell(&servers, false);
        }
    }

    /// Whether this server is up.
    pub(super) fn answers(&self, id: u64) -> bool {
        self.lock().all.get(&id).is_some_and(|server| server.up)
    }

    /// A connection was made; `counts`: what was acknowledged before may be gone.
    pub(super) fn made(&self, id: u64, role: Role, counts: bool) {
        let mut servers = self.lock();
        if servers.note(id, role, true) {
            self.turned.notify_one();
        }
        self.tell(&servers, counts && role == Role::Appends);
    }

    /// What was acknowledged may be gone, though no connection was lost.
    pub(super) fn count_epoch(&self) {
        self.tell(&self.lock(), true);
    }

    /// Under the lock, so that what is told last is what holds. Never up in an epoch that is over.
    fn tell(&self, servers: &Servers, counts: bool) {
        let up = servers.all.values().any(|server| server.up);
        let mut turned = false;
        self.health.send_if_modified(|health| {
            turned = std::mem::replace(&mut health.up, up) != up;
            health.epoch += u64::from(counts);
            turned || counts
        });
        if turned {
            debug!(store.up = up, "store health changed");
        }
    }
}

impl Servers {
    /// Whether it makes a difference.
    fn note(&mut self, id: u64, role: Role, answers: bool) -> bool {
        let Some(server) = self.all.get_mut(&id) else { return false };
        match role {
            Role::Appends => server.appends = answers,
            Role::Reads => server.reads = answers,
            Role::Subscriber => return false,
        }
        let up = server.appends && (server.up || server.reads);
        std::mem::replace(&mut server.up, up) != up
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health(pulse: &Pulse) -> (bool, u64) {
        let health = *pulse.health.borrow();
        (health.up, health.epoch)
    }

    #[test]
    fn a_server_is_up_by_both_connections_and_down_by_the_one_for_appends() {
        let pulse = Pulse::new();
        let id = pulse.enter();
        pulse.made(id, Role::Appends, false);
        assert_eq!(health(&pulse), (false, 0), "nothing can be read yet");
        pulse.made(id, Role::Reads, true);
        assert_eq!(health(&pulse), (true, 0));
        pulse.note(id, Role::Reads, false);
        assert_eq!(health(&pulse), (true, 0), "it still takes what is appended");
        pulse.note(id, Role::Appends, false);
        assert_eq!(health(&pulse), (false, 0));
        pulse.made(id, Role::Appends, true);
        assert_eq!(health(&pulse), (false, 1), "another connection, and nothing can be read yet");
        pulse.note(id, Role::Reads, true);
        assert_eq!(health(&pulse), (true, 1));
    }

    #[test]
    fn a_cluster_is_up_while_any_of_its_nodes_is() {
        let pulse = Pulse::new();
        let (one, other) = (pulse.enter(), pulse.enter());
        for id in [one, other] {
            pulse.made(id, Role::Reads, false);
            pulse.made(id, Role::Appends, false);
        }
        pulse.note(one, Role::Appends, false);
        assert_eq!(health(&pulse), (true, 0));
        pulse.leave(other);
        assert_eq!(health(&pulse), (false, 0));
        pulse.note(other, Role::Appends, true);
        pulse.count_epoch();
        assert_eq!(health(&pulse), (false, 1), "who has left says nothing more");
    }
}
