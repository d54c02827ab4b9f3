//! A stream's only writer, with what it knows of its own log.

use super::promise;
use crate::store::{
    Append, Appended, CHUNK_MAX_EVENTS, Chunk, Onto, Opened, Page, Snapshot, Store, StreamHead, Tail, Totals, Touched,
    Ttl,
};
use crate::{EndStatus, Eol, Event, NodeId, RequestId, Step};
use std::{sync::Arc, time::Duration};

/// Long enough for every check that is not about time.
pub(super) const LONG: Ttl = Ttl { log: Duration::from_secs(120), snapshot: Duration::from_secs(120) };

/// The most pages that one log of these checks can have. More of them is a store that goes round in circles.
const PAGES: usize = 10_000;

pub(super) struct Scribe<'s, S> {
    pub(super) store: &'s S,
    pub(super) id: RequestId,
    pub(super) writer: NodeId,
    /// All that was written, but for what was trimmed.
    pub(super) log: Vec<Chunk>,
    pub(super) ttl: Ttl,
}

impl<'s, S: Store> Scribe<'s, S> {
    pub(super) fn new(store: &'s S) -> Self {
        Self { store, id: RequestId::random(), writer: store.node(), log: Vec::new(), ttl: LONG }
    }

    /// A scribe whose log has begun.
    pub(super) async fn begun(store: &'s S) -> Self {
        let mut scribe = Self::new(store);
        scribe.begin().await;
        scribe
    }

    pub(super) fn head(&self) -> StreamHead {
        StreamHead {
            node: self.writer,
            started_at: 1_790_000_000_123,
            correlation_id: Some(Arc::from("req-7f3a")),
            comments: true,
        }
    }

    pub(super) fn last(&self) -> u64 {
        self.log.last().map_or(0, Chunk::last)
    }

    /// The same chunk behind a hole of so many events that were never written.
    pub(super) fn behind_a_hole(&self, chunk: Chunk, missing: u64) -> Chunk {
        Chunk { first: chunk.first + missing, ..chunk }
    }

    /// The next chunk: these events, and an end or none.
    pub(super) fn next(&self, events: Vec<Event>, end: Option<EndStatus>) -> Chunk {
        let before = self.log.last();
        let mut totals = before.map_or_else(Totals::default, |chunk| chunk.totals);
        totals.bytes += events.iter().map(|event| event.size() as u64).sum::<u64>();
        Chunk {
            first: self.last() + 1,
            writer: self.writer,
            at: 1_790_000_000_500 + self.last(),
            step_before: before.map_or(Step::NONE, Chunk::step_after),
            totals,
            events: events.into(),
            end,
        }
    }

    pub(super) fn append(&self, onto: Onto, chunks: Vec<Chunk>) -> Append {
        Append {
            id: self.id,
            onto,
            chunks,
            trim_below: 0,
            let_go: Vec::new(),
            snapshot: None,
            ttl: self.ttl,
            replicas: 0,
        }
    }

    /// The append that begins the log.
    pub(super) fn opening(&self) -> Append {
        let chunk = Chunk { first: 1, at: 1_790_000_000_123, ..Self::new(self.store).next(Vec::new(), None) };
        self.append(Onto::Nothing(self.head()), vec![Chunk { writer: self.writer, ..chunk }])
    }

    /// The append that writes the log again, whole.
    pub(super) fn rewriting(&self) -> Append {
        self.append(Onto::Anything(self.head()), self.log.clone())
    }

    /// An append of these events, behind the last one.
    pub(super) fn going_on(&self, events: Vec<Event>) -> Append {
        self.append(Onto::Seq(self.last()), vec![self.next(events, None)])
    }

    /// An append of the end.
    pub(super) fn ending(&self, status: EndStatus) -> Append {
        self.append(Onto::Seq(self.last()), vec![self.next(Vec::new(), Some(status))])
    }

    pub(super) async fn send(&self, append: &Append) -> Appended {
        self.store.append(append.clone()).await.expect("the store takes the append")
    }

    /// Sends an append that has to go in, and takes note of it.
    pub(super) async fn write(&mut self, append: &Append) {
        let appended = self.send(append).await;
        let is_stored = matches!(appended, Appended::Stored { .. });
        assert!(is_stored, "broken promise: an append onto what the log is goes in\n   found: {appended:?}");
        self.note(append);
    }

    pub(super) fn note(&mut self, append: &Append) {
        if !matches!(append.onto, Onto::Seq(_)) {
            self.log.clear();
        }
        self.log.extend(append.chunks.iter().cloned());
        let newest = self.log.last().map_or(0, Chunk::last);
        let is_gone = |chunk: &Chunk| {
            chunk.last() < append.trim_below || (append.let_go.contains(&chunk.last()) && chunk.last() < newest)
        };
        self.log.retain(|chunk| !is_gone(chunk) || chunk.end.is_some());
    }

    pub(super) async fn begin(&mut self) {
        let opening = self.opening();
        self.write(&opening).await;
    }

    pub(super) async fn write_events(&mut self, count: usize) {
        let append = self.going_on(events(count));
        self.write(&append).await;
    }

    pub(super) async fn open(&self, after: u64) -> Option<Opened> {
        self.store.open(self.id, after).await.expect("the store opens a log")
    }

    pub(super) async fn page(&self, after: u64) -> Option<Page> {
        self.store.page(self.id, after).await.expect("the store reads a page")
    }

    pub(super) async fn tail(&self) -> Option<Tail> {
        self.store.tail(self.id).await.expect("the store reads the tail")
    }

    pub(super) async fn snapshot(&self) -> Option<Snapshot> {
        self.store.snapshot(self.id).await.expect("the store reads the snapshot")
    }

    /// Whether the log lives.
    pub(super) async fn touch(&self, ttl: Ttl) -> bool {
        self.store.touch(self.id, ttl).await.expect("the store renews") != Touched::Gone
    }

    /// Everything behind the cursor, read as a reader does: a first page, then the next ones.
    pub(super) async fn read_all(&self, after: u64) -> Vec<Chunk> {
        let mut page = self.open(after).await.expect("broken promise 1: a log that was stored is found").page;
        let mut all = Vec::new();
        for _ in 0..PAGES {
            let Some(last) = page.chunks.last() else {
                assert!(!page.more, "broken promise: a page with more behind it holds something");
                return all;
            };
            let (cursor, more) = (last.last(), page.more);
            all.append(&mut page.chunks);
            if !more {
                return all;
            }
            page = self.page(cursor).await.expect("broken promise 1: a log that was stored is found");
        }
        panic!("broken promise: paging comes to an end");
    }

    /// Holds the store against what was written.
    pub(super) async fn check(&self, context: &str) {
        let newest = self.log.last().expect("the log has begun");
        let tail = Some(Tail::of(newest));
        promise(self.tail().await, tail.clone(), &format!("1. tail sees what was stored ({context})"));
        let first =
            self.log.iter().find(|chunk| !chunk.events.is_empty()).map_or(newest.last() + 1, |chunk| chunk.first);
        for after in [0, self.last() / 2, self.last().saturating_sub(1), self.last()] {
            let opened = self.open(after).await.expect("broken promise 1: a log that was stored is found");
            promise(opened.head, self.head(), &format!("3. a head comes back as it went in ({context})"));
            promise(Some(opened.tail), tail.clone(), &format!("1. open sees what was stored ({context})"));
            promise(opened.first, first, &format!("first is the first event kept ({context})"));
            let what =
                format!("3 and 4. the chunks behind {after} come back, in order and as they went in ({context})");
            promise(self.read_all(after).await, self.behind(after), &what);
        }
    }

    /// What a reader of the log gets behind this cursor: chunks with events behind it, and the end.
    fn behind(&self, after: u64) -> Vec<Chunk> {
        self.log.iter().filter(|chunk| chunk.last() > after || chunk.end.is_some()).cloned().collect()
    }
}

/// So many ordinary events.
pub(super) fn events(count: usize) -> Vec<Event> {
    assert!(count <= CHUNK_MAX_EVENTS);
    (0..count).map(|at| event(format!("event: token\ndata: {{\"text\":\"{at}\"}}\n").as_bytes())).collect()
}

pub(super) fn event(lines: &[u8]) -> Event {
    Event { lines: lines.to_vec().into(), eol: Eol::Lf, ..Event::default() }
}

pub(super) fn snapshot(seq: u64, status: Option<EndStatus>) -> Snapshot {
    Snapshot { seq, status, step: Step::new("REVIEW"), data: format!("{{\"seq\":{seq},\n\"é\":\"\\u0000\"}}").into() }
}
