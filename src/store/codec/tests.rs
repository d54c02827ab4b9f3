//! The codec, against everything that may come in.

use super::*;
use crate::{RequestId, store::pack::Packing};
use proptest::{collection::vec, option, prelude::*};

const PLAIN: [u8; 2] = [1, 0];

fn encode(chunk: &Chunk) -> Bytes {
    super::encode(chunk, Packing::default().of(RequestId::from_bytes([1; 16])))
}

fn decode(bytes: &Bytes) -> Result<Chunk, DecodeError> {
    super::decode(bytes, Packing::default().of(RequestId::from_bytes([1; 16]))).map(|(chunk, _)| chunk)
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![Just(Step::NONE), Just(Step::new("DRAFTING")), ".{0,60}".prop_map(|name| Step::new(&name))]
}

fn events() -> impl Strategy<Value = Event> {
    let eols = prop_oneof![Just(Eol::Lf), Just(Eol::Cr), Just(Eol::CrLf)];
    let lines = prop_oneof![vec(any::<u8>(), 0..40), vec(any::<u8>(), 100..400)];
    (lines, eols, any::<bool>(), any::<bool>(), prop_oneof![Just(0), any::<u8>()], steps()).prop_map(
        |(lines, eol, has_id, oversize, priority, step)| Event {
            lines: lines.into(),
            eol,
            has_id,
            oversize,
            priority,
            step,
        },
    )
}

fn chunks() -> impl Strategy<Value = Chunk> {
    let ends = prop_oneof![
        Just(EndStatus::Complete),
        Just(EndStatus::Error),
        Just(EndStatus::Interrupted),
        Just(EndStatus::Cancelled)
    ];
    let totals = prop_oneof![Just((1, 0, 0, None)), any::<(u64, u64, u64, Option<u64>)>()];
    let places = prop_oneof![1..300_u64, 1..u64::MAX - 100];
    (places, any::<[u8; 8]>(), any::<u64>(), steps(), totals, vec(events(), 0..20), option::of(ends)).prop_map(
        |(first, writer, at, step_before, (bytes, trimmed, trimmed_bytes, holes), events, end)| Chunk {
            first,
            writer: NodeId::from_bytes(writer),
            at,
            step_before,
            totals: Totals { bytes, trimmed, trimmed_bytes, holes },
            events: events.into(),
            end,
        },
    )
}

proptest! {
    #[test]
    fn a_chunk_reads_back_as_it_was(chunk in chunks()) {
        prop_assert_eq!(decode(&encode(&chunk)).unwrap(), chunk);
    }

    #[test]
    fn no_part_of_a_chunk_is_a_chunk(chunk in chunks(), more in vec(any::<u8>(), 1..9)) {
        let whole = encode(&chunk);
        for end in 0..whole.len() {
            prop_assert!(decode(&whole.slice(..end)).is_err(), "cut at {}", end);
        }
        prop_assert!(decode(&[&whole[..], &more].concat().into()).is_err());
    }

    #[test]
    fn damaged_bytes_are_an_error_or_a_chunk(chunk in chunks(), flips in vec((any::<prop::sample::Index>(), 0..8_u32), 1..4)) {
        let mut bytes = encode(&chunk).to_vec();
        for (at, bit) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        if let Ok(chunk) = decode(&bytes.into()) {
            let _ = (chunk.last(), chunk.step_after());
        }
    }

    #[test]
    fn any_bytes_are_an_error_or_a_chunk(bytes in vec(any::<u8>(), 0..200), whole in any::<bool>()) {
        let bytes = if whole { [&PLAIN[..], &[0], &bytes].concat() } else { bytes };
        if let Ok(chunk) = decode(&bytes.into()) {
            let _ = (chunk.last(), chunk.step_after());
        }
    }
}

fn chunk(events: Vec<Event>) -> Chunk {
    Chunk {
        first: 1_000,
        writer: NodeId::random(),
        at: 1_790_000_000_000,
        step_before: Step::new("DRAFTING"),
        totals: Totals { bytes: 100_000, ..Totals::default() },
        events: events.into(),
        end: None,
    }
}

fn event(length: usize) -> Event {
    Event { lines: vec![b'x'; length].into(), step: Step::new("DRAFTING"), ..Event::default() }
}

#[test]
fn a_chunk_of_one_event_costs_less_than_40_bytes_more_than_its_lines() {
    let bytes = encode(&chunk(vec![event(100)]));
    assert!(bytes.len() - 100 < 40, "{} bytes", bytes.len());
    let bytes = encode(&chunk(vec![event(100); 16]));
    assert_eq!((bytes.len() - 1600 - 34).div_ceil(16), 2, "two bytes an event");
}

#[test]
fn a_huge_count_or_length_is_refused_before_anything_is_allocated() {
    let mut head = encode(&chunk(vec![])).to_vec();
    head.pop();
    for claim in [1_u64, 17, 1 << 20, 1 << 40, u64::MAX - 1_000] {
        let mut bytes = head.clone();
        put_number(&mut bytes, claim);
        assert!(decode(&bytes.into()).is_err(), "{claim} events");
        let mut bytes = head.clone();
        bytes.extend_from_slice(&[1, 0]);
        put_number(&mut bytes, claim);
        assert_eq!(decode(&bytes.into()), Err(SHORT), "an event of {claim} bytes");
    }
}

#[test]
fn what_is_not_known_here_is_named() {
    let whole = encode(&chunk(vec![event(3)]));
    let with = |at: usize, byte: u8| {
        let mut bytes = whole.to_vec();
        bytes[at] = byte;
        decode(&bytes.into()).unwrap_err().to_string()
    };
    assert_eq!(with(0, 2), "not a chunk: written in a version of the format that this one cannot read");
    assert_eq!(with(1, 0x7f), "not a chunk: packed in a way that this version cannot read");
    assert_eq!(with(2, 0x80), "not a chunk: an unknown flag");
    assert_eq!(with(2, 0x17), "not a chunk: an unknown end");
}

#[test]
fn lines_are_not_copied() {
    let bytes = encode(&chunk(vec![event(100), event(200)]));
    let chunk = decode(&bytes).unwrap();
    let within = bytes.as_ptr_range();
    assert!(chunk.events.iter().all(|event| within.contains(&event.lines.as_ptr())));
}
