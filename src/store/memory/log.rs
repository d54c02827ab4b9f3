//! One stream's log: its chunks, and what may be done to them.

use crate::store::page::{PAGE_MAX_BYTES, PAGE_MAX_CHUNKS};
use crate::store::{Append, Appended, Chunk, Counts, Onto, Opened, Page, StreamHead, Tail};
use crate::{EndStatus, Event, NodeId};
use std::collections::VecDeque;
use tokio::time::Instant;

/// What is let go of, to be dropped once the lock is free: giving memory back takes its time.
pub(super) type Trash = Vec<Chunk>;

/// What a log takes beside its chunks, roughly: its entry in the map, its head, its place in the order of ends.
pub(super) const LOG_ROOM: usize = 512;
/// What a chunk takes beside its events: itself, and the counts in front of what it shares.
const CHUNK_ROOM: usize = size_of::<Kept>() + 2 * size_of::<usize>();

/// A chunk, and the bytes of its events.
#[derive(Debug)]
struct Kept {
    chunk: Chunk,
    bytes: usize,
}

impl Kept {
    fn new(chunk: Chunk) -> Self {
        Self { bytes: chunk.events.iter().map(Event::size).sum(), chunk }
    }

    fn room(&self) -> usize {
        room_of(self.bytes, &self.chunk)
    }
}

fn room_of(bytes: usize, chunk: &Chunk) -> usize {
    bytes + chunk.events.len() * size_of::<Event>() + CHUNK_ROOM
}

/// What a chunk takes in memory.
pub(super) fn room(chunk: &Chunk) -> usize {
    room_of(chunk.events.iter().map(Event::size).sum(), chunk)
}

/// What becomes of an append that meets a log, or none.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It goes in.
    Write,
    /// It is in already.
    Again,
    /// It does not fit.
    No(Appended),
}

#[derive(Debug)]
pub(super) struct Log {
    head: StreamHead,
    kept: VecDeque<Kept>,
    /// What it all takes in memory.
    room: usize,
    pub(super) counts: Counts,
    /// Word was left to stop the stream.
    pub(super) cancelled: bool,
    pub(super) expires: Instant,
}

impl Log {
    pub(super) const fn new(head: StreamHead, expires: Instant) -> Self {
        let counts = Counts { resumes: 0, recovered: 0 };
        Self { head, kept: VecDeque::new(), room: LOG_ROOM, counts, cancelled: false, expires }
    }

    pub(super) const fn room(&self) -> usize {
        self.room
    }

    fn newest(&self) -> Option<&Chunk> {
        self.kept.back().map(|kept| &kept.chunk)
    }

    pub(super) fn end(&self) -> Option<EndStatus> {
        self.newest()?.end
    }

    /// The seq of the last event.
    pub(super) fn last(&self) -> u64 {
        self.newest().map_or(0, Chunk::last)
    }

    pub(super) fn tail(&self) -> Option<Tail> {
        self.newest().map(Tail::of)
    }

    /// The chunk with which somebody else than the writer ends this log.
    pub(super) fn fence(&self, writer: NodeId, status: EndStatus, at: u64) -> Option<Chunk> {
        let newest = self.newest()?;
        let (first, step_before, totals) = (newest.last() + 1, newest.step_after(), newest.totals);
        Some(Chunk { first, writer, at, step_before, totals, events: Vec::new().into(), end: Some(status) })
    }

    pub(super) fn push(&mut self, chunk: Chunk) {
        let kept = Kept::new(chunk);
        self.room += kept.room();
        self.kept.push_back(kept);
    }

    /// What [`trim`](Self::trim) and [`let_go`](Self::let_go) would give back.
    pub(super) fn trimmable(&self, below: u64, let_go: &[u64]) -> usize {
        let in_front: usize = self.kept.iter().take_while(|kept| kept.chunk.last() < below).map(Kept::room).sum();
        let goes = |last: &&u64| **last >= below && **last < self.last();
        let behind = let_go.iter().filter(goes).filter_map(|last| self.kept.get(self.place(*last)?));
        in_front + behind.map(Kept::room).sum::<usize>()
    }

    /// Where the chunk of events is that ends with this seq.
    fn place(&self, last: u64) -> Option<usize> {
        let at = self.kept.partition_point(|kept| kept.chunk.last() < last);
        let is_it = |kept: &Kept| kept.chunk.last() == last && !kept.chunk.events.is_empty();
        self.kept.iter().skip(at).take_while(|kept| kept.chunk.last() == last).position(is_it).map(|more| at + more)
    }

    /// Lets go of the chunks that end with these seqs, but never of the newest event.
    pub(super) fn let_go(&mut self, lasts: &[u64], trash: &mut Trash) {
        for last in lasts {
            let Some(at) = self.place(*last).filter(|_| *last < self.last()) else { continue };
            let Some(kept) = self.kept.remove(at) else { continue };
            self.room -= kept.room();
            trash.push(kept.chunk);
        }
    }

    /// Lets go of the chunks that lie below, but never of the newest one: by it the writer knows its log,
    /// and it holds the end where there is one.
    pub(super) fn trim(&mut self, below: u64, trash: &mut Trash) {
        while self.kept.len() > 1 && self.kept.front().is_some_and(|kept| kept.chunk.last() < below) {
            let Some(kept) = self.kept.pop_front() else { return };
            self.room -= kept.room();
            trash.push(kept.chunk);
        }
    }

    pub(super) fn discard(self, trash: &mut Trash) {
        trash.extend(self.kept.into_iter().map(|kept| kept.chunk));
    }

    pub(super) fn open(&self, after: u64) -> Option<Opened> {
        let first = self.kept.front()?.chunk.first;
        Some(Opened { head: self.head.clone(), first, tail: self.tail()?, page: self.page(after) })
    }

    pub(super) fn page(&self, after: u64) -> Page {
        let mut start = self.kept.partition_point(|kept| kept.chunk.last() <= after);
        // Who has every event still has to see the end.
        if start == self.kept.len() && self.end().is_some() {
            start -= 1;
        }
        let mut bytes = 0;
        let mut chunks = Vec::with_capacity(PAGE_MAX_CHUNKS.min(self.kept.len() - start));
        for kept in self.kept.iter().skip(start).take(PAGE_MAX_CHUNKS) {
            bytes += kept.bytes;
            if bytes > PAGE_MAX_BYTES && !chunks.is_empty() {
                break;
            }
            chunks.push(kept.chunk.clone());
        }
        let more = start + chunks.len() < self.kept.len();
        Page { chunks, more }
    }
}

/// What becomes of an append that meets this log.
///
/// An end is final: a log that has one gives way to nothing but a rewrite that brings the very same end, which
/// only its own writer has. So a writer can heal what it ended itself, and a fence that another node put there stands.
pub(super) fn meet(log: Option<&Log>, append: &Append) -> Verdict {
    let Some(newest) = log.and_then(Log::newest) else {
        return match append.onto {
            Onto::Seq(_) => Verdict::No(Appended::Diverged),
            Onto::Nothing(_) | Onto::Anything(_) => Verdict::Write,
        };
    };
    let again = append.chunks.last().is_some_and(|last| is_same(newest, last));
    match (&append.onto, newest.end) {
        (Onto::Anything(_), None) => Verdict::Write,
        (Onto::Anything(_), Some(_)) if again => Verdict::Write,
        _ if again => Verdict::Again,
        (_, Some(status)) => Verdict::No(Appended::Fenced(status)),
        (Onto::Seq(seq), None) if newest.last() == *seq => Verdict::Write,
        (Onto::Seq(_) | Onto::Nothing(_), None) => Verdict::No(Appended::Diverged),
    }
}

/// Whether these are one chunk. A chunk keeps its bounds for good, so that its writer, its bounds and its end tell.
fn is_same(one: &Chunk, other: &Chunk) -> bool {
    one.writer == other.writer
        && one.first == other.first
        && one.events.len() == other.events.len()
        && one.end == other.end
}

/// Whether the chunks follow each other and what they are for, with nothing behind an end.
pub(super) fn joins(append: &Append) -> bool {
    let mut next = match append.onto {
        Onto::Seq(seq) => seq.checked_add(1),
        Onto::Nothing(_) | Onto::Anything(_) if append.chunks.is_empty() => return false,
        Onto::Nothing(_) | Onto::Anything(_) => append.chunks.first().map(|chunk| chunk.first),
    };
    let mut ended = false;
    for chunk in &append.chunks {
        if ended || chunk.first == 0 || next.is_none_or(|next| chunk.first < next) {
            return false;
        }
        next = chunk.first.checked_add(chunk.events.len() as u64);
        ended = chunk.end.is_some();
    }
    next.is_some()
}
