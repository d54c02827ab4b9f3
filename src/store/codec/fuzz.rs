//! What holds of any bytes that a store, or another node, hands over.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    unreachable_pub,
    reason = "test code"
)]

use super::*;
use crate::fuzz::Input;

/// Reads the bytes as a chunk. What that takes of memory is bounded by their length, as the target checks.
pub fn read_chunk(data: &[u8]) {
    drop(get(&Bytes::copy_from_slice(data)));
}

/// The bytes as a chunk, and as what a chunk is made of.
pub fn chunk(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    if let Ok(chunk) = get(&bytes) {
        assert!(chunk.first > 0 && chunk.first.checked_add(chunk.events.len() as u64).is_some());
        assert_eq!(get(&plain(&chunk)).expect("a chunk"), chunk);
    }

    let made = made_of(Input(data));
    let whole = plain(&made);
    assert_eq!(get(&whole).expect("a chunk"), made);
    assert!(get(&whole.slice(..whole.len() - 1)).is_err());
}

/// The chunk as bytes, without the head that says how they are packed.
fn plain(chunk: &Chunk) -> Bytes {
    Bytes::from(put(chunk)).slice(pack::begin(0).len()..)
}

fn made_of(mut input: Input<'_>) -> Chunk {
    let flags = input.byte();
    let ends = [EndStatus::Complete, EndStatus::Error, EndStatus::Interrupted, EndStatus::Cancelled];
    let end = ends.get(usize::from(flags) % 8).copied();
    let (first, writer, at) = ((input.number() >> 1).max(1), NodeId::from_bytes(input.array()), input.number());
    let totals = match flags & 8 {
        0 => Totals { bytes: input.number(), ..Totals::default() },
        _ => Totals {
            bytes: input.number(),
            trimmed: input.number(),
            trimmed_bytes: input.number(),
            holes: (flags & 16 != 0).then(|| input.number()),
        },
    };
    let step_before = step(&mut input);
    let mut events = Vec::new();
    while !input.is_over() && events.len() < 32 {
        let kind = input.byte();
        let length = usize::from(input.byte());
        events.push(Event {
            eol: [Eol::Lf, Eol::Cr, Eol::CrLf][usize::from(kind) % 3],
            has_id: kind & 4 != 0,
            oversize: kind & 8 != 0,
            priority: if kind & 16 != 0 { input.byte() } else { 0 },
            step: if kind & 32 != 0 { step(&mut input) } else { step_before.clone() },
            lines: Bytes::copy_from_slice(input.take(length)),
        });
    }
    Chunk { first, writer, at, step_before, totals, events: events.into(), end }
}

fn step(input: &mut Input<'_>) -> Step {
    let length = usize::from(input.byte() % 64);
    Step::new(&String::from_utf8_lossy(input.take(length)))
}
