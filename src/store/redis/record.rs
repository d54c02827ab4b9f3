//! What lies beside a log: the fields of its `meta`, and the bytes of a snapshot.

use super::{
    super::{
        Chunk, Snapshot, StoreError, StreamHead,
        pack::{self, Kind, Packer},
    },
    fault::corrupt,
};
use crate::{EndStatus, NodeId, Step};
use bytes::Bytes;
use fred::types::Value;
use std::sync::Arc;

/// The fields that a reader asks for, in the order in which [`head`] reads them.
pub(super) const HEAD: [&str; 4] = ["node", "started", "corr", "comments"];

const VERSION: u8 = 1;

/// The fields of `meta` that say what is known from the first moment on.
pub(super) fn put_head(out: &mut Vec<Value>, head: &StreamHead, packer: Packer<'_>) {
    let [node, started, correlation, comments] = HEAD.map(Value::from_static_str);
    out.extend([node, Value::from(head.node.to_string()), started, Value::from(head.started_at.to_string())]);
    out.extend([comments, Value::from_static_str(if head.comments { "1" } else { "0" })]);
    if let Some(id) = &head.correlation_id {
        out.extend([correlation, put_correlation_id(id, packer)]);
    }
}

/// Others chose it, so it is sealed where anything is.
fn put_correlation_id(id: &str, packer: Packer<'_>) -> Value {
    if !packer.seals() {
        return Value::from(id);
    }
    let mut out = pack::begin(id.len());
    out.extend_from_slice(id.as_bytes());
    packer.pack(Kind::CorrelationId, out).into()
}

fn correlation_id(field: Bytes, packer: Packer<'_>) -> Result<Arc<str>, StoreError> {
    let bad = || corrupt("a correlation id cannot be read");
    let text = if pack::is_packed(&field) || packer.requires_a_seal() {
        packer.unpack(Kind::CorrelationId, &field).map_err(|error| bad().with_source(error))?
    } else {
        field
    };
    Ok(std::str::from_utf8(&text).map_err(|_| bad())?.into())
}

/// The head that `meta` holds; where it is gone, what the log's first chunk says.
pub(super) fn head(fields: Value, first: &Chunk, packer: Packer<'_>) -> Result<StreamHead, StoreError> {
    let mut fields = fields.into_array().into_iter();
    let mut next = || fields.next().and_then(|field| field.as_string());
    let node = next().and_then(|node| NodeId::parse(&node)).unwrap_or(first.writer);
    let started_at = next().and_then(|time| time.parse().ok()).unwrap_or(first.at);
    let correlation = fields.next().and_then(Value::into_bytes);
    let correlation_id = correlation.map(|field| correlation_id(field, packer)).transpose()?;
    let comments = fields.next().and_then(|field| field.as_string()).is_some_and(|comments| comments == "1");
    Ok(StreamHead { node, started_at, correlation_id, comments })
}

/// A snapshot as bytes: packed, version, status, seq, the step with its length, the data.
pub(super) fn put_snapshot(snapshot: &Snapshot, packer: Packer<'_>) -> Bytes {
    let step = snapshot.step.as_str();
    let mut out = pack::begin(11 + step.len() + snapshot.data.len());
    out.extend_from_slice(&[VERSION, status_code(snapshot.status)]);
    out.extend_from_slice(&snapshot.seq.to_be_bytes());
    out.push(u8::try_from(step.len()).unwrap_or(0));
    out.extend_from_slice(step.as_bytes());
    out.extend_from_slice(&snapshot.data);
    packer.pack(Kind::Snapshot, out)
}

pub(super) fn snapshot(bytes: &Bytes, packer: Packer<'_>) -> Result<Snapshot, StoreError> {
    let bad = || corrupt("a snapshot cannot be read");
    let body = packer.unpack(Kind::Snapshot, bytes).map_err(|error| bad().with_source(error))?;
    parse_snapshot(&body).ok_or_else(bad)
}

fn parse_snapshot(bytes: &Bytes) -> Option<Snapshot> {
    let (&[VERSION, status], rest) = bytes.split_first_chunk::<2>()? else { return None };
    let (seq, rest) = rest.split_first_chunk::<8>()?;
    let (len, rest) = rest.split_first()?;
    let (step, data) = rest.split_at_checked(usize::from(*len))?;
    let status = match status {
        0 => None,
        1 => Some(EndStatus::Complete),
        2 => Some(EndStatus::Error),
        3 => Some(EndStatus::Interrupted),
        4 => Some(EndStatus::Cancelled),
        _ => return None,
    };
    let step = Step::new(std::str::from_utf8(step).ok()?);
    Some(Snapshot { seq: u64::from_be_bytes(*seq), status, step, data: bytes.slice_ref(data) })
}

const fn status_code(status: Option<EndStatus>) -> u8 {
    match status {
        None => 0,
        Some(EndStatus::Complete) => 1,
        Some(EndStatus::Error) => 2,
        Some(EndStatus::Interrupted) => 3,
        Some(EndStatus::Cancelled) => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::pack::Packing;

    #[test]
    fn a_snapshot_reads_back_and_one_cut_short_is_refused() {
        let packing = Packing::default();
        let packer = packing.of(crate::RequestId::random());
        let data = Bytes::from_static(b"{\"a\":1}\n\xff");
        for status in [None, Some(EndStatus::Complete), Some(EndStatus::Error), Some(EndStatus::Cancelled)] {
            let whole = Snapshot { seq: u64::MAX, status, step: Step::new("DRAFT"), data: data.clone() };
            let bytes = put_snapshot(&whole, packer);
            assert_eq!(snapshot(&bytes, packer).unwrap(), whole);
            for cut in 0..bytes.len() - data.len() {
                assert!(snapshot(&bytes.slice(..cut), packer).is_err(), "cut at {cut}");
            }
        }
        assert!(snapshot(&Bytes::from_static(b"\x01\x00\x02\x00........\x00"), packer).is_err(), "a version");
    }
}
