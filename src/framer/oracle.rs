//! The contract once more, without regard to speed, and what a client makes of a stream. For tests and the fuzzer.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use super::*;
use std::mem;

/// A frame, with what goes out in pieces put together again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whole {
    Event { lines: Vec<u8>, eol: Eol, has_id: bool },
    Comments(Vec<u8>),
    Oversize { lines: Vec<u8>, end: Option<(Eol, bool, usize)> },
}

impl Whole {
    /// As it is where nothing is known of a blank line's end.
    pub(super) fn without_eol(self) -> Self {
        match self {
            Self::Event { lines, has_id, .. } => Self::Event { lines, eol: Eol::Lf, has_id },
            Self::Comments(text) => Self::Comments(text.into_iter().filter(|byte| !b"\r\n".contains(byte)).collect()),
            Self::Oversize { lines, end } => {
                let end = end.map(|(eol, has_id, size)| (Eol::Lf, has_id, size - eol.as_bytes().len()));
                Self::Oversize { lines, end }
            }
        }
    }

    /// As it goes out: with an id line of the layer's own where the handler's are taken out.
    pub(super) fn bytes(&self, with_id: bool) -> Vec<u8> {
        match self {
            Self::Event { lines, eol, .. } | Self::Oversize { lines, end: Some((eol, ..)) } if with_id => {
                [lines, &b"id: T"[..], eol.as_bytes(), eol.as_bytes()].concat()
            }
            Self::Event { lines, eol, .. } | Self::Oversize { lines, end: Some((eol, ..)) } => {
                [lines, eol.as_bytes()].concat()
            }
            Self::Comments(text) | Self::Oversize { lines: text, .. } => text.clone(),
        }
    }
}

/// What comes out of these chunks, and what is unfinished then.
pub(super) fn cut(chunks: &[&[u8]], strip_ids: bool, max: usize) -> (Vec<Whole>, Option<Unfinished>) {
    let mut framer = Framer::new(strip_ids, max);
    let mut all: Vec<Whole> = Vec::new();
    for chunk in chunks {
        framer.push(Bytes::copy_from_slice(chunk));
        while let Some(frame) = framer.next() {
            match (frame, all.last_mut()) {
                (Frame::Event { lines, eol, has_id }, _) => {
                    assert!(lines.len() + eol.as_bytes().len() <= max, "an event of more than {max}: {lines:?}");
                    all.push(Whole::Event { lines: lines.into(), eol, has_id });
                }
                (Frame::Comment(text), Some(Whole::Comments(before))) => before.extend(text),
                (Frame::Comment(text), _) => all.push(Whole::Comments(text.into())),
                (Frame::OversizePart(part), Some(Whole::Oversize { lines, end: None })) => lines.extend(part),
                (Frame::OversizePart(part), _) => all.push(Whole::Oversize { lines: part.into(), end: None }),
                (Frame::OversizeEnd { eol, has_id, size }, _) => {
                    // Of an event whose lines were all taken out there is no piece.
                    if !matches!(all.last(), Some(Whole::Oversize { end: None, .. })) {
                        all.push(Whole::Oversize { lines: Vec::new(), end: None });
                    }
                    let Some(Whole::Oversize { lines, end }) = all.last_mut() else { continue };
                    assert_eq!(size, lines.len() + eol.as_bytes().len());
                    *end = Some((eol, has_id, size));
                }
            }
        }
    }
    (all, framer.finish())
}

/// The lines of a whole text, each with its end.
fn lines_of(text: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut rest = text.strip_prefix(BOM).unwrap_or(text);
    let mut lines = Vec::new();
    while let Some(at) = rest.iter().position(|byte| b"\r\n".contains(byte)) {
        let end = if rest[at..].starts_with(b"\r\n") { 2 } else { 1 };
        lines.push((&rest[..at], &rest[at..at + end]));
        rest = &rest[at + end..];
    }
    lines
}

/// The contract once more, slowly, from a text that is there as a whole.
pub(super) fn reference(text: &[u8], strip_ids: bool, max: usize) -> Vec<Whole> {
    let mut all = Vec::new();
    let (mut kept, mut any, mut event, mut has_id, mut last) = (Vec::new(), false, false, false, &b""[..]);
    let comments = |all: &mut Vec<Whole>, text: &[u8]| match all.last_mut() {
        Some(Whole::Comments(before)) => before.extend(text),
        _ => all.push(Whole::Comments(text.to_vec())),
    };
    let all_lines = lines_of(text);
    let count = all_lines.len();
    for (at, (line, end)) in all_lines.into_iter().enumerate() {
        if !line.is_empty() {
            let is_id = line == b"id" || line.starts_with(b"id:");
            if !event && line[0] != b':' {
                event = true;
                if kept.len() >= max {
                    comments(&mut all, &mem::take(&mut kept));
                }
            }
            if !(is_id && strip_ids) {
                kept.extend([line, end].concat());
                has_id |= is_id;
            }
            (any, last) = (true, end);
            continue;
        }
        let eol = [Eol::Lf, Eol::Cr, Eol::CrLf].into_iter().find(|eol| eol.as_bytes() == end).unwrap();
        let guess = if last == b"\r\n" { Eol::CrLf } else { Eol::Cr };
        let counted = if eol == Eol::Lf { eol } else { guess };
        // Nobody knows yet whether a CR at the very end is one half of a CRLF.
        let eol = if at + 1 == count && text.ends_with(b"\r") { guess } else { eol };
        if event && kept.len() + counted.as_bytes().len() <= max {
            let eol = if kept.len() + eol.as_bytes().len() <= max { eol } else { guess };
            all.push(Whole::Event { lines: mem::take(&mut kept), eol, has_id });
        } else if event {
            let size = kept.len() + eol.as_bytes().len();
            all.push(Whole::Oversize { lines: mem::take(&mut kept), end: Some((eol, has_id, size)) });
        } else if any {
            kept.extend(eol.as_bytes());
            comments(&mut all, &mem::take(&mut kept));
        }
        (any, event, has_id) = (false, false, false);
    }
    all
}

/// What a client makes of a text (WHATWG HTML, 9.2.6): event, data and id of each dispatch.
pub(super) fn dispatches(text: &[u8]) -> Vec<(Vec<u8>, Vec<u8>, Vec<u8>)> {
    let (mut event, mut data, mut id, mut all) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (line, _) in lines_of(text) {
        if line.is_empty() {
            if !data.is_empty() {
                data.pop();
                all.push((mem::take(&mut event), mem::take(&mut data), id.clone()));
            }
            event.clear();
            continue;
        }
        let at = line.iter().position(|byte| *byte == b':');
        let (field, value) = at.map_or((line, &b""[..]), |at| (&line[..at], &line[at + 1..]));
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"event" => event = value.to_vec(),
            b"data" => data.extend([value, b"\n"].concat()),
            b"id" if !value.contains(&0) => id = value.to_vec(),
            _ => {}
        }
    }
    all
}
