//! The layer's own events, as a client reads them: leniently, since the server may be newer.

use super::item::{Diagnostics, GapReason};
use crate::EndStatus;
use serde::{Deserialize, Deserializer, de::Error as _};

/// The highest seq that is believed, which leaves room to count on from. No stream comes near it, and no larger number is
/// exact in every JSON.
const MAX_SEQ: u64 = (1 << 53) - 1;

/// A seq. A control event with one that cannot be is none.
pub(super) fn seq<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let seq = u64::deserialize(deserializer)?;
    if seq > MAX_SEQ { Err(D::Error::custom("no stream is so long")) } else { Ok(seq) }
}

/// What a control event says.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "phase", rename_all = "lowercase")]
pub(super) enum Control {
    Open(Greeting),
    Replay(Greeting),
    Gap {
        #[serde(deserialize_with = "seq")]
        from: u64,
        #[serde(deserialize_with = "seq")]
        to: u64,
        reason: GapReason,
    },
    Live {},
    Snapshot {
        #[serde(deserialize_with = "seq")]
        seq: u64,
        #[serde(default)]
        status: String,
    },
    Token {
        token: String,
        expires_at: Option<u64>,
    },
    Wait {
        token: Option<String>,
    },
    End {
        #[serde(default)]
        status: String,
        #[serde(deserialize_with = "seq")]
        seq: u64,
        #[serde(default)]
        diagnostics: Diagnostics,
    },
}

/// The first event of a response.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Greeting {
    pub(super) token: String,
    pub(super) request_id: String,
    pub(super) expires_at: Option<u64>,
    /// The cursor that the response goes on from.
    #[serde(default, deserialize_with = "seq")]
    pub(super) from: u64,
}

impl Control {
    /// Reads the JSON of a control event. `None` if it is none: the application may use the name, too.
    pub(super) fn parse(json: &str) -> Option<Self> {
        json.starts_with('{').then(|| serde_json::from_str(json).ok())?
    }

    /// The phase, as the wire has it.
    pub(super) const fn phase(&self) -> &'static str {
        match self {
            Self::Open(_) => "open",
            Self::Replay(_) => "replay",
            Self::Gap { .. } => "gap",
            Self::Live {} => "live",
            Self::Snapshot { .. } => "snapshot",
            Self::Token { .. } => "token",
            Self::Wait { .. } => "wait",
            Self::End { .. } => "end",
        }
    }
}

/// How a stream has ended; `None` while it runs.
pub(super) fn status(word: &str) -> Option<EndStatus> {
    match word {
        "running" => None,
        "complete" => Some(EndStatus::Complete),
        "cancelled" => Some(EndStatus::Cancelled),
        "interrupted" => Some(EndStatus::Interrupted),
        // A newer server may know of more; that the result is whole is not to be assumed of any.
        _ => Some(EndStatus::Error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        RequestId,
        control::{Control as Written, Diagnostics as WrittenDiagnostics, GapReason as WrittenReason},
    };

    fn read(written: &Written<'_>) -> Option<Control> {
        Control::parse(&serde_json::to_string(written).unwrap())
    }

    #[test]
    fn what_the_layer_writes_is_read() {
        let request_id = RequestId::from_bytes([1; 16]);
        let greeting =
            |from| Greeting { token: "T".into(), request_id: request_id.to_string(), expires_at: Some(9), from };
        let open = Written::Open { token: "T", request_id, expires_at: 9 };
        assert_eq!(read(&open), Some(Control::Open(greeting(0))));
        let replay = Written::Replay {
            token: "T",
            request_id,
            expires_at: 9,
            mode: "live",
            from: 4,
            first: 1,
            last: 7,
            status: "running",
        };
        assert_eq!(read(&replay), Some(Control::Replay(greeting(4))));
        for (written, reason) in [
            (WrittenReason::Trimmed, GapReason::Trimmed),
            (WrittenReason::Oversize, GapReason::Oversize),
            (WrittenReason::Lost, GapReason::Lost),
        ] {
            let gap = Written::Gap { from: 1, to: 3, reason: written };
            assert_eq!(read(&gap), Some(Control::Gap { from: 1, to: 3, reason }));
        }
        assert_eq!(read(&Written::Live { seq: 3, replayed: 2 }), Some(Control::Live {}));
        let snapshot = Written::Snapshot { seq: 3, status: "running" };
        assert_eq!(read(&snapshot), Some(Control::Snapshot { seq: 3, status: "running".into() }));
        let token = Written::Token { token: "T", expires_at: 9 };
        assert_eq!(read(&token), Some(Control::Token { token: "T".into(), expires_at: Some(9) }));
        let wait = Written::Wait { token: "T", reason: "x" };
        assert_eq!(read(&wait), Some(Control::Wait { token: Some("T".into()) }));
        for ended in [EndStatus::Complete, EndStatus::Error, EndStatus::Interrupted, EndStatus::Cancelled] {
            let diagnostics = WrittenDiagnostics { resumes: 1, trims: 2, recovered_events: 3, correlation_id: "c" };
            let Some(Control::End { status: word, seq: 5, diagnostics }) =
                read(&Written::End { status: ended, seq: 5, diagnostics })
            else {
                panic!("an end")
            };
            assert_eq!(status(&word), Some(ended));
            let expected = Diagnostics { resumes: 1, trims: 2, recovered_events: 3, correlation_id: "c".into() };
            assert_eq!(diagnostics, expected);
        }
    }

    #[test]
    fn what_is_none_is_left_to_the_application() {
        for json in ["", "x", "[]", "{}", r#"{"phase":"other"}"#, r#"{"phase":7}"#, r#"{"phase":"gap"}"#, "\"open\""] {
            assert_eq!(Control::parse(json), None, "{json}");
        }
    }

    #[test]
    fn what_a_newer_server_adds_is_passed_over() {
        let gap = Control::parse(r#"{"phase":"gap","from":1,"to":2,"reason":"burnt","more":{}}"#);
        assert_eq!(gap, Some(Control::Gap { from: 1, to: 2, reason: GapReason::Other }));
        let end = Control::parse(r#"{"phase":"end","seq":2,"status":"vanished","diagnostics":{"more":1}}"#);
        let status = "vanished".into();
        assert_eq!(end, Some(Control::End { status, seq: 2, diagnostics: Diagnostics::default() }));
        assert_eq!(super::status("vanished"), Some(EndStatus::Error));
        assert_eq!(super::status("running"), None);
    }
}
