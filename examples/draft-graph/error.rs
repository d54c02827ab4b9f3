//! The `error.v1` envelope: the one shape in which every failure is told, in JSON and in the stream alike.

use serde::Serialize;
use serde_json::{Value, json};

/// The request is at fault; sending it again unchanged will fail again.
pub(crate) const BAD_INPUT: &str = "BAD_INPUT";
/// No such path.
pub(crate) const NOT_FOUND: &str = "NOT_FOUND";

/// An `error.v1` object. A struct and not a `Value`, so that `schema` stays the first member on the wire.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ErrorV1 {
    pub(crate) schema: &'static str,
    pub(crate) code: String,
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) details: Option<Value>,
}

/// Builds an `error.v1` object.
pub(crate) fn error_v1(code: impl Into<String>, message: impl Into<String>, details: Option<Value>) -> ErrorV1 {
    ErrorV1 { schema: "error.v1", code: code.into(), message: message.into(), details }
}

/// A `BAD_INPUT` error with details.
pub(crate) fn bad_input(message: impl Into<String>, details: Value) -> ErrorV1 {
    error_v1(BAD_INPUT, message, Some(details))
}

/// Nothing is left to show once the guards have run: says so, and how to do better.
pub(crate) fn empty_graph() -> ErrorV1 {
    bad_input(
        "Draft graph is empty after validation and repair",
        json!({
            "reason": "empty_graph",
            "node_count": 0,
            "edge_count": 0,
            "cee_error_code": "CEE_GRAPH_INVALID",
            "recovery": {
                "suggestion": "Describe the decision in more detail, then draft again.",
                "hints": [
                    "Name the choice itself, as a question: should we do X or Y?",
                    "List the two or three options that are really on the table.",
                    "Say how you will know that it went well: an outcome, a figure, a date.",
                ],
                "example": "Should we build the billing service ourselves or buy one? \
                    We have 3 engineers and a budget of £80k. Success means invoices going out within 4 months.",
            },
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schema_comes_first_and_absent_details_are_left_out() {
        assert_eq!(
            serde_json::to_string(&error_v1(NOT_FOUND, "no such path", None)).unwrap(),
            r#"{"schema":"error.v1","code":"NOT_FOUND","message":"no such path"}"#
        );
    }

    #[test]
    fn an_empty_graph_says_why_and_how_to_recover() {
        let error = empty_graph();
        assert_eq!(error.code, BAD_INPUT);
        assert_eq!(error.message, "Draft graph is empty after validation and repair");
        let details = error.details.unwrap();
        assert_eq!(details["reason"], "empty_graph");
        assert_eq!(details["recovery"]["hints"].as_array().unwrap().len(), 3);
        assert!(details["recovery"]["suggestion"].is_string());
        let example = details["recovery"]["example"].as_str().unwrap();
        assert!(example.len() >= 30 && !example.contains("  "), "{example}");
    }
}
