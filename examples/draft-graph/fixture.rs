//! The six-node graph that stands in while a draft is not ready, and that answers `fixtures: true`.

use std::collections::BTreeSet;

use crate::graph::{Edge, Extraction, FactorData, Graph, Kind, Node, NodeData, Sketch, Source};
use crate::guards;
use crate::output::DraftGraphOutput;

/// How sure the placeholder is of itself.
const PLACEHOLDER_CONFIDENCE: f64 = 0.5;

pub(crate) fn graph() -> Graph {
    let mut factor = Node::new("fac_1", Kind::Factor, "Key factor");
    factor.data = Some(NodeData::Factor(FactorData {
        value: 1.0,
        baseline: None,
        unit: None,
        range: None,
        extraction: None::<Extraction>,
        confidence: None,
        range_min: None,
        range_max: None,
    }));
    let sketch = Sketch {
        nodes: vec![
            Node::new("goal_1", Kind::Goal, "Achieve primary objective"),
            Node::new("dec_1", Kind::Decision, "Consider options"),
            Node::new("opt_1", Kind::Option, "Option A"),
            Node::new("opt_2", Kind::Option, "Option B"),
            factor,
            Node::new("out_1", Kind::Outcome, "Expected result"),
        ],
        edges: vec![
            Edge::bare("dec_1", "opt_1"),
            Edge::bare("dec_1", "opt_2"),
            Edge::bare("opt_1", "fac_1"),
            Edge::bare("opt_2", "fac_1"),
            Edge::bare("fac_1", "out_1"),
            Edge::bare("out_1", "goal_1"),
        ],
    };
    guards::apply(sketch, &BTreeSet::new(), Source::Fixtures).0
}

/// The payload that is shown when a draft takes its time.
pub(crate) fn placeholder() -> DraftGraphOutput {
    DraftGraphOutput {
        // Not what the confidence would give: nothing was asked yet, so there is nothing to clarify.
        clarifier_status: "complete",
        ..DraftGraphOutput::plain(graph(), PLACEHOLDER_CONFIDENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fixture_is_the_known_graph() {
        let json = serde_json::to_value(placeholder()).unwrap();
        let ids = |list: &str, key: &str| -> Vec<String> {
            let items = json["graph"][list].as_array().unwrap();
            items.iter().map(|i| i[key].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(ids("nodes", "id"), ["dec_1", "fac_1", "goal_1", "opt_1", "opt_2", "out_1"]);
        assert_eq!(
            ids("edges", "id"),
            [
                "dec_1::opt_1::0",
                "dec_1::opt_2::0",
                "fac_1::out_1::0",
                "opt_1::fac_1::0",
                "opt_2::fac_1::0",
                "out_1::goal_1::0"
            ]
        );
        assert_eq!(json["graph"]["nodes"][1]["data"], serde_json::json!({"value": 1.0}));
        assert_eq!(json["graph"]["meta"]["source"], "fixtures");
        assert_eq!(json["graph"]["default_seed"], 17);
        assert_eq!(json["graph"]["version"], "1");
        assert_eq!(json["confidence"], 0.5);
        assert_eq!(json["clarifier_status"], "complete");
        assert_eq!(json["rationales"], serde_json::json!([]));
        assert_eq!(
            json["patch"],
            serde_json::json!({"adds": {"nodes": [], "edges": []}, "updates": [], "removes": []})
        );
        assert!(json.get("issues").is_none() && json.get("trace").is_none());
    }
}
