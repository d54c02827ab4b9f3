//! Writing a log.
//!
//! The common append, one chunk behind the last one acknowledged, is one `XADD`. Everything else is one script: a
//! beginning, a rewrite, the end, several chunks, a snapshot, letting go in the midst; and the next append after one that failed, or over another
//! connection than the last one, since an `XADD` cannot see that the log ends before the seq that it is to go onto. A
//! transaction would not do, as its `SET` and `HSET` go through also where its `XADD` does not, and an append takes
//! effect whole or not at all.

use super::{
    super::{
        Append, Appended, Chunk, Onto, StoreError, StreamHead, codec,
        pack::{Packer, Packing},
    },
    entry,
    fault::{fault, is_behind, redirect},
    keys::Keys,
    line::{At, Line, text},
    record,
    replicas::{Demand, too_few},
};
use crate::{EndStatus, RequestId, clock::millis};
use bytes::Bytes;
use fred::types::Value;
use futures_util::future;
use std::time::Duration;

const SCRIPT: &str = include_str!("append.lua");

/// What an append came to.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) appended: Appended,
    /// The chunks as they went out, for those that follow.
    pub(super) encoded: Vec<Bytes>,
    /// The connection that has answered; 0 for none in particular.
    pub(super) conn: u64,
}

/// Appends. `sure`: the connection by which the log surely ends where the append goes on.
pub(super) async fn append(
    line: &Line,
    keys: &Keys,
    packing: &Packing,
    append: &Append,
    sure: Option<At>,
    demand: Option<Demand>,
) -> Result<Outcome, StoreError> {
    let encoded: Vec<Bytes> = append.chunks.iter().map(|chunk| codec::encode(chunk, packing.of(append.id))).collect();
    let added = match (sure, &*append.chunks, &*encoded) {
        (Some(at), [chunk], [bytes])
            if chunk.end.is_none() && append.snapshot.is_none() && append.let_go.is_empty() =>
        {
            add(&at, line, keys, packing, append, (chunk, bytes), demand).await?
        }
        _ => None,
    };
    let (appended, conn) = match added {
        Some(added) => added,
        None => {
            let (appended, conn) = run(line, keys, packing, append, &encoded).await?;
            if let (Some(demand), Appended::Stored { .. }) = (demand, appended) {
                confirm(line, keys, append, conn, demand).await?;
            }
            (appended, conn)
        }
    };
    Ok(Outcome { appended, encoded, conn })
}

/// The hot path. `None`: the log is with another node by now, and nothing was written.
async fn add(
    at: &At,
    line: &Line,
    keys: &Keys,
    packing: &Packing,
    append: &Append,
    (chunk, bytes): (&Chunk, &Bytes),
    demand: Option<Demand>,
) -> Result<Option<(Appended, u64)>, StoreError> {
    let mut args = Vec::with_capacity(8);
    args.extend([keys.log(append.id), text("NOMKSTREAM")]);
    if let Some(id) = entry::trim_at(append.trim_below, chunk) {
        args.extend([text("MINID"), text("="), id]);
    }
    args.extend([entry::id_of(chunk), text(entry::FIELD), bytes.clone().into()]);
    let (reply, held) = match demand {
        None => (at.call("XADD", args).await, Ok(true)),
        Some(demand) => future::join(at.call("XADD", args), at.is_held(demand)).await,
    };
    match reply {
        Ok(Value::Null) => Ok(Some((Appended::Diverged, 0))),
        Ok(_) if held.map_err(|error| fault(&error))? => {
            Ok(Some((Appended::Stored { watched: false }, at.conn.number)))
        }
        Ok(_) => Err(too_few()),
        // Never taken for success: the log may hold an end, or another writer's entries.
        Err(error) if is_behind(&error) => {
            let found = last(line, keys, packing, append.id).await?;
            match judge(append, found.as_ref()) {
                Appended::Stored { .. } if demand.is_some() => Err(too_few()),
                appended => Ok(Some((appended, 0))),
            }
        }
        // Not followed as it is: there the log may end earlier.
        Err(error) if redirect(&error).is_some() => Ok(None),
        Err(error) => Err(fault(&error)),
    }
}

/// Sees to it that the replicas hold what `conn` has answered for, be it written just now or before. A write goes in
/// front, since it is by what this connection has written that the replicas are asked.
async fn confirm(line: &Line, keys: &Keys, append: &Append, conn: u64, demand: Demand) -> Result<(), StoreError> {
    let log = keys.log(append.id);
    let at = line.at(&log).map_err(|error| fault(&error))?;
    if at.conn.number != conn {
        return Err(too_few());
    }
    let renewed = at.call("PEXPIRE", vec![log, time(append.ttl.log)]);
    let (renewed, held) = future::join(renewed, at.is_held(demand)).await;
    let there = renewed.map_err(|error| fault(&error))? == Value::Integer(1);
    if there && held.map_err(|error| fault(&error))? { Ok(()) } else { Err(too_few()) }
}

/// Everything but the hot path.
async fn run(
    line: &Line,
    keys: &Keys,
    packing: &Packing,
    append: &Append,
    encoded: &[Bytes],
) -> Result<(Appended, u64), StoreError> {
    let id = append.id;
    let newest = append.chunks.last();
    let end = newest.and_then(|chunk| chunk.end);
    let (onto, expected, head) = match &append.onto {
        Onto::Nothing(head) => ("nothing", text(""), Some(head)),
        Onto::Seq(seq) => ("seq", entry::id_at(*seq), None),
        Onto::Anything(head) => ("anything", text(""), Some(head)),
    };
    let fields = fields(head, end, newest, packing.of(id));
    let (keep, state_keep) = match end {
        Some(_) => (append.ttl.log, append.ttl.snapshot),
        None => (append.ttl.log, append.ttl.log),
    };
    let mut args = Vec::with_capacity(11 + fields.len() + 2 * encoded.len());
    args.extend([keys.log(id), keys.meta(id)]);
    // While a slot moves to another node, a script runs only where all its keys are: so none is named in vain.
    let keys_named = if end.is_some() || append.snapshot.is_some() {
        args.push(keys.snap(id));
        3
    } else {
        2
    };
    args.extend([text(onto), expected, time(keep)]);
    args.push(newest.and_then(|chunk| entry::trim_at(append.trim_below, chunk)).unwrap_or_else(|| text("")));
    args.push(text(if end.is_some() { "1" } else { "0" }));
    args.push(
        append.snapshot.as_ref().map_or_else(|| text(""), |state| record::put_snapshot(state, packing.of(id)).into()),
    );
    args.push(time(state_keep));
    let lasts = append.let_go.iter().filter(|last| newest.is_some_and(|newest| **last < newest.last()));
    let gone: Vec<Value> = lasts.map(|last| entry::id_at(*last)).collect();
    args.push(Value::from(gone.len().to_string()));
    args.push(Value::from(fields.len().to_string()));
    args.extend(gone);
    args.extend(fields);
    for (chunk, bytes) in append.chunks.iter().zip(encoded) {
        args.extend([entry::id_of(chunk), bytes.clone().into()]);
    }
    let (reply, conn) = line.eval_at(SCRIPT, keys_named, args).await.map_err(|error| fault(&error))?;
    let appended = match reply {
        Value::Integer(_) => Appended::Stored { watched: false },
        Value::Null => Appended::Diverged,
        found => judge(append, Some(&entry::chunk(found, packing.of(id))?.0)),
    };
    Ok((appended, conn))
}

/// What goes into `meta`. The status is there for people who look: the log decides.
fn fields(head: Option<&StreamHead>, end: Option<EndStatus>, newest: Option<&Chunk>, packer: Packer<'_>) -> Vec<Value> {
    let mut fields = Vec::with_capacity(12);
    if let Some(head) = head {
        record::put_head(&mut fields, head, packer);
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
    entry::only(line.call("XREVRANGE", args).await.map_err(|error| fault(&error))?, packing.of(id))
}

/// A length of time in milliseconds, at least one: with 0, Redis takes a command for a mistake or a deletion.
pub(super) fn time(time: Duration) -> Value {
    Value::from(millis(time).clamp(1, i64::MAX as u64 / 4).to_string())
}
