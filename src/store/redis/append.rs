//! Writing a log.
//!
//! The common append, one chunk behind the last one acknowledged, is one `XADD`. Everything else is one script: a
//! beginning, a rewrite, the end, several chunks, a snapshot; and the next append after one that failed or after Redis
//! was away, since an `XADD` cannot see that the log ends before the seq that it is to go onto. A transaction would not
//! do, as its `SET` and `HSET` go through also where its `XADD` does not, and an append takes effect whole or not at all.

use super::{
    super::{Append, Appended, Chunk, Onto, StoreError, StreamHead, codec, pack::Packing},
    entry,
    fault::{fault, is_behind},
    keys::Keys,
    line::{Line, text},
    record,
};
use crate::{EndStatus, RequestId, clock::millis};
use bytes::Bytes;
use fred::types::Value;
use std::time::Duration;

const SCRIPT: &str = include_str!("append.lua");

/// Appends; gives back the encoded chunks too, for those that follow. `sure`: the log ends where the append goes on.
pub(super) async fn append(
    line: &Line,
    keys: &Keys,
    packing: &Packing,
    append: &Append,
    sure: bool,
) -> Result<(Appended, Vec<Bytes>), StoreError> {
    let encoded: Vec<Bytes> = append.chunks.iter().map(|chunk| codec::encode(chunk, packing)).collect();
    let appended = match (&append.onto, &*append.chunks, &*encoded) {
        (Onto::Seq(_), [chunk], [bytes]) if sure && chunk.end.is_none() && append.snapshot.is_none() => {
            add(line, keys, packing, append, chunk, bytes.clone()).await?
        }
        _ => run(line, keys, packing, append, &encoded).await?,
    };
    Ok((appended, encoded))
}

/// The hot path.
async fn add(
    line: &Line,
    keys: &Keys,
    packing: &Packing,
    append: &Append,
    chunk: &Chunk,
    bytes: Bytes,
) -> Result<Appended, StoreError> {
    let mut args = Vec::with_capacity(8);
    args.extend([keys.log(append.id), text("NOMKSTREAM")]);
    if let Some(id) = entry::trim_at(append.trim_below, chunk) {
        args.extend([text("MINID"), text("="), id]);
    }
    args.extend([entry::id_of(chunk), text(entry::FIELD), bytes.into()]);
    match line.call("XADD", args).await {
        Ok(Value::Null) => Ok(Appended::Diverged),
        Ok(_) => Ok(Appended::Stored { watched: false }),
        // Never taken for success: the log may hold an end, or another writer's entries.
        Err(error) if is_behind(&error) => Ok(judge(append, last(line, keys, packing, append.id).await?.as_ref())),
        Err(error) => Err(fault(&error)),
    }
}

/// Everything but the hot path.
async fn run(
    line: &Line,
    keys: &Keys,
    packing: &Packing,
    append: &Append,
    encoded: &[Bytes],
) -> Result<Appended, StoreError> {
    let id = append.id;
    let newest = append.chunks.last();
    let end = newest.and_then(|chunk| chunk.end);
    let (onto, expected, head) = match &append.onto {
        Onto::Nothing(head) => ("nothing", text(""), Some(head)),
        Onto::Seq(seq) => ("seq", entry::id_at(*seq), None),
        Onto::Anything(head) => ("anything", text(""), Some(head)),
    };
    let fields = fields(head, end, newest);
    let (keep, state_keep) = match end {
        Some(_) => (append.ttl.log, append.ttl.snapshot),
        None => (append.ttl.log, append.ttl.log),
    };
    let mut args = Vec::with_capacity(11 + fields.len() + 2 * encoded.len());
    args.extend([keys.log(id), keys.meta(id), keys.snap(id)]);
    args.extend([text(onto), expected, time(keep)]);
    args.push(newest.and_then(|chunk| entry::trim_at(append.trim_below, chunk)).unwrap_or_else(|| text("")));
    args.push(text(if end.is_some() { "1" } else { "0" }));
    args.push(append.snapshot.as_ref().map_or_else(|| text(""), |state| record::put_snapshot(state, packing).into()));
    args.push(time(state_keep));
    args.push(Value::from(fields.len().to_string()));
    args.extend(fields);
    for (chunk, bytes) in append.chunks.iter().zip(encoded) {
        args.extend([entry::id_of(chunk), bytes.clone().into()]);
    }
    match line.eval(SCRIPT, 3, args).await.map_err(|error| fault(&error))? {
        Value::Integer(_) => Ok(Appended::Stored { watched: false }),
        Value::Null => Ok(Appended::Diverged),
        found => Ok(judge(append, Some(&entry::chunk(found, packing)?.0))),
    }
}

/// What goes into `meta`. The status is there for people who look: the log decides.
fn fields(head: Option<&StreamHead>, end: Option<EndStatus>, newest: Option<&Chunk>) -> Vec<Value> {
    let mut fields = Vec::with_capacity(12);
    if let Some(head) = head {
        record::put_head(&mut fields, head);
    }
    fields.extend([text("status"), text(end.map_or("running", EndStatus::as_str))]);
    if let Some(chunk) = newest {
        fields.extend([text("updated"), Value::from(chunk.at.to_string())]);
    }
    fields
}

/// What has become of an append that met a log whose last entry is not the one that it goes onto.
fn judge(append: &Append, found: Option<&Chunk>) -> Appended {
    let Some(found) = found else { return Appended::Diverged };
    let same = append.chunks.last().is_some_and(|newest| {
        (newest.writer, newest.first, newest.last(), newest.end) == (found.writer, found.first, found.last(), found.end)
    });
    match found.end {
        _ if same => Appended::Stored { watched: false },
        Some(status) => Appended::Fenced(status),
        None => Appended::Diverged,
    }
}

/// The last chunk of a log. It is read over the connection for appends, behind whatever they have sent.
pub(super) async fn last(
    line: &Line,
    keys: &Keys,
    packing: &Packing,
    id: RequestId,
) -> Result<Option<Chunk>, StoreError> {
    let args = vec![keys.log(id), text("+"), text("-"), text("COUNT"), text("1")];
    entry::only(line.call("XREVRANGE", args).await.map_err(|error| fault(&error))?, packing)
}

/// A length of time in milliseconds, at least one: with 0, Redis takes a command for a mistake or a deletion.
pub(super) fn time(time: Duration) -> Value {
    Value::from(millis(time).clamp(1, i64::MAX as u64 / 4).to_string())
}
