//! How long things are kept, and waited for.

use super::ResumeLayer;
use crate::{Clock, WhenAlone, settings::FOREVER};
use std::time::Duration;

/// # Times
///
/// How long things are kept, and waited for.
impl<S, Start> ResumeLayer<S, Start> {
    /// How long a token can be used. Defaults to 15 minutes.
    pub fn token_ttl(self, ttl: Duration) -> Self {
        self.set(|settings| settings.token_ttl = ttl.min(FOREVER))
    }

    /// How long a stream is kept after it ended. Defaults to 15 minutes.
    pub fn state_ttl(self, ttl: Duration) -> Self {
        self.set(|settings| settings.state_ttl = ttl.min(FOREVER))
    }

    /// How long a snapshot is kept after its stream ended. Defaults to 60 seconds.
    pub fn snapshot_ttl(self, ttl: Duration) -> Self {
        self.set(|settings| settings.snapshot_ttl = ttl.min(FOREVER))
    }

    /// The silence after which a client is sent a comment. Defaults to 10 seconds.
    pub fn heartbeat(self, every: Duration) -> Self {
        self.set(|settings| settings.heartbeat = every.clamp(Duration::from_millis(10), FOREVER))
    }

    /// What clients are told to wait before they come back, give or take a quarter. Defaults to 1 second.
    pub fn retry(self, after: Duration) -> Self {
        self.set(|settings| settings.retry = after.min(FOREVER))
    }

    /// How long a stream runs on while nobody is connected, here or on another node; then it ends as `interrupted`. Defaults
    /// to 15 minutes. To have a handler stopped soon after its client has left, see [`grace`](Self::grace).
    pub fn detach_time(self, time: Duration) -> Self {
        self.set(|settings| settings.detach_time = time.min(FOREVER))
    }

    /// Stops a handler whose stream nobody has read, on any node, for this long: as if its client had cancelled it, the
    /// stream ends as `cancelled`. Off by default: a client that merely disconnects stops nothing.
    ///
    /// Give it well more than a client needs to come back: some ten seconds at least. Time in which nobody can tell who
    /// reads on other nodes does not count: while a shared store is away (and 10 seconds more), or while this node is
    /// [drained](Self::drain). A reader on another node counts for 30 seconds more, should that node die.
    pub fn grace(self, time: Duration) -> Self {
        self.set(|settings| settings.grace = Some(time.min(FOREVER)))
    }

    /// What a handler does while nobody is connected to its stream. Defaults to [`WhenAlone::Run`].
    pub fn when_alone(self, then: WhenAlone) -> Self {
        self.set(|settings| settings.when_alone = then)
    }

    /// How long the furthest reader may take nothing before the stream runs on without it, and it has to catch
    /// up. Defaults to 30 seconds.
    pub fn stall_time(self, time: Duration) -> Self {
        self.set(|settings| settings.stall_time = time.clamp(Duration::from_millis(1), FOREVER))
    }

    /// The clock by which tokens expire. Defaults to the system's.
    pub fn clock(self, clock: Clock) -> Self {
        self.set(|settings| settings.clock = clock)
    }
}
