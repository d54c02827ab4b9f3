//! Reading a log.

use super::{
    super::{
        Chunk, Opened, Page, Snapshot, StoreError, StoreErrorKind, Tail,
        pack::{Packer, Packing},
        page::{PAGE_MAX_BYTES, PAGE_MAX_CHUNKS},
    },
    entry,
    fault::{corrupt, fault},
    keys::Keys,
    line::{Line, text},
    record,
};
use crate::RequestId;
use fred::{error::Error, types::Value};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

/// The most reads of pages at once: a herd comes after every deploy, and each brings up to a page's bytes.
const IN_FLIGHT: usize = 64;
/// The fewest chunks that are asked for, however large chunks are. Asked for, not kept: a page ends with its bytes.
const CHUNKS_MIN: usize = 4;

/// Reads logs over a connection of its own, so that pages hold up no append.
#[derive(Debug)]
pub(super) struct Reader {
    line: Line,
    keys: Keys,
    packing: Packing,
    in_flight: Semaphore,
    patience: Duration,
    /// The usual size of a chunk, by those seen lately: how many to ask for. Redis counts entries, not bytes.
    usual: AtomicUsize,
}

impl Reader {
    pub(super) fn new(line: Line, keys: Keys, packing: Packing, patience: Duration) -> Self {
        let usual = AtomicUsize::new(PAGE_MAX_BYTES / PAGE_MAX_CHUNKS * 2);
        Self { line, keys, packing, in_flight: Semaphore::new(IN_FLIGHT), patience, usual }
    }

    pub(super) async fn open(&self, id: RequestId, after: u64) -> Result<Option<Opened>, StoreError> {
        let _permit = self.permit().await?;
        let count = self.count();
        let replies = self.ask(id, after, count).await.map_err(|error| fault(&error))?;
        let Ok([meta, first, entries, last]) = <[Value; 4]>::try_from(replies) else {
            return Err(corrupt("an unexpected reply"));
        };
        let packer = self.packing.of(id);
        let (Some(first), Some(last)) = (entry::only(first, packer)?, entry::only(last, packer)?) else {
            return Ok(None);
        };
        let mut page = self.cut(entries, count, packer)?;
        if let Some(newest) = page.chunks.last() {
            page.more = (newest.last(), newest.end) != (last.last(), last.end);
        }
        let head = record::head(meta, &first, packer)?;
        Ok(Some(Opened { head, first: first.first, tail: Tail::of(&last), page }))
    }

    /// What [`Self::open`] needs, in one go. The tail comes last, so that it is never older than the page.
    async fn ask(&self, id: RequestId, after: u64, count: usize) -> Result<Vec<Value>, Error> {
        let log = self.keys.log(id);
        let one = [text("COUNT"), text("1")];
        let mut fields = vec![self.keys.meta(id)];
        fields.extend(record::HEAD.map(text));
        let mut first = vec![log.clone(), text("-"), text("+")];
        first.extend(one.clone());
        let page = range(log.clone(), after, count);
        let mut last = vec![log, text("+"), text("-")];
        last.extend(one);
        self.line.all(vec![("HMGET", fields), ("XRANGE", first), ("XRANGE", page), ("XREVRANGE", last)]).await
    }

    pub(super) async fn page(&self, id: RequestId, after: u64) -> Result<Option<Page>, StoreError> {
        let _permit = self.permit().await?;
        let count = self.count();
        let log = self.keys.log(id);
        let reply = self.line.call("XRANGE", range(log.clone(), after, count)).await.map_err(|error| fault(&error))?;
        let page = self.cut(reply, count, self.packing.of(id))?;
        if page.chunks.is_empty() {
            // Nothing new, or nothing at all.
            let there = self.line.call("EXISTS", vec![log]).await.map_err(|error| fault(&error))?;
            return Ok((there.as_u64() == Some(1)).then_some(page));
        }
        Ok(Some(page))
    }

    pub(super) async fn snapshot(&self, id: RequestId) -> Result<Option<Snapshot>, StoreError> {
        let found = self.line.call("GET", vec![self.keys.snap(id)]).await.map_err(|error| fault(&error))?;
        found.into_bytes().map(|bytes| record::snapshot(&bytes, self.packing.of(id))).transpose()
    }

    /// Reads entries into a page, which ends where its bytes do. `more` is right, or `true` where it is not known.
    fn cut(&self, entries: Value, asked: usize, packer: Packer<'_>) -> Result<Page, StoreError> {
        let Value::Array(entries) = entries else { return Err(corrupt("a log is not a stream")) };
        let found = entries.len();
        let mut chunks: Vec<Chunk> = Vec::with_capacity(found);
        let mut bytes = 0;
        for entry in entries {
            let (chunk, len) = entry::chunk(entry, packer)?;
            if !chunks.is_empty() && bytes + len > PAGE_MAX_BYTES {
                break;
            }
            bytes += len;
            chunks.push(chunk);
        }
        if let Some(mean) = bytes.checked_div(chunks.len()) {
            let usual = self.usual.load(Ordering::Relaxed);
            self.usual.store(usual - usual / 8 + mean / 8, Ordering::Relaxed);
        }
        let more = chunks.len() < found || (found >= asked && chunks.last().is_none_or(|last| last.end.is_none()));
        Ok(Page { chunks, more })
    }

    /// How many chunks are asked for, so that a page is about full.
    fn count(&self) -> usize {
        (PAGE_MAX_BYTES / self.usual.load(Ordering::Relaxed).max(1)).clamp(CHUNKS_MIN, PAGE_MAX_CHUNKS)
    }

    async fn permit(&self) -> Result<SemaphorePermit<'_>, StoreError> {
        let busy = || StoreError::new(StoreErrorKind::Unavailable, "too many reads of redis at once");
        timeout(self.patience, self.in_flight.acquire()).await.map_err(|_| busy())?.map_err(|_| busy())
    }
}

fn range(log: Value, after: u64, count: usize) -> Vec<Value> {
    vec![log, entry::behind(after), text("+"), text("COUNT"), Value::from(count.to_string())]
}
