//! The layer's own events: one JSON object each, as an event or as a comment.

use crate::{EndStatus, RequestId};
use bytes::BufMut as _;
use serde::Serialize;
use std::time::Duration;

/// What a control event says. The order of members is the order on the wire.
#[derive(Debug, Serialize)]
#[serde(tag = "phase", rename_all = "lowercase")]
pub(crate) enum Control<'a> {
    Open {
        token: &'a str,
        request_id: RequestId,
        expires_at: u64,
    },
    Replay {
        token: &'a str,
        request_id: RequestId,
        expires_at: u64,
        mode: &'static str,
        from: u64,
        first: u64,
        last: u64,
        status: &'static str,
    },
    Gap {
        from: u64,
        to: u64,
        reason: GapReason,
    },
    Live {
        seq: u64,
        replayed: u64,
    },
    Snapshot {
        seq: u64,
        status: &'static str,
    },
    Token {
        token: &'a str,
        expires_at: u64,
    },
    Wait {
        token: &'a str,
        reason: &'static str,
    },
    End {
        status: EndStatus,
        seq: u64,
        diagnostics: Diagnostics<'a>,
    },
}

/// Why a client never gets some events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum GapReason {
    Trimmed,
    Oversize,
    Lost,
}

impl GapReason {
    /// The word that goes over the wire.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Trimmed => "trimmed",
            Self::Oversize => "oversize",
            Self::Lost => "lost",
        }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct Diagnostics<'a> {
    pub(crate) resumes: u64,
    pub(crate) trims: u64,
    pub(crate) recovered_events: u64,
    pub(crate) correlation_id: &'a str,
}

/// How control events are written on one response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style<'a> {
    /// The event's name.
    pub(crate) name: &'a str,
    pub(crate) as_comments: bool,
    pub(crate) with_ids: bool,
}

impl Style<'_> {
    /// Appends a control event: its data, then `retry:` where there is one, then the id, then the blank line.
    pub(crate) fn write(self, out: &mut Vec<u8>, control: &Control<'_>, token: &[u8], retry: Option<Duration>) {
        if self.as_comments {
            out.put_slice(b": ");
            out.put_slice(self.name.as_bytes());
            out.put_slice(b" ");
            json(out, control);
            out.put_slice(b"\n\n");
            return;
        }
        out.put_slice(b"event: ");
        out.put_slice(self.name.as_bytes());
        out.put_slice(b"\ndata: ");
        json(out, control);
        if let Some(retry) = retry {
            out.put_slice(b"\nretry: ");
            out.put_slice(crate::clock::millis(retry).to_string().as_bytes());
        }
        if self.with_ids {
            out.put_slice(b"\nid: ");
            out.put_slice(token);
        }
        out.put_slice(b"\n\n");
    }
}

fn json(out: &mut Vec<u8>, control: &Control<'_>) {
    // Writing numbers, words and base64 into memory cannot fail.
    let written = serde_json::to_writer(out, control);
    debug_assert!(written.is_ok(), "a control event is plain data");
}

/// Appends an event with `data`, whatever line ends it holds, and the id.
pub(crate) fn write_event(out: &mut Vec<u8>, name: &str, data: &[u8], token: Option<&[u8]>) {
    out.put_slice(b"event: ");
    out.put_slice(name.as_bytes());
    let mut rest = data;
    loop {
        out.put_slice(b"\ndata: ");
        let Some(at) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
            out.put_slice(rest);
            break;
        };
        let (line, end) = rest.split_at(at);
        out.put_slice(line);
        rest = end.strip_prefix(b"\r\n").or_else(|| end.get(1..)).unwrap_or_default();
    }
    if let Some(token) = token {
        out.put_slice(b"\nid: ");
        out.put_slice(token);
    }
    out.put_slice(b"\n\n");
}

/// The comment that says nothing but that the stream lives.
pub(crate) const HEARTBEAT: &[u8] = b": heartbeat\n\n";

/// `retry` within a quarter of itself to either side, so that clients that were cut together do not come back together.
pub(crate) fn jittered(retry: Duration) -> Duration {
    retry.mul_f64(0.75 + 0.5 * fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STYLE: Style<'_> = Style { name: "resume", as_comments: false, with_ids: true };

    fn text(style: Style<'_>, control: &Control<'_>, retry: Option<Duration>) -> String {
        let mut out = Vec::new();
        style.write(&mut out, control, b"TOKEN", retry);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_control_event_ends_with_its_id_and_holds_its_retry() {
        let open = Control::Open { token: "T", request_id: RequestId::from_bytes([0; 16]), expires_at: 7 };
        assert_eq!(
            text(STYLE, &open, Some(Duration::from_millis(900))),
            "event: resume\ndata: {\"phase\":\"open\",\"token\":\"T\",\"request_id\":\
             \"00000000-0000-0000-0000-000000000000\",\"expires_at\":7}\nretry: 900\nid: TOKEN\n\n"
        );
    }

    #[test]
    fn a_comment_carries_neither_id_nor_retry() {
        let gap = Control::Gap { from: 3, to: 9, reason: GapReason::Trimmed };
        let style = Style { as_comments: true, ..STYLE };
        let expected = ": resume {\"phase\":\"gap\",\"from\":3,\"to\":9,\"reason\":\"trimmed\"}\n\n";
        assert_eq!(text(style, &gap, Some(Duration::from_secs(1))), expected);
    }

    #[test]
    fn without_ids_there_is_none() {
        let live = Control::Live { seq: 4, replayed: 2 };
        let style = Style { with_ids: false, ..STYLE };
        let expected = "event: resume\ndata: {\"phase\":\"live\",\"seq\":4,\"replayed\":2}\n\n";
        assert_eq!(text(style, &live, None), expected);
    }

    #[test]
    fn data_of_several_lines_becomes_several_data_lines() {
        let mut out = Vec::new();
        write_event(&mut out, "complete", b"a\nb\r\nc\r\n", Some(b"T"));
        assert_eq!(out, b"event: complete\ndata: a\ndata: b\ndata: c\ndata: \nid: T\n\n");
    }

    #[test]
    fn the_jitter_stays_within_a_quarter() {
        for _ in 0..1000 {
            let retry = jittered(Duration::from_millis(1000)).as_millis();
            assert!((750..=1250).contains(&retry), "{retry}");
        }
    }
}
