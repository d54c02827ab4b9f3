//! An entry of a log: its id, and the chunk in it.

use super::{
    super::{Chunk, StoreError, codec, pack::Packer},
    fault::corrupt,
};
use bytes::Bytes;
use fred::types::Value;

/// The field that holds a chunk.
pub(super) const FIELD: &str = "c";

/// The id of an entry that holds the end: the last id there is, so that nothing can follow.
const END: &str = "18446744073709551615-0";
/// The id of a first entry without events, whose seq would be 0: Redis has no such id.
const BEGIN: &str = "0-1";

/// The id of the entry that holds this chunk.
pub(super) fn id_of(chunk: &Chunk) -> Value {
    match (chunk.end, chunk.last()) {
        (Some(_), _) => Value::from_static_str(END),
        (None, last) => id_at(last),
    }
}

/// The id of the entry whose last event is this one.
pub(super) fn id_at(last: u64) -> Value {
    if last == 0 { Value::from_static_str(BEGIN) } else { Value::from(format!("{last}-0")) }
}

/// Where a read begins that wants what lies behind this seq: past the entry that ends with it, and past the
/// beginning's; but never past the end.
pub(super) fn behind(seq: u64) -> Value {
    Value::from(format!("({}-1", seq.min(u64::MAX - 1)))
}

/// Below which id entries are let go, so that chunks that end below `trim_below` are; never the newest one.
pub(super) fn trim_at(trim_below: u64, newest: &Chunk) -> Option<Value> {
    // An end has an id above all others, whatever its seq.
    let most = if newest.end.is_some() { u64::MAX } else { newest.last() };
    (trim_below > 1 && most > 0).then(|| Value::from(format!("{}-0", trim_below.min(most))))
}

/// The chunk of an entry, with the length of its bytes once they are unpacked. It has to be the one that the entry's id
/// says: no entry can be put in the place of another.
pub(super) fn chunk(entry: Value, packer: Packer<'_>) -> Result<(Chunk, usize), StoreError> {
    let Value::Array(parts) = entry else { return Err(corrupt("an entry of the log is not one")) };
    let mut parts = parts.into_iter();
    let (Some(id), Some(Value::Array(fields))) = (parts.next(), parts.next()) else {
        return Err(corrupt("an entry of the log has no fields"));
    };
    let mut fields = fields.into_iter();
    while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
        if name.as_bytes() == Some(FIELD.as_bytes()) {
            let bytes: Bytes = value.into_bytes().ok_or_else(|| corrupt("a chunk is not bytes"))?;
            let (chunk, len) = codec::decode(&bytes, packer)?;
            return match id_of(&chunk).as_bytes() == id.as_bytes() {
                true => Ok((chunk, len)),
                false => Err(corrupt("an entry of the log holds another one's chunk")),
            };
        }
    }
    Err(corrupt("an entry of the log holds no chunk"))
}

/// The only entry of a reply; `None` where there is none.
pub(super) fn only(entries: Value, packer: Packer<'_>) -> Result<Option<Chunk>, StoreError> {
    match entries {
        Value::Null => Ok(None),
        Value::Array(entries) => entries.into_iter().next().map(|entry| Ok(chunk(entry, packer)?.0)).transpose(),
        _ => Err(corrupt("a log is not a stream")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_the_last_seq_and_an_end_has_the_last_id_there_is() {
        assert_eq!(id_at(0).as_str().as_deref(), Some("0-1"));
        assert_eq!(id_at(17).as_str().as_deref(), Some("17-0"));
        assert_eq!(behind(0).as_str().as_deref(), Some("(0-1"), "not the beginning");
        assert_eq!(behind(u64::MAX).as_str().as_deref(), Some("(18446744073709551614-1"), "the end still comes");
    }
}
