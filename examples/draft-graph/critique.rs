//! Remarks on a draft that breaks no rule but could be better. Only on request: by flag or focus area.

use crate::graph::{Extraction, Graph, Kind, ProvenanceSource};
use crate::input::DraftGraphInput;

pub(crate) fn remarks(graph: &Graph, input: &DraftGraphInput) -> Vec<String> {
    let wanted = |area| input.flag("critique") || input.focus_areas.contains(area);
    let mut found = Vec::new();
    if wanted("completeness") {
        let guessed = graph
            .nodes
            .iter()
            .filter(|node| node.factor().is_some_and(|data| data.extraction == Some(Extraction::Inferred)));
        found.extend(guessed.map(|node| format!("factor {}: no number in the brief, its value is a guess", node.id)));
    }
    if wanted("feasibility") {
        for name in ["budget", "timeline"] {
            if !input.constraints.contains_key(name) {
                found.push(format!("constraints: no {name} given"));
            }
        }
    }
    if wanted("structure") && !graph.nodes.iter().any(|node| node.kind == Kind::Risk) {
        found.push("graph: no risk considered".to_owned());
    }
    if wanted("provenance") {
        let guesses =
            graph.edges.iter().filter(|edge| edge.provenance_source == Some(ProvenanceSource::Hypothesis)).count();
        if guesses > 0 {
            found.push(format!("graph: {guesses} edges rest on the template alone"));
        }
    }
    found
}
