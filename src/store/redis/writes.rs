//! The streams that this node writes: how far each has come, and which inboxes want what is appended.

use super::frame::Frame;
use crate::{NodeId, RequestId};
use bytes::Bytes;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// How long a watch holds without being renewed.
const WATCH_FOR: Duration = Duration::from_secs(30);
/// How long a stream that is over is still known, for those that ask late.
const ENDED_FOR: Duration = Duration::from_secs(60);
/// A chunk that is larger is not pushed: followers are told to look.
const PUSH_MAX: usize = 64 * 1024;
/// The most inboxes that are sent one stream's chunks; further nodes find them by their slow look.
const WATCHERS_MAX: usize = 256;
/// The most streams that are watched here without being known here, in case they are begun soon.
const STREAMS_MAX: usize = 100_000;

/// What this node has written lately.
#[derive(Debug, Default)]
pub(super) struct Writes(Mutex<HashMap<RequestId, Written>>);

#[derive(Debug)]
struct Written {
    /// The last seq that the store has acknowledged; `None` where nothing was written here.
    last: Option<u64>,
    /// The connection over which it did, until an append fails: after that, the log may end elsewhere.
    sure: Option<u64>,
    ended: bool,
    /// When it is forgotten.
    until: Instant,
    watchers: Vec<Watcher>,
}

#[derive(Debug)]
struct Watcher {
    inbox: NodeId,
    until: Instant,
}

impl Writes {
    fn lock(&self) -> MutexGuard<'_, HashMap<RequestId, Written>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the log surely ends with this seq, where it is reached over this connection.
    pub(super) fn is_sure(&self, id: RequestId, last: u64, conn: u64) -> bool {
        self.lock().get(&id).is_some_and(|written| written.last == Some(last) && written.sure == Some(conn))
    }

    /// An append was not acknowledged.
    pub(super) fn failed(&self, id: RequestId) {
        if let Some(written) = self.lock().get_mut(&id) {
            written.sure = None;
        }
    }

    /// Notes what the store has acknowledged over this connection and names the inboxes that want it.
    pub(super) fn stored(&self, id: RequestId, last: u64, conn: u64, ended: bool, ttl: Duration) -> Vec<NodeId> {
        let now = Instant::now();
        let mut streams = self.lock();
        let written = streams.entry(id).or_insert_with(|| Written::new(now));
        (written.last, written.sure) = (Some(last), Some(conn));
        written.ended |= ended;
        written.until = now + if written.ended { ENDED_FOR } else { ttl };
        if written.watchers.is_empty() {
            return Vec::new();
        }
        written.watchers.retain(|watcher| watcher.until > now);
        written.watchers.iter().map(|watcher| watcher.inbox).collect()
    }

    /// What watching inboxes are sent of chunks that were stored: the chunks, or where one is too large that there is
    /// something to look at.
    pub(super) fn frames(id: RequestId, chunks: &[Bytes], last: u64, ended: bool) -> Vec<Bytes> {
        if chunks.iter().any(|chunk| chunk.len() > PUSH_MAX) {
            return vec![Frame::State { id, last: Some(last), ended, knows: true }.encode()];
        }
        chunks.iter().map(|chunk| Frame::Chunk { id, chunk: chunk.clone() }.encode()).collect()
    }

    /// A stream's log lives for another while.
    pub(super) fn touched(&self, id: RequestId, ttl: Duration) {
        if let Some(written) = self.lock().get_mut(&id).filter(|written| !written.ended && written.last.is_some()) {
            written.until = Instant::now() + ttl;
        }
    }

    /// Another node wants what is appended from now on; the answer says how far the stream has come.
    /// `knows`: the node runs the stream, or looks after it still.
    pub(super) fn watch(&self, id: RequestId, inbox: NodeId, knows: bool) -> Frame {
        let now = Instant::now();
        let until = now + WATCH_FOR;
        let mut streams = self.lock();
        if !streams.contains_key(&id) && streams.len() >= STREAMS_MAX {
            return Frame::State { id, last: None, ended: false, knows };
        }
        let written = streams.entry(id).or_insert_with(|| Written::new(now));
        written.until = written.until.max(until);
        if let Some(watcher) = written.watchers.iter_mut().find(|watcher| watcher.inbox == inbox) {
            watcher.until = until;
        } else if written.watchers.len() < WATCHERS_MAX {
            written.watchers.push(Watcher { inbox, until });
        }
        Frame::State { id, last: written.last, ended: written.ended, knows }
    }

    pub(super) fn unwatch(&self, id: RequestId, inbox: NodeId) {
        if let Some(written) = self.lock().get_mut(&id) {
            written.watchers.retain(|watcher| watcher.inbox != inbox);
        }
    }

    /// Whether an inbox wants what is appended to this stream.
    pub(super) fn is_watched(&self, id: RequestId) -> bool {
        let now = Instant::now();
        self.lock().get(&id).is_some_and(|written| written.watchers.iter().any(|watcher| watcher.until > now))
    }

    /// Forgets what is over.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        let mut streams = self.lock();
        streams.retain(|_, written| written.until > now);
        if streams.capacity() > 4 * streams.len().max(256) {
            streams.shrink_to_fit();
        }
    }
}

impl Written {
    const fn new(now: Instant) -> Self {
        Self { last: None, sure: None, ended: false, until: now, watchers: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_watch_lapses_unless_it_is_renewed() {
        let writes = Writes::default();
        let (id, inbox, ttl) = (RequestId::random(), NodeId::random(), Duration::from_secs(900));
        assert_eq!(writes.watch(id, inbox, true), Frame::State { id, last: None, ended: false, knows: true });
        assert_eq!(writes.stored(id, 4, 0, false, ttl), [inbox]);
        tokio::time::advance(WATCH_FOR / 2).await;
        assert_eq!(writes.watch(id, inbox, false), Frame::State { id, last: Some(4), ended: false, knows: false });
        tokio::time::advance(WATCH_FOR / 2).await;
        assert_eq!(writes.stored(id, 5, 0, false, ttl), [inbox]);
        assert!(writes.is_watched(id));
        tokio::time::advance(WATCH_FOR).await;
        assert!(!writes.is_watched(id));
        assert_eq!(writes.stored(id, 6, 0, false, ttl), []);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_over_or_long_silent_is_forgotten() {
        let writes = Writes::default();
        let (over, silent, ttl) = (RequestId::random(), RequestId::random(), Duration::from_secs(900));
        writes.stored(over, 1, 0, true, ttl);
        writes.stored(silent, 1, 0, false, ttl);
        tokio::time::advance(ENDED_FOR).await;
        writes.sweep();
        assert!(!writes.lock().contains_key(&over));
        writes.touched(silent, ttl);
        tokio::time::advance(ttl - ENDED_FOR / 2).await;
        writes.sweep();
        assert!(writes.lock().contains_key(&silent));
        tokio::time::advance(ENDED_FOR).await;
        writes.sweep();
        assert!(writes.lock().is_empty());
    }

    #[tokio::test]
    async fn a_log_surely_ends_where_it_was_acknowledged_over_the_same_connection() {
        let writes = Writes::default();
        let (id, ttl) = (RequestId::random(), Duration::from_secs(900));
        assert!(!writes.is_sure(id, 0, 0), "never written here");
        writes.stored(id, 4, 0, false, ttl);
        assert!(writes.is_sure(id, 4, 0));
        assert!(!writes.is_sure(id, 5, 0), "another seq");
        assert!(!writes.is_sure(id, 4, 1), "another connection");
        writes.failed(id);
        assert!(!writes.is_sure(id, 4, 0), "an append failed");
    }

    #[test]
    fn a_large_chunk_is_named_and_not_sent() {
        let id = RequestId::random();
        let frames = Writes::frames(id, &[Bytes::from(vec![0; PUSH_MAX + 1])], 9, false);
        assert_eq!(frames, [Frame::State { id, last: Some(9), ended: false, knows: true }.encode()]);
    }
}
