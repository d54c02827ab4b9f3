//! One event of a stream, as the handler wrote it.

use bytes::Bytes;
use std::sync::Arc;

/// How a line ends. The grammar of an event stream counts all three alike
/// (WHATWG HTML, section 9.2.5), and an event keeps the one it came with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Eol {
    /// `\n`
    #[default]
    Lf,
    /// `\r`
    Cr,
    /// `\r\n`
    CrLf,
}

impl Eol {
    /// The bytes of this line end.
    #[must_use]
    pub const fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Lf => b"\n",
            Self::Cr => b"\r",
            Self::CrLf => b"\r\n",
        }
    }
}

/// The step (a phase of the application's own, such as `DRAFTING`) that an event belongs to.
///
/// It travels inside every token, so it is short: at most [`Step::MAX_BYTES`] bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Step(Option<Arc<str>>);

impl Step {
    /// The longest step, in bytes of UTF-8. With it, a token is as long as the wire contract lets it be.
    pub const MAX_BYTES: usize = 48;

    /// The step of a stream whose application names none.
    pub const NONE: Self = Self(None);

    /// A step of this name. What is beyond [`Step::MAX_BYTES`] is cut off, at a character's bound.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut end = name.len().min(Self::MAX_BYTES);
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        match name.get(..end) {
            None | Some("") => Self(None),
            Some(name) => Self(Some(name.into())),
        }
    }

    /// The step's name; empty for [`Step::NONE`].
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or("")
    }
}

impl From<&str> for Step {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One event of a stream: its lines, without the blank line that ends it.
///
/// An event's position (its `seq`) is not part of it: it follows from the chunk or the log that holds it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Event {
    /// The lines with their ends, as the handler wrote them; without the blank line, and
    /// without the handler's `id` lines where these are taken out. Empty for an oversized event.
    pub lines: Bytes,
    /// The end of the blank line that closed the event.
    pub eol: Eol,
    /// Whether `lines` holds an `id` line of the handler's own.
    pub has_id: bool,
    /// Whether this only holds the place of an event that was too large to keep.
    pub oversize: bool,
    /// How precious the application calls it: 0 is the most ordinary.
    pub priority: u8,
    /// The step in force from this event on.
    pub step: Step,
}

impl Event {
    /// What this event counts for in every limit in bytes: its lines and its blank line.
    #[must_use]
    pub fn size(&self) -> usize {
        self.lines.len() + self.eol.as_bytes().len()
    }
}

/// What a classifier or a snapshot fold is shown of an event.
#[derive(Clone, Copy, Debug)]
pub struct EventView<'a> {
    seq: u64,
    lines: &'a [u8],
}

impl<'a> EventView<'a> {
    pub(crate) const fn new(seq: u64, lines: &'a [u8]) -> Self {
        Self { seq, lines }
    }

    /// The event's position in its stream: 1, 2, 3 …
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// The event's lines as the handler wrote them.
    #[must_use]
    pub const fn lines(&self) -> &'a [u8] {
        self.lines
    }

    /// The event's name: the value of its last `event` field, `message` where it has none.
    #[must_use]
    pub fn name(&self) -> &'a str {
        let mut name = None;
        for (field, value) in fields(self.lines) {
            if field == b"event" {
                name = std::str::from_utf8(value).ok();
            }
        }
        name.filter(|name| !name.is_empty()).unwrap_or("message")
    }

    /// The event's data: the values of its `data` fields, joined by line feeds.
    #[must_use]
    pub fn data(&self) -> std::borrow::Cow<'a, [u8]> {
        let mut values = fields(self.lines).filter(|(field, _)| *field == b"data").map(|(_, value)| value);
        let first = values.next().unwrap_or_default();
        let mut rest = values.peekable();
        if rest.peek().is_none() {
            return first.into();
        }
        let mut all = first.to_vec();
        for value in rest {
            all.push(b'\n');
            all.extend_from_slice(value);
        }
        all.into()
    }
}

/// The fields of an event's lines, comments left out: name and value, less one leading space.
pub(crate) fn fields(lines: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    lines.split(|byte| matches!(byte, b'\n' | b'\r')).filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = match colon {
            Some(0) => return None,
            None if line.is_empty() => return None,
            None => (line, &[][..]),
            Some(at) => (line.get(..at)?, line.get(at + 1..)?),
        };
        Some((name, value.strip_prefix(b" ").unwrap_or(value)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_cut_at_a_characters_bound() {
        let long = "é".repeat(40);
        let step = Step::new(&long);
        assert_eq!(step.as_str().len(), 48);
        assert_eq!(Step::new(&format!("a{long}")).as_str().len(), 47);
        assert_eq!(Step::new(""), Step::NONE);
    }

    #[test]
    fn a_view_reads_names_and_data_as_the_grammar_does() {
        let view = EventView::new(1, b"event: a\r\n: note\r\ndata:one\r\ndata:  two\r\ndata\r\nevent:b\r\n");
        assert_eq!(view.name(), "b");
        assert_eq!(&*view.data(), b"one\n two\n");
        let view = EventView::new(1, b"data: x\n");
        assert_eq!((view.name(), &*view.data()), ("message", &b"x"[..]));
        assert_eq!(&*EventView::new(1, b"event: e\n").data(), b"");
    }
}
