//! `DraftGraphOutput`: what a client gets, field for field, and how sure the draft is of itself.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::graph::{Edge, Graph, Node, ProvenanceSource};
use crate::guards::Correction;
use crate::text::clip;

/// Longest reason of a rationale, in characters.
const WHY_CHARS: usize = 280;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct DraftGraphOutput {
    pub(crate) graph: Graph,
    pub(crate) patch: Patch,
    pub(crate) rationales: Vec<Rationale>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) issues: Vec<String>,
    pub(crate) clarifier_status: &'static str,
    pub(crate) confidence: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) debug: Option<Debugging>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trace: Option<Trace>,
}

impl DraftGraphOutput {
    /// A graph and how sure it is, with nothing else to say.
    pub(crate) fn plain(graph: Graph, confidence: f64) -> Self {
        Self {
            graph,
            patch: Patch::default(),
            rationales: Vec::new(),
            issues: Vec::new(),
            clarifier_status: clarifier_status(confidence),
            confidence,
            debug: None,
            trace: None,
        }
    }
}

/// Always empty: a draft is a whole graph, not a change to one.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Patch {
    adds: Adds,
    updates: Vec<Node>,
    removes: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
struct Adds {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Rationale {
    pub(crate) target: String,
    pub(crate) why: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) provenance_source: Option<ProvenanceSource>,
}

impl Rationale {
    pub(crate) fn new(target: &str, why: &str, source: ProvenanceSource) -> Self {
        Self { target: target.to_owned(), why: clip(why, WHY_CHARS), provenance_source: Some(source) }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Debugging {
    /// The edges that move the result most, strongest first.
    pub(crate) needle_movers: Vec<NeedleMover>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct NeedleMover {
    pub(crate) edge: String,
    pub(crate) weight: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Trace {
    corrections: Vec<Correction>,
    corrections_summary: Summary,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Summary {
    total: usize,
    by_layer: BTreeMap<&'static str, usize>,
    by_type: BTreeMap<&'static str, usize>,
}

impl Trace {
    pub(crate) fn of(corrections: Vec<Correction>) -> Self {
        let mut by_layer = BTreeMap::from([("adapter", 0), ("pipeline", 0), ("guards", 0)]);
        let mut by_type = BTreeMap::new();
        for correction in &corrections {
            *by_layer.entry(correction.layer).or_default() += 1;
            *by_type.entry(correction.kind).or_default() += 1;
        }
        let corrections_summary = Summary { total: corrections.len(), by_layer, by_type };
        Self { corrections, corrections_summary }
    }
}

/// What a payload says of its own delivery. The handler knows of no resume, so its counts are zero; the layer counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Diagnostics {
    pub(crate) resumes: u64,
    pub(crate) trims: u64,
    pub(crate) recovered_events: u64,
    pub(crate) correlation_id: String,
}

impl Diagnostics {
    /// Those of an answer that came in one piece.
    pub(crate) fn whole(correlation_id: &str) -> Self {
        Self { resumes: 0, trims: 0, recovered_events: 0, correlation_id: correlation_id.to_owned() }
    }
}

/// A payload, be it an output or an error, together with its diagnostics.
#[derive(Debug, Serialize)]
pub(crate) struct Completed<'a, T> {
    #[serde(flatten)]
    pub(crate) payload: &'a T,
    pub(crate) diagnostics: Diagnostics,
}

/// What speaks for a draft.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Evidence {
    pub(crate) brief_chars: usize,
    pub(crate) contradictions: bool,
    pub(crate) constraints: bool,
    pub(crate) documents: bool,
}

/// 0.5, and something for each thing that helps: 0.85 with a sound brief alone, 1 with everything.
pub(crate) fn confidence(evidence: Evidence) -> f64 {
    let percent = 50
        + if evidence.brief_chars > 10 { 20 } else { 0 }
        + if evidence.contradictions { 0 } else { 15 }
        + if evidence.constraints { 5 } else { 0 }
        + if evidence.documents { 10 } else { 0 };
    f64::from(percent) / 100.0
}

pub(crate) fn clarifier_status(confidence: f64) -> &'static str {
    if confidence >= 0.9 {
        "confident"
    } else if confidence < 0.8 {
        "max_rounds"
    } else {
        "complete"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confidence_is_085_with_a_sound_brief_alone() {
        let brief = Evidence { brief_chars: 30, ..Evidence::default() };
        let cases = [
            (brief, 0.85, "complete"),
            (Evidence { contradictions: true, ..brief }, 0.7, "max_rounds"),
            (Evidence { constraints: true, ..brief }, 0.9, "confident"),
            (Evidence { constraints: true, documents: true, ..brief }, 1.0, "confident"),
            (Evidence { contradictions: true, constraints: true, documents: true, ..brief }, 0.85, "complete"),
        ];
        for (evidence, expected, status) in cases {
            assert_eq!(confidence(evidence), expected, "{evidence:?}");
            assert_eq!(clarifier_status(expected), status, "{evidence:?}");
        }
    }

    #[test]
    fn a_trace_counts_by_layer_and_type() {
        let correction = |kind| Correction { layer: "guards", kind, target: "x".into() };
        let trace = Trace::of(vec![correction("edge_id"), correction("edge_id"), correction("node_cap")]);
        let json = serde_json::to_value(trace).unwrap();
        assert_eq!(json["corrections"][0]["type"], "edge_id");
        assert_eq!(
            json["corrections_summary"],
            serde_json::json!({
                "total": 3,
                "by_layer": {"adapter": 0, "guards": 3, "pipeline": 0},
                "by_type": {"edge_id": 2, "node_cap": 1},
            })
        );
    }

    #[test]
    fn a_rationale_is_never_longer_than_280_characters() {
        let rationale = Rationale::new("x", &"word ".repeat(100), ProvenanceSource::Metric);
        assert!(rationale.why.chars().count() <= 280);
    }
}
