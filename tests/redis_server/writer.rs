//! Writes a stream into a Redis store, as the layer does.

use bytes::Bytes;
use std::time::Duration;
use tower_resume::{
    EndStatus, Event, RequestId, Step,
    store::{Append, Appended, Chunk, Onto, RedisStore, Snapshot, Store, StoreError, StreamHead, Totals, Ttl},
};

pub(crate) const TTL: Ttl = Ttl { log: Duration::from_secs(900), snapshot: Duration::from_secs(60) };
pub(crate) const STORED: Appended = Appended::Stored { watched: false };

/// A stream's writer.
pub(crate) struct Writer<'a> {
    pub(crate) store: &'a RedisStore,
    pub(crate) id: RequestId,
    pub(crate) log: Vec<Chunk>,
    /// What each event says.
    pub(crate) lines: Bytes,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(store: &'a RedisStore) -> Self {
        let id = RequestId::from_bytes(fastrand::u128(..).to_be_bytes());
        Self { store, id, log: Vec::new(), lines: Bytes::from_static(b"data: x\n") }
    }

    pub(crate) async fn begun(store: &'a RedisStore) -> Self {
        let mut writer = Self::new(store);
        writer.begin().await.unwrap();
        writer
    }

    pub(crate) async fn begin(&mut self) -> Result<(), StoreError> {
        let begin = self.chunk(0, None);
        assert_eq!(self.send(Onto::Nothing(self.head()), vec![begin.clone()]).await?, STORED);
        self.log.push(begin);
        Ok(())
    }

    /// What an append comes to behind its end.
    pub(crate) fn fenced(&self) -> Appended {
        Appended::Fenced(self.log.last().and_then(|chunk| chunk.end).expect("an end"))
    }

    pub(crate) fn head(&self) -> StreamHead {
        StreamHead { node: self.store.node(), started_at: 7, correlation_id: Some("corr".into()), comments: true }
    }

    pub(crate) fn last(&self) -> u64 {
        self.log.last().map_or(0, Chunk::last)
    }

    pub(crate) fn chunk(&self, events: usize, end: Option<EndStatus>) -> Chunk {
        let event = Event { lines: self.lines.clone(), ..Event::default() };
        Chunk {
            first: self.last() + 1,
            writer: self.store.node(),
            at: 1_000,
            step_before: Step::NONE,
            totals: Totals::default(),
            events: vec![event; events].into(),
            end,
        }
    }

    pub(crate) fn append(&self, onto: Onto, chunks: Vec<Chunk>) -> Append {
        Append { id: self.id, onto, chunks, trim_below: 1, let_go: Vec::new(), snapshot: None, ttl: TTL, replicas: 0 }
    }

    pub(crate) async fn send(&self, onto: Onto, chunks: Vec<Chunk>) -> Result<Appended, StoreError> {
        self.store.append(self.append(onto, chunks)).await
    }

    /// Appends so many events behind the last.
    pub(crate) async fn write(&mut self, events: usize) -> Result<Appended, StoreError> {
        let chunk = self.chunk(events, None);
        let appended = self.send(Onto::Seq(self.last()), vec![chunk.clone()]).await?;
        if matches!(appended, Appended::Stored { .. }) {
            self.log.push(chunk);
        }
        Ok(appended)
    }

    /// Writes all of it again.
    pub(crate) async fn rewrite(&self) -> Result<Appended, StoreError> {
        self.send(Onto::Anything(self.head()), self.log.clone()).await
    }

    pub(crate) async fn end(&mut self) -> Appended {
        let chunk = self.chunk(0, Some(EndStatus::Complete));
        let data = Bytes::from_static(b"{}");
        let snapshot = Snapshot { seq: self.last(), status: chunk.end, step: Step::NONE, data };
        let append = Append { snapshot: Some(snapshot), ..self.append(Onto::Seq(self.last()), vec![chunk.clone()]) };
        self.log.push(chunk);
        self.store.append(append).await.unwrap()
    }

    pub(crate) async fn read(&self, store: &RedisStore) -> Vec<Chunk> {
        let page = store.page(self.id, 0).await.unwrap().expect("a log");
        page.chunks
    }
}
