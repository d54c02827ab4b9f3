//! The AI SDK's UI message stream, as far as text needs it: one JSON object an event, `[DONE]` at the end.
//! See <https://ai-sdk.dev/docs/ai-sdk-ui/stream-protocol>.

use axum::body::Bytes;
use serde::Serialize;

/// The only text of a message has this id.
const TEXT: &str = "answer";

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub(crate) enum Part<'a> {
    Start { message_id: &'a str },
    StartStep,
    TextStart { id: &'static str },
    TextDelta { id: &'static str, delta: &'a str },
    TextEnd { id: &'static str },
    FinishStep,
    Finish,
}

impl Part<'_> {
    fn frame(&self) -> String {
        // A part has no map with other keys than strings, and nothing else of it could fail.
        format!("data: {}\n\n", serde_json::to_string(self).unwrap_or_default())
    }
}

fn frames(parts: &[Part<'_>]) -> Bytes {
    parts.iter().map(Part::frame).collect::<String>().into()
}

/// What comes before the first word.
pub(crate) fn begin(message_id: &str) -> Bytes {
    frames(&[Part::Start { message_id }, Part::StartStep, Part::TextStart { id: TEXT }])
}

pub(crate) fn word(delta: &str) -> Bytes {
    frames(&[Part::TextDelta { id: TEXT, delta }])
}

/// What comes after the last word.
pub(crate) fn finish() -> Bytes {
    let mut text = frames(&[Part::TextEnd { id: TEXT }, Part::FinishStep, Part::Finish]).to_vec();
    text.extend_from_slice(b"data: [DONE]\n\n");
    text.into()
}

#[cfg(test)]
mod tests {
    use super::{begin, finish, word};

    #[test]
    fn parts_are_spelt_as_the_sdk_spells_them() {
        assert_eq!(
            begin("m1"),
            "data: {\"type\":\"start\",\"messageId\":\"m1\"}\n\ndata: {\"type\":\"start-step\"}\n\n\
             data: {\"type\":\"text-start\",\"id\":\"answer\"}\n\n"
        );
        assert_eq!(
            word("a \"b\"\n"),
            "data: {\"type\":\"text-delta\",\"id\":\"answer\",\"delta\":\"a \\\"b\\\"\\n\"}\n\n"
        );
        assert_eq!(
            finish(),
            "data: {\"type\":\"text-end\",\"id\":\"answer\"}\n\ndata: {\"type\":\"finish-step\"}\n\n\
             data: {\"type\":\"finish\"}\n\ndata: [DONE]\n\n"
        );
    }
}
