//! What the proxy does to a request.

use crate::facts::{Until, World};
use axum::http::StatusCode;
use std::time::Duration;

/// What becomes of a request.
pub(crate) enum Fate {
    /// It goes to a node, and the answer comes back, maybe in part.
    Pass(Pass),
    /// The proxy answers by itself.
    Answer(Answer),
}

/// A request that goes through.
#[derive(Default)]
pub(crate) struct Pass {
    /// Which node it goes to.
    pub(crate) to: usize,
    pub(crate) cut: Option<Cut>,
    /// The token goes along as `Last-Event-ID`, too, as it does where a browser asks.
    pub(crate) as_browser: bool,
    /// Until then others read the stream, and leave no room for this client.
    pub(crate) crowd: bool,
    /// The answer comes in small pieces, with a pause behind each. The kernel keeps more and more for a client that takes
    /// fast, which would look like the client's own reading ahead.
    pub(crate) paced: bool,
}

impl Pass {
    pub(crate) fn cut(at: At, how: How) -> Fate {
        Fate::Pass(Self { cut: Some(Cut { at, how, shut: None }), ..Self::default() })
    }
}

impl Fate {
    pub(crate) fn pass() -> Self {
        Self::Pass(Pass::default())
    }
}

pub(crate) struct Cut {
    pub(crate) at: At,
    pub(crate) how: How,
    /// From then on connections are refused until it is so.
    pub(crate) shut: Option<Until>,
}

/// Where an answer is broken off.
pub(crate) enum At {
    /// Before its first byte, once the handler was called.
    Nothing,
    /// After so many bytes, the head among them.
    Bytes(u64),
    /// After so many bytes of the body.
    Body(u64),
    /// Once so many events have gone out whole.
    Event(u64),
    /// In the midst of what looks so, from this byte of the body on.
    Inside(Spot, u64),
    /// When it is so, between two writes.
    When(Until),
}

/// Where a parser is most easily confused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spot {
    /// Between the bytes of one character.
    Utf8,
    /// Between CR and LF.
    CrLf,
    /// Within the value of an `id` line.
    Id,
}

impl Spot {
    /// The first such spot of these bytes: how many of them go out. `before` is the byte before them.
    pub(crate) fn find(self, bytes: &[u8], before: Option<u8>) -> Option<usize> {
        match self {
            Self::Utf8 => bytes.iter().position(|byte| byte & 0xc0 == 0x80),
            Self::CrLf => {
                let mut last = before;
                bytes.iter().position(|byte| last.replace(*byte) == Some(b'\r') && *byte == b'\n')
            }
            Self::Id => {
                let at = bytes.windows(5).position(|window| window == b"\nid: ")?;
                Some((at + 25).min(bytes.len()))
            }
        }
    }
}

/// How an answer is broken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// The connection is reset.
    Reset,
    /// The connection is closed, in the midst of the answer.
    Close,
    /// The answer ends as if it were whole.
    Clean,
    /// No more bytes come, and the connection stays.
    Stall,
}

/// An answer of the proxy's own.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: &'static str,
    pub(crate) body: &'static str,
    pub(crate) retry_after: Option<RetryAfter>,
}

/// The two ways to spell it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RetryAfter {
    Seconds(u64),
    /// A date so far ahead.
    Date(Duration),
}

impl Answer {
    pub(crate) const fn new(status: StatusCode) -> Self {
        Self { status, content_type: "text/plain", body: "", retry_after: None }
    }

    pub(crate) const fn html(status: StatusCode, body: &'static str) -> Self {
        Self { status, content_type: "text/html", body, retry_after: None }
    }

    pub(crate) const fn problem(status: StatusCode, body: &'static str) -> Self {
        Self { status, content_type: "application/problem+json", body, retry_after: None }
    }

    pub(crate) const fn retry_after(self, retry_after: RetryAfter) -> Self {
        Self { retry_after: Some(retry_after), ..self }
    }
}

/// What the proxy knows when it decides.
pub(crate) struct Asked<'a> {
    pub(crate) world: &'a World,
    /// The how-manieth request this is, from 1.
    pub(crate) number: usize,
    /// The how-manieth request that brings a token or a `Last-Event-ID`, from 1; 0: it brings none.
    pub(crate) resume: usize,
}

/// Decides on each request in turn.
pub(crate) type Fates = Box<dyn FnMut(&Asked<'_>) -> Fate + Send>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spots_are_where_a_parser_is_most_easily_confused() {
        assert_eq!(Spot::Utf8.find("aü".as_bytes(), None), Some(2));
        assert_eq!(Spot::Utf8.find(b"abc", None), None);
        assert_eq!(Spot::CrLf.find(b"a\r\nb", None), Some(2));
        assert_eq!(Spot::CrLf.find(b"\nb", Some(b'\r')), Some(0));
        assert_eq!(Spot::CrLf.find(b"\nb\r", Some(b'\n')), None);
        let id = b"data: x\nid: abcdefghijklmnopqrstuvwxyz0123456789\n\n";
        let at = Spot::Id.find(id, None).unwrap();
        assert!(id[..at].ends_with(b"abcdefghijklmnopqrst"), "within the token: {at}");
    }
}
