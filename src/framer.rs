//! Cuts the bytes of an event stream into events, across any split (WHATWG HTML, sections 9.2.5 and 9.2.6).
//!
//! The same bytes give the same frames however they are split. One thing only depends on the split: whether
//! a CR that is the last byte so far has an LF to follow cannot be known, and an event that such a CR closes is
//! not held back. What the blank line's end then is, is guessed from the line before it, which is right
//! wherever a stream's line ends are all alike; the LF is dropped when it comes.
//!
//! The module is pure: bytes in, frames out.

mod arena;
mod buffer;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod lines;
#[cfg(any(test, fuzzing))]
mod oracle;
#[cfg(test)]
mod tests;

use crate::event::Eol;
use buffer::Buffer;
use bytes::Bytes;
use lines::{Line, line_end};

const BOM: &[u8] = b"\xef\xbb\xbf";

/// What a stream is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// A whole event.
    Event {
        /// Its lines with their ends as written, comments among them; without the blank line.
        lines: Bytes,
        /// The end of the blank line.
        eol: Eol,
        /// Whether `lines` holds an `id` line.
        has_id: bool,
    },
    /// A block of comments only, with its blank line, as written. One that outgrows the limit comes in pieces; a
    /// piece may end inside a line, and nothing can be put behind it then but the next one.
    Comment(Bytes),
    /// A piece of an event that has outgrown the limit; the pieces make up its lines. Nothing can be put
    /// between them, nor between the last one and [`Frame::OversizeEnd`].
    OversizePart(Bytes),
    /// The blank line of such an event.
    OversizeEnd {
        /// Its end.
        eol: Eol,
        /// Whether the pieces held an `id` line.
        has_id: bool,
        /// How much the whole event came to, the blank line included.
        size: usize,
    },
}

/// What the end of a body cut off. By the grammar it is no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfinished {
    /// A block of which nothing has come out: it is dropped.
    Dropped,
    /// A block of which pieces are out already. Whoever has got them is inside the block, and maybe inside
    /// a line: no other event can follow, and a blank line would make an event of it.
    Open,
}

/// Whether the last byte so far was a CR, and of which line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HeldCr {
    No,
    /// It ends a line of the block. The line is not over until the next byte is there.
    Line,
    /// It ended the blank line, and the event with it. An LF that comes next is a part of it.
    Blank,
}

/// How long a line's end is, as far as can be known.
enum EndLen {
    One,
    Two,
    /// A CR, and no byte behind it.
    OneOrTwo,
}

/// What a block has shown to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    Empty,
    Comments,
    Event,
}

/// Cuts one stream.
#[derive(Debug)]
pub(crate) struct Framer {
    strip_ids: bool,
    max_event_bytes: usize,

    buffer: Buffer,

    /// How many bytes of a BOM have come; `None` once the start is over.
    bom: Option<usize>,
    /// The line in progress.
    line: Line,
    held_cr: HeldCr,

    block: Block,
    has_id: bool,
    /// Whether the block's last line ended in CRLF.
    crlf: bool,
    /// Whether the block has outgrown the limit and goes out in pieces.
    in_pieces: bool,
    /// How many of its bytes have gone out.
    gone: usize,
}

impl Framer {
    /// With `strip_ids`, `id` lines are taken out. An event's size is that of the lines that stay, and of its
    /// blank line; one of more than `max_event_bytes` comes out in pieces.
    pub(crate) fn new(strip_ids: bool, max_event_bytes: usize) -> Self {
        // With a limit of 0 there could be a piece of nothing.
        let max_event_bytes = max_event_bytes.max(1);
        Self {
            strip_ids,
            max_event_bytes,
            buffer: Buffer::new(max_event_bytes),
            bom: Some(0),
            line: Line::Start,
            held_cr: HeldCr::No,
            block: Block::Empty,
            has_id: false,
            crlf: false,
            in_pieces: false,
            gone: 0,
        }
    }

    /// Takes in more of the body. What it makes comes out by [`Framer::next`], to be called until there is no more.
    pub(crate) fn push(&mut self, bytes: Bytes) {
        self.buffer.push(bytes);
    }

    /// The next frame; `None` when more bytes are needed.
    pub(crate) fn next(&mut self) -> Option<Frame> {
        loop {
            let rest = self.buffer.rest();
            let Some(&first) = rest.first() else {
                return self.input_over();
            };
            if let Some(seen) = self.bom {
                self.read_bom(seen, first);
                continue;
            }
            match self.held_cr {
                HeldCr::No if self.line == Line::Start && matches!(first, b'\n' | b'\r') => {
                    let second = rest.get(1).copied();
                    if let Some(frame) = self.blank_line(first, second) {
                        return Some(frame);
                    }
                }
                HeldCr::No => {
                    if self.line == Line::Start && self.block == Block::Comments && self.in_pieces && first != b':' {
                        // The comments are out already: the event begins here.
                        let piece = self.piece();
                        self.block_over();
                        if piece.is_some() {
                            return piece;
                        }
                    }
                    self.read_line();
                }
                HeldCr::Line => self.settle_line_end(first),
                HeldCr::Blank => {
                    self.buffer.skip(usize::from(first == b'\n'));
                    self.held_cr = HeldCr::No;
                }
            }
            // What is there now only grows until the blank line. So whether a block goes out in pieces depends
            // on nothing but its bytes: the limit may show early, but never by mistake.
            if self.buffer.pending() >= self.max_event_bytes {
                self.in_pieces = true;
                return self.piece();
            }
        }
    }

    /// The room that an event in progress takes.
    pub(crate) fn room(&self) -> usize {
        self.buffer.carried_capacity()
    }

    /// Says that there is nothing more for the moment. Events that come in one turn share memory.
    pub(crate) fn turn_over(&mut self) {
        self.buffer.turn_over();
    }

    /// The body is over. Says what of it was not a whole block, if anything, and lets go of that.
    pub(crate) fn finish(&mut self) -> Option<Unfinished> {
        self.buffer = Buffer::new(self.max_event_bytes);
        match (self.block, self.in_pieces) {
            (Block::Event, true) => Some(Unfinished::Open),
            // Lines of comments that have gone out whole ask for nothing.
            (Block::Comments, true) => (self.line != Line::Start).then_some(Unfinished::Open),
            (Block::Event | Block::Comments, false) => Some(Unfinished::Dropped),
            (Block::Empty, _) => self.bom.is_some_and(|seen| seen > 0).then_some(Unfinished::Dropped),
        }
    }

    /// Reads a line, or what of it is there.
    fn read_line(&mut self) {
        let rest = self.buffer.rest();
        let end = line_end(rest);
        let len = end.unwrap_or(rest.len());
        let line = self.line.with(rest.get(..len).unwrap_or_default(), end.is_some());
        let end_len = end.map(|end| match rest.get(end..) {
            Some([b'\r']) => EndLen::OneOrTwo,
            Some([b'\r', b'\n', ..]) => EndLen::Two,
            _ => EndLen::One,
        });

        if let (Line::MaybeId(seen), true, Line::Field) = (self.line, self.strip_ids, line) {
            // These were left out for the time being.
            self.buffer.add(b"id".get(..seen).unwrap_or_default());
        }
        match line {
            Line::Comment if self.block == Block::Empty => self.block = Block::Comments,
            Line::Comment => {}
            _ => self.block = Block::Event,
        }
        self.has_id |= line == Line::Id && !self.strip_ids;

        match end_len {
            Some(EndLen::One) => self.line_over(line, len + 1, false),
            Some(EndLen::Two) => self.line_over(line, len + 2, true),
            Some(EndLen::OneOrTwo) => {
                self.read(line, len);
                self.buffer.skip(1);
                self.held_cr = HeldCr::Line;
            }
            None => self.read(line, len),
        }
    }

    /// The last `len` bytes of a line, its end among them.
    fn line_over(&mut self, line: Line, len: usize, crlf: bool) {
        self.read(line, len);
        self.line = Line::Start;
        self.crlf = crlf;
    }

    /// The CR that the last input ended with was that of a line. Here is what follows.
    fn settle_line_end(&mut self, first: u8) {
        self.crlf = first == b'\n';
        if self.stays(self.line) {
            self.buffer.add(if self.crlf { b"\r\n" } else { b"\r" });
        }
        self.buffer.skip(usize::from(self.crlf));
        self.held_cr = HeldCr::No;
        self.line = Line::Start;
    }

    /// Reads `len` bytes of a line.
    fn read(&mut self, line: Line, len: usize) {
        self.line = line;
        if self.stays(line) {
            self.buffer.keep(len);
        } else {
            self.buffer.skip(len);
        }
    }

    /// Whether a line is left in. One that may yet turn out to be taken out is not, for the time being.
    const fn stays(&self, line: Line) -> bool {
        !(self.strip_ids && matches!(line, Line::Id | Line::MaybeId(_)))
    }

    /// At a blank line, so at the end of a block, if there is one.
    fn blank_line(&mut self, first: u8, second: Option<u8>) -> Option<Frame> {
        let guess = if self.crlf { Eol::CrLf } else { Eol::Cr };
        let (len, mut eol) = match (first, second) {
            (b'\n', _) => (1, Eol::Lf),
            (_, Some(b'\n')) => (2, Eol::CrLf),
            (_, Some(_)) => (1, Eol::Cr),
            (_, None) => (1, guess),
        };
        let has_id = self.has_id;
        if self.block == Block::Event {
            // Whether an event is too large must not depend on whether its end is known yet: the guess counts.
            let limit = self.max_event_bytes.saturating_sub(self.buffer.pending());
            let counted = if first == b'\n' { eol } else { guess };
            self.in_pieces |= counted.as_bytes().len() > limit;
            if self.in_pieces && self.buffer.pending() > 0 {
                return self.piece();
            }
            if !self.in_pieces && eol.as_bytes().len() > limit {
                eol = guess;
            }
        }
        if first == b'\r' && second.is_none() {
            self.held_cr = HeldCr::Blank;
        }
        let frame = match self.block {
            Block::Comments if len == eol.as_bytes().len() => {
                self.buffer.keep(len);
                Some(Frame::Comment(self.buffer.take()))
            }
            block => {
                self.buffer.skip(len);
                match block {
                    Block::Empty => None,
                    Block::Comments => {
                        self.buffer.add(eol.as_bytes());
                        Some(Frame::Comment(self.buffer.take()))
                    }
                    Block::Event if self.in_pieces => {
                        Some(Frame::OversizeEnd { eol, has_id, size: self.gone + eol.as_bytes().len() })
                    }
                    Block::Event => Some(Frame::Event { lines: self.buffer.take(), eol, has_id }),
                }
            }
        };
        self.block_over();
        frame
    }

    const fn block_over(&mut self) {
        self.block = Block::Empty;
        self.has_id = false;
        self.in_pieces = false;
        self.gone = 0;
    }

    /// All that came in is read.
    fn input_over(&mut self) -> Option<Frame> {
        let piece = if self.in_pieces { self.piece() } else { None };
        if piece.is_none() {
            self.buffer.release();
        }
        piece
    }

    fn read_bom(&mut self, seen: usize, first: u8) {
        if BOM.get(seen) == Some(&first) {
            self.buffer.skip(1);
            self.bom = (seen + 1 < BOM.len()).then_some(seen + 1);
            return;
        }
        self.bom = None;
        if seen > 0 {
            // It was none: it begins a line.
            self.buffer.add(BOM.get(..seen).unwrap_or_default());
            (self.line, self.block) = (Line::Field, Block::Event);
        }
    }

    /// All that is pending of a block too large, if anything is.
    fn piece(&mut self) -> Option<Frame> {
        let size = self.buffer.pending();
        if size == 0 {
            return None;
        }
        self.gone += size;
        let bytes = self.buffer.take();
        Some(if self.block == Block::Event { Frame::OversizePart(bytes) } else { Frame::Comment(bytes) })
    }
}
