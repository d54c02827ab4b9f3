//! Everything that a memory store holds, behind its one lock.

use super::log::{self, Log, Trash, Verdict};
use super::stream::{Books, KeptSnapshot, Stream, later, room_of_snapshot};
use crate::store::{
    Append, Appended, Counts, Onto, Opened, Pushed, Snapshot, StoreError, StoreErrorKind, Touched, Ttl,
};
use crate::{EndStatus, NodeId, RequestId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tokio::{sync::mpsc, time::Instant};

/// How many streams one step of the expiry looks at, so that the lock is never held for long.
const SWEEP_STREAMS: usize = 128;

#[derive(Debug)]
pub(super) struct State {
    streams: HashMap<RequestId, Stream>,
    books: Books,
    /// Whether a task gives memory back just now.
    pub(super) sweeping: bool,
}

impl State {
    pub(super) fn new(max_bytes: usize) -> Self {
        let books = Books {
            max_bytes,
            bytes: 0,
            due: BTreeSet::new(),
            over_logs: BTreeMap::new(),
            over_snapshots: BTreeMap::new(),
            next: 0,
        };
        Self { streams: HashMap::new(), books, sweeping: false }
    }

    pub(super) const fn set_max_bytes(&mut self, max_bytes: usize) {
        self.books.max_bytes = max_bytes;
    }

    #[cfg(test)]
    pub(super) const fn bytes(&self) -> usize {
        self.books.bytes
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        let books = &self.books;
        let listed = books.due.is_empty() && books.over_logs.is_empty() && books.over_snapshots.is_empty();
        self.streams.is_empty() && listed && books.bytes == 0
    }

    pub(super) fn append(&mut self, append: Append, now: Instant, trash: &mut Trash) -> Result<Appended, StoreError> {
        let more = room_of(&append);
        if self.books.bytes.saturating_add(more) > self.books.max_bytes {
            self.make_room(&append, more, now, trash)?;
        }
        let stream = match append.onto {
            Onto::Nothing(_) | Onto::Anything(_) => self.streams.entry(append.id).or_default(),
            Onto::Seq(_) => match self.streams.get_mut(&append.id) {
                Some(stream) => stream,
                None => return Ok(Appended::Diverged),
            },
        };
        stream.expire(now, &mut self.books, trash);
        match log::meet(stream.log.as_ref(), &append) {
            Verdict::No(no) => return Ok(no),
            Verdict::Again => {}
            Verdict::Write => stream.write(append, now, &mut self.books, trash),
        }
        Ok(Appended::Stored { watched: stream.is_watched() })
    }

    /// Lets go of streams that are over until the append has its room: their logs, the oldest end first, then their
    /// snapshots. Running streams are never cut. An end alone always has room, since with it a stream can be let go.
    #[cold]
    fn make_room(&mut self, append: &Append, more: usize, now: Instant, trash: &mut Trash) -> Result<(), StoreError> {
        self.sweep(now, trash);
        let log = self.log(&append.id, now);
        let is_written = matches!(log::meet(log, append), Verdict::Write);
        if !is_written || is_end_alone(append) {
            return Ok(());
        }
        let mut given_back = match append.onto {
            Onto::Seq(_) => log.map_or(0, |log| log.trimmable(append.trim_below, &append.let_go)),
            Onto::Nothing(_) | Onto::Anything(_) => log.map_or(0, Log::room),
        };
        if append.snapshot.is_some() {
            let old = self.streams.get(&append.id).and_then(|stream| stream.snapshot.as_ref());
            given_back += old.map_or(0, KeptSnapshot::room);
        }
        while self.books.bytes.saturating_add(more) > self.books.max_bytes.saturating_add(given_back) {
            let other = |(_, id): &(&u64, &RequestId)| **id != append.id;
            let log = self.books.over_logs.iter().find(other).map(|(_, id)| *id);
            let snapshot = self.books.over_snapshots.iter().find(other).map(|(_, id)| *id);
            let Some(id) = log.or(snapshot) else {
                return Err(StoreError::new(StoreErrorKind::Refused, "the memory store is full of running streams"));
            };
            let Some(stream) = self.streams.get_mut(&id) else { return Ok(()) };
            if log.is_some() {
                stream.drop_log(&mut self.books, trash);
            } else {
                stream.drop_snapshot(&mut self.books);
            }
            self.remove_empty(&id);
        }
        Ok(())
    }

    fn remove_empty(&mut self, id: &RequestId) {
        if self.streams.get(id).is_some_and(Stream::is_empty)
            && let Some(stream) = self.streams.remove(id)
            && let Some(due) = stream.due
        {
            self.books.due.remove(&(due, *id));
        }
    }

    /// The log of this stream, if it lives.
    pub(super) fn log(&self, id: &RequestId, now: Instant) -> Option<&Log> {
        self.streams.get(id)?.log.as_ref().filter(|log| log.expires > now)
    }

    fn log_mut(&mut self, id: &RequestId, now: Instant) -> Option<&mut Log> {
        self.streams.get_mut(id)?.log.as_mut().filter(|log| log.expires > now)
    }

    pub(super) fn open(&self, id: &RequestId, after: u64, now: Instant) -> Option<Opened> {
        self.log(id, now)?.open(after)
    }

    pub(super) fn snapshot(&self, id: &RequestId, now: Instant) -> Option<Snapshot> {
        let kept = self.streams.get(id)?.snapshot.as_ref().filter(|kept| kept.expires > now)?;
        Some(kept.snapshot.clone())
    }

    /// Ends a log in its writer's place; says how it has ended. Room for an end there always is.
    pub(super) fn fence(
        &mut self,
        id: RequestId,
        by: NodeId,
        (status, at): (EndStatus, u64),
        ttl: Ttl,
        now: Instant,
        trash: &mut Trash,
    ) -> Option<EndStatus> {
        let log = self.log(&id, now)?;
        if let Some(end) = log.end() {
            return Some(end);
        }
        let (onto, chunk) = (Onto::Seq(log.last()), log.fence(by, status, at)?);
        let append = Append {
            id,
            onto,
            chunks: vec![chunk],
            trim_below: 0,
            let_go: Vec::new(),
            snapshot: None,
            ttl,
            replicas: 0,
        };
        self.streams.get_mut(&id)?.write(append, now, &mut self.books, trash);
        Some(status)
    }

    pub(super) fn count(&mut self, id: &RequestId, known: Counts, more: Counts, now: Instant) -> Counts {
        match self.log_mut(id, now) {
            Some(log) => {
                log.counts = log.counts.max(known) + more;
                log.counts
            }
            None => known + more,
        }
    }

    /// Leaves word that the stream is to be stopped.
    pub(super) fn cancel(&mut self, id: &RequestId, now: Instant) -> bool {
        let log = self.log_mut(id, now);
        log.map(|log| log.cancelled = true).is_some()
    }

    pub(super) fn touch(&mut self, id: &RequestId, ttl: Ttl, now: Instant, trash: &mut Trash) -> Touched {
        let Some(stream) = self.streams.get_mut(id) else { return Touched::Gone };
        stream.expire(now, &mut self.books, trash);
        let Some(log) = &mut stream.log else { return Touched::Gone };
        log.expires = later(now, ttl.log);
        let cancelled = log.cancelled;
        if let (None, Some(kept)) = (log.end(), &mut stream.snapshot) {
            kept.expires = log.expires;
        }
        stream.set_due(*id, &mut self.books);
        Touched::Lives { cancelled }
    }

    /// Registers a watcher. It has to look at once where the log has gone on behind `after` already.
    pub(super) fn watch(&mut self, id: RequestId, after: u64, news: mpsc::Sender<Pushed>, now: Instant) -> u64 {
        let number = self.books.number();
        let missed = self.log(&id, now).is_some_and(|log| log.last() > after || log.end().is_some());
        if missed {
            let _ = news.try_send(Pushed::Look);
        }
        self.streams.entry(id).or_default().watchers.push((number, news));
        number
    }

    pub(super) fn is_watched(&self, id: &RequestId) -> bool {
        self.streams.get(id).is_some_and(Stream::is_watched)
    }

    pub(super) fn unwatch(&mut self, id: RequestId, number: u64) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.watchers.retain(|(watcher, _)| *watcher != number);
            self.remove_empty(&id);
        }
    }

    /// When something expires next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.books.due.first().map(|(due, _)| *due)
    }

    /// Lets go of what has expired in some of the streams. What is still due then is left for the next call.
    pub(super) fn sweep(&mut self, now: Instant, trash: &mut Trash) {
        for _ in 0..SWEEP_STREAMS {
            if self.next_due().is_none_or(|due| due > now) {
                return;
            }
            let Some((_, id)) = self.books.due.pop_first() else { return };
            if let Some(stream) = self.streams.get_mut(&id) {
                stream.due = None;
                stream.expire(now, &mut self.books, trash);
                stream.set_due(id, &mut self.books);
                self.remove_empty(&id);
            }
        }
    }
}

/// What an append takes in memory.
fn room_of(append: &Append) -> usize {
    let log = if matches!(append.onto, Onto::Seq(_)) { 0 } else { log::LOG_ROOM };
    let chunks: usize = append.chunks.iter().map(log::room).sum();
    log + chunks + append.snapshot.as_ref().map_or(0, room_of_snapshot)
}

/// Whether an append brings a stream's end and nothing that takes room.
fn is_end_alone(append: &Append) -> bool {
    let is_bare = append.chunks.iter().all(|chunk| chunk.end.is_some() && chunk.events.is_empty());
    matches!(append.onto, Onto::Seq(_)) && is_bare && append.snapshot.is_none()
}
