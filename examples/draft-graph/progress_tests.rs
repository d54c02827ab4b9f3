//! The sequence of a draft's events, and what each of them carries.

use super::*;
use crate::draft::draft;
use crate::input;
use serde_json::{Value, json};

const BRIEF: &str = "Should we raise the Pro price from £49 to £59, or keep it as it is?";

fn drafted(body: Value) -> Draft {
    draft(&input::parse(body.to_string().as_bytes()).unwrap(), &[])
}

fn parsed(events: &[String]) -> Vec<Value> {
    events.iter().map(|data| serde_json::from_str(data).unwrap()).collect()
}

#[test]
fn each_node_and_each_edge_comes_once_and_an_edge_after_both_its_ends() {
    let draft = drafted(json!({ "brief": BRIEF }));
    let graph = draft.result.clone().unwrap().graph;
    let events = parsed(&steps(&draft, 0));
    assert_eq!(events.len(), graph.nodes.len() + graph.edges.len());
    assert!((18..=38).contains(&events.len()), "with the first and the last 20 to 40");
    let (mut nodes, mut edges) = (BTreeSet::new(), BTreeSet::new());
    for (i, event) in events.iter().enumerate() {
        assert_eq!(event["stage"], "DRAFTING");
        let payload = &event["payload"];
        assert_eq!(payload["step"], i + 1);
        assert_eq!(payload["steps"], events.len());
        assert!(payload["status"].as_str().is_some_and(|status| !status.is_empty()));
        match (payload.get("node"), payload.get("edge")) {
            (Some(node), None) => {
                let id = node["id"].as_str().unwrap().to_owned();
                let at = graph.meta.suggested_positions[&id];
                assert_eq!(node["position"], json!({"x": at.x, "y": at.y}));
                assert!(nodes.insert(id));
            }
            (None, Some(edge)) => {
                for end in ["from", "to"] {
                    assert!(nodes.contains(edge[end].as_str().unwrap()), "{edge} before its end");
                }
                assert!(edges.insert(edge["id"].as_str().unwrap().to_owned()));
            }
            both => panic!("one of node and edge expected: {both:?}"),
        }
    }
    assert_eq!((nodes.len(), edges.len()), (graph.nodes.len(), graph.edges.len()));
}

#[test]
fn progress_grows_from_above_zero_to_one() {
    let events = parsed(&steps(&drafted(json!({ "brief": BRIEF })), 0));
    let progress: Vec<f64> = events.iter().map(|e| e["payload"]["progress"].as_f64().unwrap()).collect();
    assert!(progress[0] > 0.0 && progress.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!(progress.last(), Some(&1.0));
}

#[test]
fn the_decision_is_first_and_the_goal_the_last_node() {
    let events = parsed(&steps(&drafted(json!({ "brief": BRIEF })), 0));
    assert_eq!(events[0]["payload"]["node"]["kind"], "decision");
    let last = events.iter().rev().find_map(|e| e["payload"].get("node")).unwrap();
    assert_eq!(last["kind"], "goal");
}

#[test]
fn a_longer_stream_has_the_same_steps_and_fillers_between() {
    let draft = drafted(json!({ "brief": BRIEF }));
    let real = parsed(&steps(&draft, 0));
    let long = parsed(&steps(&draft, 300));
    assert_eq!(long.len(), 300);
    let part = |e: &Value| e["payload"].get("node").or(e["payload"].get("edge")).cloned();
    let kept: Vec<Value> = long.iter().filter_map(part).collect();
    assert_eq!(kept, real.iter().filter_map(part).collect::<Vec<_>>());
}

#[test]
fn an_error_and_the_fixture_have_no_steps() {
    assert!(steps(&drafted(json!({ "brief": BRIEF, "fixtures": true })), 300).is_empty());
    let empty = json!({ "brief": BRIEF, "previous_graph": {"nodes": [], "edges": []} });
    assert!(steps(&drafted(empty), 300).is_empty());
}

#[test]
fn the_last_event_is_the_whole_output_with_diagnostics() {
    let draft = drafted(json!({ "brief": BRIEF }));
    let data = complete(&draft, Diagnostics::whole("id-1"));
    assert!(data.starts_with(r#"{"stage":"COMPLETE","payload":{"graph":{"version":"1","default_seed":17,"nodes":["#));
    let event: Value = serde_json::from_str(&data).unwrap();
    let payload = &event["payload"];
    assert_eq!(
        payload["diagnostics"],
        json!({"resumes": 0, "trims": 0, "recovered_events": 0, "correlation_id": "id-1"})
    );
    let mut output = serde_json::to_value(draft.result.unwrap()).unwrap();
    output["diagnostics"] = payload["diagnostics"].clone();
    assert_eq!(payload, &output);
}

#[test]
fn an_errors_last_event_is_error_v1() {
    let empty = json!({ "brief": BRIEF, "previous_graph": {"nodes": [], "edges": []} });
    let data = complete(&drafted(empty), Diagnostics::whole("id-1"));
    assert!(data.starts_with(r#"{"stage":"COMPLETE","payload":{"schema":"error.v1","code":"BAD_INPUT""#), "{data}");
    assert!(crate::wire::is_error(&data) && crate::wire::is_complete("stage", &data));
}
