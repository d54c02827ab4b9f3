//! What went over the wire: requests as they came, and answers as far as they were written.

use crate::{
    facts::World,
    sse::{Item, Parser},
};
use axum::http::{HeaderMap, Method, StatusCode};
use serde_json::Value;
use std::time::{Duration, Instant};

/// How an answer came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// It was written whole.
    Whole,
    /// The proxy reset the connection: what the client had not read yet may be lost.
    Reset,
    /// The proxy broke it off, and what was written arrives.
    BrokenOff,
    /// The client went away while it was being written.
    Left,
    /// It is under way.
    Not,
}

/// One request and what it was answered.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) at: Instant,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// `None`: nothing was written.
    pub(crate) status: Option<StatusCode>,
    pub(crate) is_stream: bool,
    /// Until when the client was asked to stay away.
    pub(crate) not_before: Option<Instant>,
    pub(crate) over: Over,
    /// Bytes written, the head among them.
    pub(crate) bytes: u64,
    /// How long nothing had been written at the end.
    pub(crate) silence: Duration,
    pub(crate) sent: Sent,
}

impl Exchange {
    pub(crate) fn new(method: Method, path: String, headers: HeaderMap, body: Vec<u8>) -> Self {
        Self {
            at: Instant::now(),
            method,
            path,
            headers,
            body,
            status: None,
            is_stream: false,
            not_before: None,
            over: Over::Not,
            bytes: 0,
            silence: Duration::ZERO,
            sent: Sent::default(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether the client was given a stream.
    pub(crate) fn streamed(&self) -> bool {
        self.is_stream && self.status == Some(StatusCode::OK)
    }

    /// It was asked to, by an answer of which nothing had been written then.
    pub(crate) fn asked_to_wait(&mut self, then: Instant, time: Duration) {
        self.not_before = Some(then + time);
    }
}

/// A stretch that the client was told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) reason: String,
}

/// What was written of one stream, as far as it was whole.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent {
    /// The client's cursor behind it, as a client counts it.
    pub(crate) seq: u64,
    pub(crate) events: u64,
    pub(crate) gaps: Vec<Gap>,
    /// The status and seq of a snapshot's announcement.
    pub(crate) snapshot: Option<(u64, String)>,
    pub(crate) end: Option<(u64, String)>,
}

/// How far ahead of time, in milliseconds, a token expires that was given once the run's clock had been moved.
const FRESH: u64 = 20_000;

/// Reads along with what is written of one stream.
#[derive(Debug)]
pub(crate) struct Witness {
    parser: Parser,
    control: String,
    sent: Sent,
    in_snapshot: bool,
}

impl Witness {
    pub(crate) fn new(control: &str) -> Self {
        let control = control.to_owned();
        Self { parser: Parser::default(), control, sent: Sent::default(), in_snapshot: false }
    }

    pub(crate) fn sees(&mut self, bytes: &[u8], world: &World) {
        let mut items = Vec::new();
        self.parser.push(bytes, &mut items);
        for item in items {
            match item {
                Item::Event { event, data, id } => {
                    if let Some(id) = id {
                        world.tokens().insert(id);
                    }
                    if event == self.control {
                        self.told(&data, world);
                    } else if std::mem::take(&mut self.in_snapshot) {
                        self.sent.seq = self.sent.snapshot.as_ref().map_or(0, |(seq, _)| *seq);
                    } else {
                        self.sent.seq += 1;
                        self.sent.events += 1;
                    }
                }
                Item::Comment(text) => {
                    let json = text.strip_prefix(&*self.control).filter(|rest| rest.starts_with(" {"));
                    if let Some(json) = json.map(str::to_owned) {
                        self.told(&json, world);
                    }
                }
                Item::Retry(_) => {}
            }
        }
    }

    fn told(&mut self, json: &str, world: &World) {
        let Ok(told) = serde_json::from_str::<Value>(json) else { return };
        let number = |name: &str| told.get(name).and_then(Value::as_u64).unwrap_or_default();
        let text = |name: &str| told.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        if let Some(token) = told.get("token").and_then(Value::as_str) {
            world.tokens().insert(token.to_owned());
        }
        match &*text("phase") {
            "replay" => self.sent.seq = number("from"),
            "gap" => {
                let gap = Gap { from: number("from"), to: number("to"), reason: text("reason") };
                self.sent.seq = gap.to;
                self.sent.gaps.push(gap);
            }
            "snapshot" => {
                self.sent.snapshot = Some((number("seq"), text("status")));
                self.in_snapshot = true;
            }
            "token" => {
                // One of before the clock was moved is past its time by then.
                let fresh = number("expires_at") >= World::system_now() + FRESH;
                world.note(|facts| {
                    facts.tokens += 1;
                    facts.fresh_tokens += u64::from(fresh);
                });
            }
            "end" => {
                self.sent.end = Some((number("seq"), text("status")));
                world.note(|facts| facts.ends += 1);
            }
            _ => {}
        }
    }

    pub(crate) fn sent(&self) -> Sent {
        self.sent.clone()
    }
}
