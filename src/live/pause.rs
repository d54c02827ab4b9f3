//! A handler that pauses while nobody reads its stream, where [`WhenAlone`](crate::WhenAlone) says so.

use super::{LiveLog, state::State};

/// Whether the source waits while nobody is connected.
#[derive(Debug, Default)]
pub(super) struct Pause {
    enabled: bool,
    /// Somebody reads on another node.
    read_elsewhere: bool,
}

impl State {
    /// What the source stays near to while nobody is connected; nothing, where it runs on. All that the log holds counts
    /// as unread: how much of it the last client has really got, nobody knows.
    pub(super) const fn paused_at(&self) -> Option<u64> {
        let Pause { enabled, read_elsewhere } = self.pause;
        if enabled && !read_elsewhere && self.readers == 0 { Some(self.first - 1) } else { None }
    }
}

impl LiveLog {
    /// From now on, the source waits while nobody reads.
    pub(crate) fn pause_when_alone(&self) {
        self.lock().pause.enabled = true;
    }

    /// Whether somebody reads on another node.
    pub(crate) fn set_read_elsewhere(&self, read: bool) {
        self.lock().pause.read_elsewhere = read;
    }
}
