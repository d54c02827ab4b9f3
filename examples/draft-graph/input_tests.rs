//! Each field at its limits, and how several errors are told at once.

use super::*;
use proptest::prelude::*;
use serde_json::json;

const BRIEF: &str = "Should we raise the Pro price or keep it as it is?";

fn with(name: &str, value: Value) -> Result<DraftGraphInput, ErrorV1> {
    let mut body = json!({ "brief": BRIEF });
    body[name] = value;
    parse(body.to_string().as_bytes())
}

/// The messages for one field; panics if the input was fine.
fn messages(name: &str, value: Value) -> Vec<String> {
    let error = with(name, value.clone()).expect_err(&format!("{name} = {value}"));
    assert_eq!((error.code.as_str(), error.message.as_str()), ("BAD_INPUT", "invalid input"));
    let details = error.details.unwrap();
    assert_eq!(details["formErrors"], json!([]));
    serde_json::from_value(details["fieldErrors"][name].clone()).unwrap_or_default()
}

#[test]
fn a_brief_has_30_to_5000_characters() {
    for (length, fine) in [(29, false), (30, true), (5000, true), (5001, false)] {
        let result = with("brief", json!("ä".repeat(length)));
        assert_eq!(result.is_ok(), fine, "{length}");
    }
    assert_eq!(messages("brief", json!("short")), ["String must contain at least 30 character(s)"]);
    assert_eq!(messages("brief", json!(5)), ["Expected string, received number"]);
    assert_eq!(messages("brief", json!(null)), ["Expected string, received null"]);
    let missing = parse(b"{}").unwrap_err().details.unwrap();
    assert_eq!(missing, json!({"formErrors": [], "fieldErrors": {"brief": ["Required"]}}));
}

#[test]
fn what_is_no_object_is_a_form_error() {
    let form = |body: &[u8]| parse(body).unwrap_err().details.unwrap()["formErrors"][0].clone();
    assert_eq!(form(b"[]"), "Expected object, received array");
    assert_eq!(form(b"\"x\""), "Expected object, received string");
    assert_eq!(form(b"{"), "Invalid JSON at line 1 column 1");
    assert_eq!(form(b""), "Invalid JSON at line 1 column 0");
    assert_eq!(form(b"\xff"), "Invalid JSON at line 1 column 1");
}

#[test]
fn all_errors_are_told_at_once_by_field() {
    let body = json!({"brief": "short", "include_debug": "yes", "seed": 5, "unknown": [1]});
    let details = parse(body.to_string().as_bytes()).unwrap_err().details.unwrap();
    let fields = details["fieldErrors"].as_object().unwrap();
    assert_eq!(fields.keys().collect::<Vec<_>>(), ["brief", "include_debug", "seed"]);
}

#[test]
fn unknown_members_are_stripped() {
    let plain = parse(json!({"brief": BRIEF}).to_string().as_bytes()).unwrap();
    assert_eq!(with("who_knows", json!({"deep": 1})).unwrap(), plain);
}

#[test]
fn each_field_is_held_to_its_limit() {
    let long = |n: usize| json!("x".repeat(n));
    let many = |n: usize, item: Value| Value::Array(vec![item; n]);
    let cases = [
        (
            "attachments",
            json!([{"id": "a", "kind": "pdf", "name": "n"}]),
            json!([{"id": "a", "kind": "document", "name": "n"}]),
        ),
        ("attachments", json!([]), json!([{"id": "a"}])),
        ("attachment_payloads", json!({"a": "aGk=", "b": {"data": "x", "encoding": "base64"}}), json!({"a": 5})),
        ("attachment_payloads", json!({"a": {"data": "x"}}), json!({"a": {"encoding": "base64"}})),
        ("constraints", json!({"region": "EU", "n": [1]}), json!("EU")),
        ("flags", json!({"grounding": true}), json!({"grounding": "yes"})),
        ("include_debug", json!(true), json!(1)),
        ("focus_areas", json!(["structure", "provenance"]), json!(["style"])),
        ("context", json!({"goals": many(5, long(200))}), json!({"goals": many(6, long(200))})),
        ("context", json!({"goals": [long(5)]}), json!({"goals": [long(4)]})),
        ("context", json!({}), json!({"goals": [long(201)]})),
        ("refinement_mode", json!("prune"), json!("shrink")),
        ("refinement_instructions", long(2000), long(2001)),
        ("refinement_instructions", long(1), long(0)),
        ("preserve_nodes", many(50, json!("x")), many(51, json!("x"))),
        ("clarification_rounds_completed", json!(3), json!(4)),
        ("clarification_rounds_completed", json!(0), json!(-1)),
        ("max_clarifier_rounds", json!(10), json!(11)),
        ("max_clarifier_rounds", json!(0), json!(1.5)),
        ("clarifier_response", json!({"question_id": "q", "answer": "a"}), json!({"answer": "a"})),
        ("conversation_history", json!([{}]), json!(["hello"])),
        ("raw_output", json!(true), json!("no")),
        ("fixtures", json!(true), json!("true")),
        ("seed", json!("abc"), json!(17)),
        ("archetype_hint", json!("pricing"), json!({})),
        ("previous_graph", json!({"nodes": [], "edges": []}), json!({"nodes": 5})),
    ];
    for (name, good, bad) in cases {
        assert!(with(name, good.clone()).is_ok(), "{name}: {good} refused");
        assert!(!messages(name, bad.clone()).is_empty(), "{name}: {bad} accepted");
    }
}

#[test]
fn values_arrive_where_they_belong() {
    let body = json!({
        "brief": BRIEF,
        "attachments": [{"id": "a", "kind": "txt", "name": "notes"}, {"id": "b", "kind": "csv", "name": "table"}],
        "attachment_payloads": {"a": "aGk="},
        "context": {"goals": ["Grow revenue"]},
        "clarifier_response": {"question_id": "q1", "answer": "£20k"},
        "sim_runs": 5, "sim_label": "y".repeat(600), "sim_on": true, "sim_deep": {},
        "previous_graph": {"nodes": [{"id": "dec_a", "kind": "decision"}], "edges": []},
        "refinement_mode": "expand", "preserve_nodes": ["dec_a"],
    });
    let input = parse(body.to_string().as_bytes()).unwrap();
    assert_eq!(input.attachments[0].payload.as_ref().unwrap().data, "aGk=");
    assert_eq!(input.attachments[1].payload, None);
    assert_eq!(input.goals, ["Grow revenue"]);
    assert_eq!(input.clarifier_answer.as_deref(), Some("£20k"));
    assert_eq!(input.sim.keys().collect::<Vec<_>>(), ["sim_label", "sim_on", "sim_runs"]);
    assert_eq!(input.sim["sim_label"].len(), 500);
    let refinement = input.refinement.unwrap();
    assert_eq!((refinement.mode, refinement.graph.nodes.len()), ("expand", 1));
    assert!(refinement.preserve.contains("dec_a"));
}

#[test]
fn a_thousand_errors_are_told_as_ten() {
    assert_eq!(messages("focus_areas", json!(vec![5; 1000])).len(), 10);
    assert_eq!(messages("previous_graph", json!({"nodes": vec![5; 1000], "edges": []})).len(), 10);
}

#[test]
fn no_more_than_ten_sim_members_pass() {
    let mut body = json!({ "brief": BRIEF });
    for i in 0..15 {
        body[format!("sim_{i:02}")] = json!(i);
    }
    assert_eq!(parse(body.to_string().as_bytes()).unwrap().sim.len(), 10);
}

proptest! {
    #[test]
    fn any_bytes_are_answered(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&body);
    }
}
