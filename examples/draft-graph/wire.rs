//! The form of the events on the wire, and what can be told of one from its text alone.
//!
//! The second half is for whoever classifies the events of a finished stream: it needs nothing but name and data.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

/// The name of all events of a draft.
pub(crate) const STAGE: &str = "stage";

/// A step of a draft, as the events name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StepName {
    Drafting,
    Complete,
}

impl StepName {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Drafting => "DRAFTING",
            Self::Complete => "COMPLETE",
        }
    }
}

/// A `stage` event. `data` is JSON in one line, so one `data:` line holds it.
pub(crate) fn frame(data: &str) -> String {
    format!("event: {STAGE}\ndata: {data}\n\n")
}

/// The step that a `stage` event's data belongs to; `None` for anything else.
pub(crate) fn step_of(data: &str) -> Option<StepName> {
    match head(data)?.stage.as_ref() {
        "DRAFTING" => Some(StepName::Drafting),
        "COMPLETE" => Some(StepName::Complete),
        _ => None,
    }
}

/// Whether an event is the last of its draft, good or bad.
pub(crate) fn is_complete(event: &str, data: &str) -> bool {
    event == STAGE && step_of(data) == Some(StepName::Complete)
}

/// Whether an event's payload is an error.
pub(crate) fn is_error(data: &str) -> bool {
    head(data)
        .and_then(|head| head.payload)
        .and_then(|payload| payload.schema)
        .is_some_and(|schema| schema == "error.v1")
}

/// The payload of a COMPLETE event, without the stage around it and byte for byte as it was sent; `None` for any other
/// event.
pub(crate) fn snapshot_payload(data: &str) -> Option<String> {
    if step_of(data)? != StepName::Complete {
        return None;
    }
    let bare = data
        .strip_prefix(r#"{"stage":"COMPLETE","payload":"#)
        .and_then(|rest| rest.strip_suffix('}'))
        // What our own events look like. Should somebody write one otherwise, it still has to be one whole value.
        .filter(|bare| serde_json::from_str::<IgnoredAny>(bare).is_ok());
    if let Some(bare) = bare {
        return Some(bare.to_owned());
    }
    let value: Value = serde_json::from_str(data).ok()?;
    value.get("payload").map(Value::to_string)
}

/// As much of an event's data as it takes to classify it.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    stage: Cow<'a, str>,
    #[serde(borrow, default)]
    payload: Option<PayloadHead<'a>>,
}

#[derive(Deserialize)]
struct PayloadHead<'a> {
    #[serde(borrow, default)]
    schema: Option<Cow<'a, str>>,
}

fn head(data: &str) -> Option<Head<'_>> {
    serde_json::from_str(data).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: &str = r#"{"stage":"COMPLETE","payload":{"graph":{"nodes":[]},"confidence":0.85}}"#;
    const ERROR: &str = r#"{"stage":"COMPLETE","payload":{"schema":"error.v1","code":"BAD_INPUT","message":"no"}}"#;
    const STEP: &str = r#"{"stage":"DRAFTING","payload":{"progress":0.5,"status":"x"}}"#;

    #[test]
    fn events_have_the_exact_form() {
        assert_eq!(frame("{}"), "event: stage\ndata: {}\n\n");
    }

    #[test]
    fn events_are_told_apart() {
        let cases = [
            (OK, Some(StepName::Complete), false),
            (ERROR, Some(StepName::Complete), true),
            (STEP, Some(StepName::Drafting), false),
            (r#"{"stage":"DRAFTING"}"#, Some(StepName::Drafting), false),
            (r#"{"stage":"OTHER"}"#, None, false),
            (r#"{"payload":{"schema":"error.v1"}}"#, None, false),
            ("not json", None, false),
            ("", None, false),
        ];
        for (data, step, error) in cases {
            assert_eq!(step_of(data), step, "{data}");
            assert_eq!(is_error(data), error, "{data}");
            assert_eq!(is_complete(STAGE, data), step == Some(StepName::Complete), "{data}");
            assert!(!is_complete("resume", data), "{data}");
        }
    }

    #[test]
    fn a_snapshot_is_the_bare_payload_whatever_its_spelling() {
        assert_eq!(snapshot_payload(OK).as_deref(), Some(r#"{"graph":{"nodes":[]},"confidence":0.85}"#));
        assert_eq!(snapshot_payload(r#"{ "payload": {"b":1}, "stage": "COMPLETE" }"#).as_deref(), Some(r#"{"b":1}"#));
        assert_eq!(snapshot_payload(r#"{"stage":"COMPLETE","payload":{"b":1},"x":{}}"#).as_deref(), Some(r#"{"b":1}"#));
        assert_eq!(snapshot_payload(STEP), None);
        assert_eq!(snapshot_payload(r#"{"stage":"COMPLETE"}"#), None);
    }
}
