//! From bytes to what a client is to make of them (WHATWG HTML, section 9.2.6).
//!
//! Blocks are cut by the server's own framer: a client that counts seqs has to agree with the server on what an event is,
//! also where the grammar dispatches nothing (a block with no data).

use crate::{
    event::fields,
    framer::{Frame, Framer},
};
use bytes::Bytes;
use std::time::Duration;

/// A block of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// A block with at least one line that is no comment.
    Message(Message),
    /// A block of comments only, as written, without what makes them comments.
    Comments(Vec<String>),
    /// A block of more bytes than allowed.
    TooLarge,
}

/// What the fields of a block say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    /// The last `event`; empty where there is none.
    pub(super) name: String,
    /// All `data`, joined by line feeds; `None` where there is none, which nobody is told of.
    pub(super) data: Option<String>,
    /// The last `id` that counts.
    pub(super) id: Option<String>,
    /// The last `retry` that counts.
    pub(super) retry: Option<Duration>,
}

/// Reads one response.
#[derive(Debug)]
pub(super) struct Parser(Framer);

impl Parser {
    pub(super) fn new(max_event_bytes: usize) -> Self {
        Self(Framer::new(false, max_event_bytes))
    }

    /// Takes in more bytes. What they make comes out by [`Parser::next`], to be called until there is no more.
    pub(super) fn push(&mut self, bytes: Bytes) {
        self.0.push(bytes);
    }

    /// The next block; `None` when more bytes are needed. Nothing is read ahead of it.
    pub(super) fn next(&mut self) -> Option<Block> {
        let Some(frame) = self.0.next() else {
            self.0.turn_over();
            return None;
        };
        Some(match frame {
            Frame::Event { lines, .. } => Block::Message(Message::read(&lines)),
            Frame::Comment(text) => Block::Comments(comments(&text)),
            Frame::OversizePart(_) | Frame::OversizeEnd { .. } => Block::TooLarge,
        })
    }
}

impl Message {
    fn read(lines: &[u8]) -> Self {
        let mut message = Self::default();
        for (field, value) in fields(lines) {
            match field {
                b"event" => message.name = text(value),
                b"data" => match &mut message.data {
                    Some(data) => {
                        data.push('\n');
                        data.push_str(&String::from_utf8_lossy(value));
                    }
                    data => *data = Some(text(value)),
                },
                b"id" if !value.contains(&0) => message.id = Some(text(value)),
                b"retry" => message.retry = millis(value).or(message.retry),
                _ => {}
            }
        }
        message
    }
}

/// Bytes as a browser decodes them: what is not UTF-8 is replaced.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Digits, and nothing else. Many of them are a very long time.
fn millis(value: &[u8]) -> Option<Duration> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let millis = std::str::from_utf8(value).ok()?.parse().unwrap_or(u64::MAX);
    Some(Duration::from_millis(millis))
}

fn comments(block: &[u8]) -> Vec<String> {
    block
        .split(|byte| matches!(byte, b'\n' | b'\r'))
        .filter_map(|line| line.strip_prefix(b":"))
        .map(|line| text(line.strip_prefix(b" ").unwrap_or(line)))
        .collect()
}

#[cfg(test)]
mod tests;
