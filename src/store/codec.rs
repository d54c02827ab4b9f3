//! A chunk as bytes, for stores that keep bytes; how these are packed is [`pack`]'s.
//!
//! In order, with every number a varint (7 bits a byte, low ones first) unless it says otherwise:
//!
//! | field | when | form |
//! | --- | --- | --- |
//! | flags | always | 1 byte: end (3 bits), trimmed, step, holes |
//! | writer | always | 8 bytes |
//! | first, at, total bytes | always | numbers |
//! | total trimmed, total trimmed bytes | flag | numbers |
//! | holes | flag | number |
//! | step before | flag | length (1 byte) and text |
//! | how many events | always | number |
//!
//! and for each event its flags (1 byte: line end (2 bits), `has_id`, `oversize`, priority, step), the priority (1 byte,
//! where not 0), the step (where another than before), and its lines with their length in front.

use super::{
    CHUNK_MAX_EVENTS, Chunk, DecodeError, Totals,
    pack::{self, Kind, Packer},
};
use crate::{EndStatus, Eol, Event, NodeId, Step};
use bytes::Bytes;

const CHUNK_END: u8 = 0b0_0111;
const CHUNK_TRIMMED: u8 = 0b0_1000;
const CHUNK_STEP: u8 = 0b1_0000;
const CHUNK_HOLES: u8 = 0b10_0000;

const EVENT_EOL: u8 = 0b00_0011;
const EVENT_ID: u8 = 0b00_0100;
const EVENT_OVERSIZE: u8 = 0b00_1000;
const EVENT_PRIORITY: u8 = 0b01_0000;
const EVENT_STEP: u8 = 0b10_0000;

/// More than all fields of a chunk but its step and its events take.
const CHUNK_ROOM: usize = 64;
/// More than all fields of an event but its step and its lines take.
const EVENT_ROOM: usize = 12;
/// What an event takes at least: its flags and the length of its lines.
const EVENT_MIN: usize = 2;

/// The chunk as bytes.
pub(crate) fn encode(chunk: &Chunk, packer: Packer<'_>) -> Bytes {
    packer.pack(Kind::Chunk, put(chunk))
}

fn put(chunk: &Chunk) -> Vec<u8> {
    let step = chunk.step_before.as_str();
    let events: usize = chunk.events.iter().map(|event| EVENT_ROOM + event.lines.len()).sum();
    let mut out = pack::begin(CHUNK_ROOM + step.len() + events);
    let trimmed = chunk.totals.trimmed != 0 || chunk.totals.trimmed_bytes != 0;
    let flags = end_code(chunk.end) | on(CHUNK_TRIMMED, trimmed) | on(CHUNK_STEP, !step.is_empty());
    let flags = flags | on(CHUNK_HOLES, chunk.totals.holes.is_some());
    out.push(flags);
    out.extend_from_slice(chunk.writer.as_bytes());
    put_number(&mut out, chunk.first);
    put_number(&mut out, chunk.at);
    put_number(&mut out, chunk.totals.bytes);
    if trimmed {
        put_number(&mut out, chunk.totals.trimmed);
        put_number(&mut out, chunk.totals.trimmed_bytes);
    }
    if let Some(holes) = chunk.totals.holes {
        put_number(&mut out, holes);
    }
    if !step.is_empty() {
        put_step(&mut out, step);
    }
    put_number(&mut out, chunk.events.len() as u64);
    let mut before = &chunk.step_before;
    for event in chunk.events.iter() {
        put_event(&mut out, event, before);
        before = &event.step;
    }
    out
}

fn put_event(out: &mut Vec<u8>, event: &Event, before: &Step) {
    let stepped = event.step != *before;
    let eol = match event.eol {
        Eol::Lf => 0,
        Eol::Cr => 1,
        Eol::CrLf => 2,
    };
    let flags = eol | on(EVENT_ID, event.has_id) | on(EVENT_OVERSIZE, event.oversize);
    out.push(flags | on(EVENT_PRIORITY, event.priority != 0) | on(EVENT_STEP, stepped));
    if event.priority != 0 {
        out.push(event.priority);
    }
    if stepped {
        put_step(out, event.step.as_str());
    }
    put_number(out, event.lines.len() as u64);
    out.extend_from_slice(&event.lines);
}

const fn on(flag: u8, set: bool) -> u8 {
    if set { flag } else { 0 }
}

const fn end_code(end: Option<EndStatus>) -> u8 {
    match end {
        None => 0,
        Some(EndStatus::Complete) => 1,
        Some(EndStatus::Error) => 2,
        Some(EndStatus::Interrupted) => 3,
        Some(EndStatus::Cancelled) => 4,
    }
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// A step is at most 48 bytes, so that its length is one byte.
fn put_step(out: &mut Vec<u8>, step: &str) {
    out.push(step.len() as u8);
    out.extend_from_slice(step.as_bytes());
}

/// Reads what [`encode`] wrote, and says how long it is once unpacked. The events share the memory of `bytes`, where
/// these are as they were.
///
/// Nothing in `bytes` is believed: no length is used before that many bytes are known to be there.
///
/// # Errors
///
/// If `bytes` are not one whole chunk, or of a version or packing that is not known here.
pub(crate) fn decode(bytes: &Bytes, packer: Packer<'_>) -> Result<(Chunk, usize), DecodeError> {
    let body = packer.unpack(Kind::Chunk, bytes).map_err(|error| DecodeError(error.0))?;
    Ok((get(&body)?, body.len()))
}

fn get(bytes: &Bytes) -> Result<Chunk, DecodeError> {
    let mut from = Cursor { bytes, at: 0 };
    let flags = from.byte()?;
    if flags & !(CHUNK_END | CHUNK_TRIMMED | CHUNK_STEP | CHUNK_HOLES) != 0 {
        return Err(DecodeError("an unknown flag"));
    }
    let end = end_of(flags & CHUNK_END)?;
    let writer = NodeId::from_bytes(from.array()?);
    let (first, at) = (from.number()?, from.number()?);
    let mut totals = Totals { bytes: from.number()?, ..Totals::default() };
    if flags & CHUNK_TRIMMED != 0 {
        (totals.trimmed, totals.trimmed_bytes) = (from.number()?, from.number()?);
    }
    totals.holes = if flags & CHUNK_HOLES != 0 { Some(from.number()?) } else { None };
    let step_before = if flags & CHUNK_STEP != 0 { from.step()? } else { Step::NONE };
    let count = from.number()?;
    if first == 0 || first.checked_add(count).is_none() {
        return Err(DecodeError("an event's position is none"));
    }
    let events = from.events(count, &step_before)?;
    if !from.rest().is_empty() {
        return Err(DecodeError("more follows behind its end"));
    }
    Ok(Chunk { first, writer, at, step_before, totals, events: events.into(), end })
}

const fn end_of(code: u8) -> Result<Option<EndStatus>, DecodeError> {
    Ok(match code {
        0 => None,
        1 => Some(EndStatus::Complete),
        2 => Some(EndStatus::Error),
        3 => Some(EndStatus::Interrupted),
        4 => Some(EndStatus::Cancelled),
        _ => return Err(DecodeError("an unknown end")),
    })
}

const SHORT: DecodeError = DecodeError("it is cut short");

/// Where reading has got to.
struct Cursor<'a> {
    bytes: &'a Bytes,
    at: usize,
}

impl Cursor<'_> {
    fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        let byte = *self.bytes.get(self.at).ok_or(SHORT)?;
        self.at += 1;
        Ok(byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let array = *self.rest().first_chunk().ok_or(SHORT)?;
        self.at += N;
        Ok(array)
    }

    fn number(&mut self) -> Result<u64, DecodeError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                break;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(DecodeError("a number is too large"))
    }

    /// The next `length` bytes, as their place in the input.
    fn span(&mut self, length: u64) -> Result<std::ops::Range<usize>, DecodeError> {
        let length = usize::try_from(length).ok().filter(|length| *length <= self.rest().len()).ok_or(SHORT)?;
        let start = self.at;
        self.at += length;
        Ok(start..self.at)
    }

    fn step(&mut self) -> Result<Step, DecodeError> {
        let length = self.byte()?;
        if usize::from(length) > Step::MAX_BYTES {
            return Err(DecodeError("a step is too long"));
        }
        let span = self.span(length.into())?;
        let text = std::str::from_utf8(self.bytes.get(span).unwrap_or_default());
        Ok(Step::new(text.map_err(|_| DecodeError("a step is not text"))?))
    }

    fn events(&mut self, count: u64, step_before: &Step) -> Result<Vec<Event>, DecodeError> {
        if count > (self.rest().len() / EVENT_MIN) as u64 {
            return Err(SHORT);
        }
        let mut events = Vec::with_capacity(CHUNK_MAX_EVENTS.min(count as usize));
        let mut step = step_before.clone();
        for _ in 0..count {
            let event = self.event(&step)?;
            if event.step != step {
                step = event.step.clone();
            }
            events.push(event);
        }
        Ok(events)
    }

    fn event(&mut self, before: &Step) -> Result<Event, DecodeError> {
        let flags = self.byte()?;
        if flags & !(EVENT_EOL | EVENT_ID | EVENT_OVERSIZE | EVENT_PRIORITY | EVENT_STEP) != 0 {
            return Err(DecodeError("an unknown flag"));
        }
        let eol = match flags & EVENT_EOL {
            0 => Eol::Lf,
            1 => Eol::Cr,
            2 => Eol::CrLf,
            _ => return Err(DecodeError("an unknown line end")),
        };
        let priority = if flags & EVENT_PRIORITY != 0 { self.byte()? } else { 0 };
        let step = if flags & EVENT_STEP != 0 { self.step()? } else { before.clone() };
        let length = self.number()?;
        let lines = self.span(length)?;
        Ok(Event {
            lines: self.bytes.slice(lines),
            eol,
            has_id: flags & EVENT_ID != 0,
            oversize: flags & EVENT_OVERSIZE != 0,
            priority,
            step,
        })
    }
}

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
#[cfg(test)]
mod tests;
