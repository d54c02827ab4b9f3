//! The streams that this node follows: who here waits for news of them.

use super::{
    super::{Pushed, Watch, WatchGuard, codec, pack::Packing},
    frame::Frame,
};
use crate::{NodeId, RequestId};
use bytes::Bytes;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, mpsc},
    time::Instant,
};
use tracing::debug;

/// The news that may wait for one watch. What does not fit is lost: the next chunk then does not join on.
const NEWS: usize = 64;
/// How often a watch is renewed at the stream's writer.
const RENEW_EVERY: Duration = Duration::from_secs(10);
/// How soon it is sent again where the writer has not answered: it may not have been subscribed yet. Then ever later.
const AGAIN: Duration = Duration::from_secs(1);

/// The most writers that wait to hear that we have left.
const LEFT_MAX: usize = 4096;

/// All watches of this node. Several on one stream share one at its writer.
#[derive(Debug, Default)]
pub(super) struct Follows {
    state: Mutex<State>,
    packing: Packing,
    /// Told when there is something to send.
    pub(super) work: Notify,
}

#[derive(Debug, Default)]
struct State {
    streams: HashMap<RequestId, Followed>,
    /// Writers that need not send us news of a stream any longer.
    left: Vec<(RequestId, NodeId)>,
    next: u64,
}

#[derive(Debug)]
struct Followed {
    writer: NodeId,
    /// When its writer is to hear of us again; `None`: at once.
    due: Option<Instant>,
    /// The pause that follows.
    pause: Duration,
    waiting: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    /// The last event that it is known to have.
    at: u64,
    news: mpsc::Sender<Pushed>,
}

impl Follows {
    pub(super) fn new(packing: Packing) -> Self {
        Self { packing, ..Self::default() }
    }

    /// Without an await inside, so the lock is short. A poisoned one still holds what it held.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn watch(self: &Arc<Self>, id: RequestId, writer: NodeId, after: u64) -> Watch {
        let (sender, news) = mpsc::channel(NEWS);
        let number = {
            let mut state = self.lock();
            state.next += 1;
            let number = state.next;
            let followed = state.streams.entry(id).or_insert_with(|| Followed {
                writer,
                due: None,
                pause: AGAIN,
                waiting: Vec::new(),
            });
            (followed.writer, followed.due) = (writer, None);
            followed.waiting.push(Waiting { number, at: after, news: sender });
            number
        };
        self.work.notify_one();
        let follows = Arc::clone(self);
        Watch { news, guard: WatchGuard::new(move || follows.leave(id, number)) }
    }

    fn leave(&self, id: RequestId, number: u64) {
        {
            let mut state = self.lock();
            let Some(followed) = state.streams.get_mut(&id) else { return };
            followed.waiting.retain(|waiting| waiting.number != number);
            if !followed.waiting.is_empty() {
                return;
            }
            let writer = followed.writer;
            state.streams.remove(&id);
            // With no subscription nobody sends them; a watch lapses by itself, too.
            if state.left.len() < LEFT_MAX {
                state.left.push((id, writer));
            }
        }
        self.work.notify_one();
    }

    /// What is to be sent to writers by now; to all of them where the inbox has just come back.
    pub(super) fn due(&self, all: bool, now: Instant, inbox: NodeId) -> Vec<(NodeId, Frame)> {
        let mut state = self.lock();
        let State { streams, left, .. } = &mut *state;
        let mut frames = Vec::new();
        for (id, writer) in left.drain(..) {
            if !streams.contains_key(&id) {
                frames.push((writer, Frame::Unwatch { id, inbox }));
            }
        }
        for (id, followed) in streams.iter_mut() {
            if all || followed.due.is_none_or(|due| due <= now) {
                followed.due = Some(now + followed.pause);
                followed.pause = (followed.pause * 2).min(RENEW_EVERY);
                let from = followed.waiting.iter().map(|waiting| waiting.at).min().unwrap_or(0);
                frames.push((followed.writer, Frame::Watch { id: *id, inbox, from }));
            }
        }
        frames
    }

    /// A chunk came in.
    pub(super) fn chunk(&self, id: RequestId, bytes: &Bytes) {
        if !self.lock().streams.contains_key(&id) {
            return;
        }
        // Unpacking takes its time, so it is done between two locks.
        let decoded = codec::decode(bytes, self.packing.of(id));
        let mut state = self.lock();
        let Some(followed) = state.streams.get_mut(&id) else { return };
        let news = match decoded {
            Ok((chunk, _)) => {
                for waiting in &mut followed.waiting {
                    waiting.at = waiting.at.max(chunk.last());
                }
                Pushed::Chunk(chunk)
            }
            Err(error) => {
                debug!(%error, "a pushed chunk cannot be read");
                Pushed::Look
            }
        };
        for waiting in &followed.waiting {
            let _ = waiting.news.try_send(news.clone());
        }
    }

    /// The writer said how far its log has come, and whether it knows the stream.
    pub(super) fn state(&self, id: RequestId, last: Option<u64>, ended: bool, knows: bool) {
        let mut state = self.lock();
        let Some(followed) = state.streams.get_mut(&id) else { return };
        followed.pause = RENEW_EVERY;
        followed.due = followed.due.map(|_| Instant::now() + RENEW_EVERY);
        for waiting in &followed.waiting {
            let _ = waiting.news.try_send(Pushed::Writer { knows });
            if ended || last.is_none_or(|last| last > waiting.at) {
                let _ = waiting.news.try_send(Pushed::Look);
            }
        }
    }

    /// News may have been lost.
    pub(super) fn look(&self) {
        for waiting in self.lock().streams.values().flat_map(|followed| &followed.waiting) {
            let _ = waiting.news.try_send(Pushed::Look);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watches_of_one_stream_share_one_at_its_writer_which_ends_with_the_last() {
        let follows = Arc::new(Follows::default());
        let (id, writer, inbox, now) = (RequestId::random(), NodeId::random(), NodeId::random(), Instant::now());
        let one = follows.watch(id, writer, 5);
        let mut two = follows.watch(id, writer, 3);
        assert_eq!(follows.due(false, now, inbox), [(writer, Frame::Watch { id, inbox, from: 3 })]);
        assert_eq!(follows.due(false, now, inbox), [], "sent already");
        assert_eq!(follows.due(false, now + AGAIN, inbox).len(), 1, "no answer");
        drop(one);
        follows.state(id, Some(3), false, true);
        assert!(matches!(two.news.try_recv(), Ok(Pushed::Writer { knows: true })));
        assert_eq!(follows.due(false, now + RENEW_EVERY / 2, inbox), [], "answered");
        assert_eq!(follows.due(false, now + 2 * RENEW_EVERY, inbox).len(), 1, "renewed");
        assert!(two.news.try_recv().is_err(), "not behind");
        follows.state(id, Some(4), false, false);
        assert!(matches!(two.news.try_recv(), Ok(Pushed::Writer { knows: false })));
        assert!(matches!(two.news.try_recv(), Ok(Pushed::Look)));
        drop(two);
        assert_eq!(follows.due(false, now, inbox), [(writer, Frame::Unwatch { id, inbox })]);
        assert!(follows.lock().streams.is_empty());
    }

    #[test]
    fn a_watch_that_nobody_reads_is_bounded() {
        let follows = Arc::new(Follows::default());
        let (id, writer) = (RequestId::random(), NodeId::random());
        let watch = follows.watch(id, writer, 0);
        for _ in 0..2 * NEWS {
            follows.look();
        }
        assert_eq!(watch.news.len(), NEWS);
    }
}
