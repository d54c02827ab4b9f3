//! One stream in a memory store: its log, its snapshot, who watches it, and its part in the books over all of them.

use super::log::{Log, Trash};
use crate::RequestId;
use crate::store::{Append, Chunk, Onto, Pushed, Snapshot};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::{sync::mpsc, time::Instant};

/// A time that no process sees: where a time to live is longer than the clock can tell.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// What is known of a stream. One that knows nothing any more is taken out.
#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) log: Option<Log>,
    pub(super) snapshot: Option<KeptSnapshot>,
    pub(super) watchers: Vec<(u64, mpsc::Sender<Pushed>)>,
    /// When the expiry looks at it: not later than the first of what it holds expires.
    pub(super) due: Option<Instant>,
    /// Its place in the order of ends.
    pub(super) over: Option<u64>,
}

#[derive(Debug)]
pub(super) struct KeptSnapshot {
    pub(super) snapshot: Snapshot,
    pub(super) expires: Instant,
}

impl KeptSnapshot {
    pub(super) fn room(&self) -> usize {
        room_of_snapshot(&self.snapshot)
    }
}

/// What is kept about all streams together.
#[derive(Debug)]
pub(super) struct Books {
    pub(super) max_bytes: usize,
    pub(super) bytes: usize,
    /// When the expiry looks at which stream.
    pub(super) due: BTreeSet<(Instant, RequestId)>,
    /// The streams that are over and still have a log, the first to end first.
    pub(super) over_logs: BTreeMap<u64, RequestId>,
    /// The streams that are over and still have a snapshot.
    pub(super) over_snapshots: BTreeMap<u64, RequestId>,
    /// Numbers ends and watchers.
    pub(super) next: u64,
}

impl Books {
    pub(super) const fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

impl Stream {
    pub(super) const fn is_empty(&self) -> bool {
        self.log.is_none() && self.snapshot.is_none() && self.watchers.is_empty()
    }

    pub(super) fn is_watched(&self) -> bool {
        self.watchers.iter().any(|(_, news)| !news.is_closed())
    }

    pub(super) fn expire(&mut self, now: Instant, books: &mut Books, trash: &mut Trash) {
        if self.log.as_ref().is_some_and(|log| log.expires <= now) {
            self.drop_log(books, trash);
        }
        if self.snapshot.as_ref().is_some_and(|kept| kept.expires <= now) {
            self.drop_snapshot(books);
        }
    }

    pub(super) fn drop_log(&mut self, books: &mut Books, trash: &mut Trash) {
        if let Some(log) = self.log.take() {
            books.bytes -= log.room();
            log.discard(trash);
        }
        if let Some(place) = self.over {
            books.over_logs.remove(&place);
        }
    }

    pub(super) fn drop_snapshot(&mut self, books: &mut Books) {
        if let Some(kept) = self.snapshot.take() {
            books.bytes -= kept.room();
        }
        if let Some(place) = self.over {
            books.over_snapshots.remove(&place);
        }
    }

    pub(super) fn write(&mut self, append: Append, now: Instant, books: &mut Books, trash: &mut Trash) {
        let Append { id, onto, mut chunks, trim_below, let_go, snapshot, ttl, .. } = append;
        let expires = later(now, ttl.log);
        if let Onto::Nothing(head) | Onto::Anything(head) = onto {
            let (counts, cancelled) = self.log.as_ref().map(|log| (log.counts, log.cancelled)).unwrap_or_default();
            self.drop_log(books, trash);
            let log = self.log.insert(Log::new(head, expires));
            (log.counts, log.cancelled) = (counts, cancelled);
            books.bytes += log.room();
        }
        let Some(log) = &mut self.log else { return };
        books.bytes -= log.room();
        for chunk in chunks.drain(..) {
            for (_, news) in &self.watchers {
                push(news, &chunk);
            }
            log.push(chunk);
        }
        if trash.is_empty() {
            // The list that brought the chunks takes away those that go: one allocation less.
            *trash = chunks;
        }
        log.trim(trim_below, trash);
        log.let_go(&let_go, trash);
        log.expires = expires;
        books.bytes += log.room();
        let ended = log.end().is_some();
        if let Some(snapshot) = snapshot {
            self.drop_snapshot(books);
            let over = ended || snapshot.status.is_some();
            let expires = if over { later(now, ttl.snapshot) } else { expires };
            books.bytes += self.snapshot.insert(KeptSnapshot { snapshot, expires }).room();
        } else if let (true, Some(kept)) = (ended, &mut self.snapshot) {
            kept.expires = later(now, ttl.snapshot);
        }
        self.set_over(id, ended, books);
        self.set_due(id, books);
    }

    /// Gives a stream that is over its place in the order of ends, and takes it from one that (again) is not.
    fn set_over(&mut self, id: RequestId, ended: bool, books: &mut Books) {
        if !ended {
            if let Some(place) = self.over.take() {
                books.over_logs.remove(&place);
                books.over_snapshots.remove(&place);
            }
            return;
        }
        let place = *self.over.get_or_insert_with(|| books.number());
        books.over_logs.insert(place, id);
        if self.snapshot.is_some() {
            books.over_snapshots.insert(place, id);
        }
    }

    /// Sees to it that the expiry looks at this stream in time. A later time than before is left for the expiry itself
    /// to find, so that renewing costs nothing.
    pub(super) fn set_due(&mut self, id: RequestId, books: &mut Books) {
        let log = self.log.as_ref().map(|log| log.expires);
        let snapshot = self.snapshot.as_ref().map(|kept| kept.expires);
        let Some(first) = log.into_iter().chain(snapshot).min() else { return };
        if self.due.is_some_and(|due| due <= first) {
            return;
        }
        if let Some(due) = self.due.replace(first) {
            books.due.remove(&(due, id));
        }
        books.due.insert((first, id));
    }
}

pub(super) fn room_of_snapshot(snapshot: &Snapshot) -> usize {
    size_of::<KeptSnapshot>() + snapshot.data.len()
}

/// Tells a watcher. The last place in its channel is for a look: whatever is lost then lies before that look.
fn push(news: &mpsc::Sender<Pushed>, chunk: &Chunk) {
    let pushed = match news.capacity() {
        0 => return,
        1 => Pushed::Look,
        _ => Pushed::Chunk(chunk.clone()),
    };
    let _ = news.try_send(pushed);
}

pub(super) fn later(now: Instant, ttl: Duration) -> Instant {
    now.checked_add(ttl.min(FOREVER)).unwrap_or(now)
}
