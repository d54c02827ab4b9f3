//! What nodes do to streams and names that are not their own to write: each is one script.

use super::{
    super::{Chunk, Counts, Expect, Name, StoreError, StoreErrorKind, Ttl, codec, pack::Packing},
    append::{self, time},
    entry,
    fault::{corrupt, fault},
    keys::Keys,
    line::{Line, text},
};
use crate::{EndStatus, NodeId, RequestId};
use bytes::Bytes;
use fred::types::Value;
use std::time::Duration;

const FENCE: &str = include_str!("fence.lua");
const EXCHANGE: &str = include_str!("exchange.lua");
const CANCEL: &str = include_str!("cancel.lua");
const COUNT: &str = include_str!("count.lua");

/// How often a log that goes on while it is being ended is looked at again.
const FENCE_TRIES: usize = 8;

/// Ends a log behind whatever is its last entry.
pub(super) async fn fence(
    line: &Line,
    keys: &Keys,
    packing: &Packing,
    by: NodeId,
    id: RequestId,
    (status, at): (EndStatus, u64),
    ttl: Ttl,
) -> Result<Option<EndStatus>, StoreError> {
    for _ in 0..FENCE_TRIES {
        let Some(newest) = append::last(line, keys, packing, id).await? else { return Ok(None) };
        if newest.end.is_some() {
            return Ok(newest.end);
        }
        let (first, step_before, totals) = (newest.last() + 1, newest.step_after(), newest.totals);
        let end = Chunk { first, writer: by, at, step_before, totals, events: Vec::new().into(), end: Some(status) };
        let mut args = vec![keys.log(id), keys.meta(id), keys.snap(id)];
        args.extend([
            entry::id_of(&newest),
            codec::encode(&end, packing.of(id)).into(),
            time(ttl.log),
            time(ttl.snapshot),
        ]);
        args.extend([text(status.as_str()), Value::from(at.to_string())]);
        match line.eval(FENCE, 3, args).await.map_err(|error| fault(&error))? {
            Value::Integer(_) => return Ok(Some(status)),
            Value::Null => return Ok(None),
            // Another entry, or another end, came in between.
            _ => {}
        }
    }
    Err(StoreError::new(StoreErrorKind::Unavailable, "the log goes on while it is being ended"))
}

/// Leaves word for a log's writer; whether there is a log.
pub(super) async fn cancel(line: &Line, keys: &Keys, id: RequestId) -> Result<bool, StoreError> {
    let there = line.eval(CANCEL, 2, vec![keys.log(id), keys.meta(id)]).await.map_err(|error| fault(&error))?;
    Ok(there == Value::Integer(1))
}

pub(super) async fn lookup(line: &Line, keys: &Keys, name: Name) -> Result<Option<Bytes>, StoreError> {
    let found = line.call("GET", vec![keys.name(name)]).await.map_err(|error| fault(&error))?;
    Ok(found.into_bytes())
}

pub(super) async fn exchange(
    line: &Line,
    keys: &Keys,
    name: Name,
    expect: Expect,
    value: Option<Bytes>,
    ttl: Duration,
) -> Result<Option<Bytes>, StoreError> {
    let (mode, expected) = match expect {
        Expect::Nothing => ("nothing", Bytes::new()),
        Expect::Value(value) => ("value", value),
    };
    let is_value = text(if value.is_some() { "1" } else { "0" });
    let value = value.unwrap_or_default();
    let args = vec![keys.name(name), text(mode), expected.into(), is_value, value.into(), time(ttl)];
    let found = line.eval(EXCHANGE, 1, args).await.map_err(|error| fault(&error))?;
    Ok(found.into_bytes())
}

pub(super) async fn count(
    line: &Line,
    keys: &Keys,
    id: RequestId,
    known: Counts,
    more: Counts,
) -> Result<Counts, StoreError> {
    let mut args = vec![keys.log(id), keys.meta(id)];
    args.extend([known.resumes, known.recovered, more.resumes, more.recovered].map(|n| Value::from(n.to_string())));
    match line.eval(COUNT, 2, args).await.map_err(|error| fault(&error))? {
        Value::Null => Ok(known + more),
        Value::Array(counts) => match &*counts {
            [resumes, recovered] => {
                let number = |value: &Value| value.as_u64().ok_or_else(|| corrupt("a count is not a number"));
                Ok(Counts { resumes: number(resumes)?, recovered: number(recovered)? })
            }
            _ => Err(corrupt("an unexpected reply")),
        },
        _ => Err(corrupt("an unexpected reply")),
    }
}
