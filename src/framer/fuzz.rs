//! What holds of any bytes in any split.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    unreachable_pub,
    reason = "test code"
)]

use super::{
    oracle::{Whole, cut, dispatches, reference},
    *,
};
use crate::fuzz::Input;

const LARGE: usize = 1 << 20;

/// Flags, a limit, how many cuts and where; then the text.
pub fn framer(data: &[u8]) {
    let mut input = Input(data);
    let flags = input.byte();
    let strip_ids = flags & 1 != 0;
    let max = if flags & 2 != 0 { LARGE } else { usize::from(input.byte()) };
    let cuts = usize::from(flags >> 2) % 16;
    let cuts: Vec<u8> = (0..cuts).map(|_| input.byte()).collect();
    let text = input.0;
    let mut bounds: Vec<_> = cuts.iter().map(|cut| usize::from(*cut) * text.len() / 255).collect();
    bounds.extend([0, text.len()]);
    bounds.sort_unstable();
    let chunks: Vec<&[u8]> = bounds.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();

    same_events(text, &chunks, strip_ids, max);
    same_dispatches(text, &chunks, max);
    bounded(&chunks, strip_ids, max);
}

/// Any split gives what one piece gives, and that is what the grammar gives.
fn same_events(text: &[u8], chunks: &[&[u8]], strip_ids: bool, max: usize) {
    let (one, many) = (cut(&[text], strip_ids, max.max(1)), cut(chunks, strip_ids, max.max(1)));
    assert_eq!(one.1, many.1, "what is unfinished");
    let (mut one, mut many) = (ended(one.0), ended(many.0));
    // What is too large and that nothing ends is not in the reference.
    if max == LARGE || one.last().is_some_and(|last| !matches!(last, Whole::Comments(_))) {
        assert_eq!(one, reference(text, strip_ids, max.max(1)), "in one piece");
    }
    // Whether an LF follows a CR is not known yet where a piece ends between them: it is guessed, rightly wherever a
    // stream's line ends are alike.
    if !alike(text) {
        one = one.into_iter().map(Whole::without_eol).collect();
        many = many.into_iter().map(Whole::without_eol).collect();
    }
    assert_eq!(one, many, "in pieces");
}

/// What has no end yet is not in the reference.
fn ended(mut all: Vec<Whole>) -> Vec<Whole> {
    if matches!(all.last(), Some(Whole::Oversize { end: None, .. })) {
        all.pop();
    }
    all
}

fn alike(text: &[u8]) -> bool {
    let pairs = text.windows(2).filter(|pair| pair == b"\r\n").count();
    let [cr, lf] = [b'\r', b'\n'].map(|end| text.iter().filter(|byte| **byte == end).count());
    // A CR at the very end may yet become a pair.
    [(cr, 0), (0, lf), (pairs, pairs)].contains(&(cr, lf))
}

/// A client makes of it what it would have made of the handler's own bytes.
fn same_dispatches(text: &[u8], chunks: &[&[u8]], max: usize) {
    // The layer has an event of its own first: a BOM is at the very start no longer.
    let out: Vec<u8> = std::iter::once(b'\n')
        .chain(ended(cut(chunks, false, max.max(1)).0).iter().flat_map(|one| one.bytes(false)))
        .collect();
    assert_eq!(dispatches(&out), dispatches(text));
    let out: Vec<u8> = std::iter::once(b'\n')
        .chain(ended(cut(chunks, true, max.max(1)).0).iter().flat_map(|one| one.bytes(true)))
        .collect();
    let without_id = |all: Vec<(Vec<u8>, Vec<u8>, Vec<u8>)>| -> Vec<_> {
        all.into_iter().map(|(event, data, _)| (event, data)).collect()
    };
    assert_eq!(without_id(dispatches(&out)), without_id(dispatches(text)));
}

/// However long lines and events are, no more than the limit is held back, in no more room than twice that and what
/// came last.
fn bounded(chunks: &[&[u8]], strip_ids: bool, max: usize) {
    let mut framer = Framer::new(strip_ids, max);
    for chunk in chunks {
        framer.push(Bytes::copy_from_slice(chunk));
        while framer.next().is_some() {}
        assert!(framer.buffer.pending() < max.max(1) + BOM.len(), "{} bytes held of {max}", framer.buffer.pending());
        let room = 2 * max.max(1) + buffer::REUSED_BYTES + chunk.len();
        assert!(framer.buffer.carried_capacity() <= room, "{} bytes of room", framer.buffer.carried_capacity());
    }
    framer.finish();
}
