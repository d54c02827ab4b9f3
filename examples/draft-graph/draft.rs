//! The drafter: from a checked input to a finished output, the same bytes for the same input, always.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::assemble::{self, Material};
use crate::critique;
use crate::error::{ErrorV1, empty_graph};
use crate::fixture;
use crate::graph::{Graph, ProvenanceSource, Sketch, Source};
use crate::grounding::{self, Document};
use crate::guards::{self, Correction};
use crate::input::{DraftGraphInput, Refinement};
use crate::limits::{BRIEF_MAX_CHARS, check_caps};
use crate::numbers::{self, Measure, Quantity};
use crate::output::{Debugging, DraftGraphOutput, Evidence, NeedleMover, Rationale, Trace, confidence};
use crate::refine;
use crate::strength::Seed;
use crate::text::{capitalise, clip, has_phrase};
use crate::topology;

/// Most constraints looked at: they are free-form, and whoever has more than these is not describing a decision.
const MAX_CONSTRAINTS: usize = 10;
/// Most issues told: enough to act on.
const MAX_ISSUES: usize = 20;

/// A finished draft, or why there is none.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Draft {
    pub(crate) result: Result<DraftGraphOutput, ErrorV1>,
    /// Where the pace takes its jitter from.
    pub(crate) seed: Seed,
    /// Answered at once, with no steps to show.
    pub(crate) instant: bool,
}

/// Reads the attachments of an input, where it asks for that.
///
/// Apart from [`draft`], since what is wrong here is wrong with the request and told before any stream begins.
///
/// # Errors
///
/// See [`grounding::documents`].
pub(crate) fn ground(input: &DraftGraphInput) -> Result<Vec<Document>, ErrorV1> {
    if input.flag("grounding") { grounding::documents(&input.attachments) } else { Ok(Vec::new()) }
}

pub(crate) fn draft(input: &DraftGraphInput, documents: &[Document]) -> Draft {
    let sim = input.sim.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
    let seed = Seed::of([input.brief.as_str(), input.seed.as_str()].into_iter().chain(sim));
    if input.fixtures {
        let evidence = evidence(input, documents, &[]);
        return Draft {
            result: Ok(DraftGraphOutput::plain(fixture::graph(), confidence(evidence))),
            seed,
            instant: true,
        };
    }
    let result = output(input, documents, seed);
    Draft { instant: result.is_err(), result, seed }
}

fn output(input: &DraftGraphInput, documents: &[Document], seed: Seed) -> Result<DraftGraphOutput, ErrorV1> {
    let quantities = numbers::quantities(&texts(input));
    let material = Material {
        brief: &input.brief,
        hint: input.archetype_hint.as_deref(),
        goals: &input.goals,
        quantities: &quantities,
        documents,
        seed,
    };
    let fresh = assemble::assemble(&material);
    let Shaped { graph, corrections, mut rationales } = match &input.refinement {
        None => {
            let (graph, corrections) = guards::apply(fresh.sketch, &BTreeSet::new(), Source::Assistant);
            Shaped { graph, corrections, rationales: fresh.rationales }
        }
        Some(refinement) => reshape(refinement, fresh.sketch, &quantities)?,
    };
    if graph.nodes.is_empty() {
        return Err(empty_graph());
    }
    let decision = graph.nodes.iter().find(|node| node.id.starts_with("dec_"));
    let target = decision.map_or("graph", |node| node.id.as_str());
    rationales.extend(constraint_rationales(input, target));
    // A reason for a node that a guard took away would point at nothing.
    rationales.retain(|why| why.target == "graph" || graph.nodes.iter().any(|node| node.id == why.target));
    let mut issues = topology::violations(&graph);
    issues.extend(critique::remarks(&graph, input));
    issues.truncate(MAX_ISSUES);
    let confidence = confidence(evidence(input, documents, &quantities));
    let debug = input.include_debug.then(|| needle_movers(&graph));
    let trace = (input.include_debug || !corrections.is_empty()).then(|| Trace::of(corrections));
    Ok(DraftGraphOutput { rationales, issues, debug, trace, ..DraftGraphOutput::plain(graph, confidence) })
}

struct Shaped {
    graph: Graph,
    corrections: Vec<Correction>,
    rationales: Vec<Rationale>,
}

/// The client's graph through the caps, the guards, the refinement, and the guards again.
fn reshape(refinement: &Refinement, fresh: Sketch, quantities: &[Quantity]) -> Result<Shaped, ErrorV1> {
    let sent = refinement.graph.clone();
    check_caps(sent.nodes.len(), sent.edges.len())?;
    let (sound, mut corrections) = guards::apply(sent, &refinement.preserve, Source::Assistant);
    if sound.nodes.is_empty() {
        return Err(empty_graph());
    }
    let sound = Sketch { nodes: sound.nodes, edges: sound.edges };
    let (refined, rationales) = refine::refine(sound, refinement, fresh, quantities);
    let (graph, more) = guards::apply(refined, &refinement.preserve, Source::Assistant);
    corrections.extend(more);
    Ok(Shaped { graph, corrections, rationales })
}

/// All that may hold numbers: the brief, what was answered or instructed, and the constraints, each a paragraph.
fn texts(input: &DraftGraphInput) -> String {
    let mut texts = vec![input.brief.clone()];
    texts.extend(input.clarifier_answer.as_deref().map(|answer| clip(answer, BRIEF_MAX_CHARS)));
    texts.extend(input.refinement.as_ref().map(|refinement| refinement.instructions.clone()));
    texts.extend(input.constraints.iter().take(MAX_CONSTRAINTS).filter_map(|(name, value)| match value {
        Value::String(text) => Some(clip(&format!("{name} {text}"), BRIEF_MAX_CHARS)),
        _ => None,
    }));
    texts.join("\n")
}

fn constraint_rationales(input: &DraftGraphInput, target: &str) -> Vec<Rationale> {
    let told = input.constraints.iter().take(MAX_CONSTRAINTS).filter_map(|(name, value)| {
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        let why = format!("Within the {} given: {}", clip(name, 40), capitalise(&clip(&value, 200)));
        Some(Rationale::new(target, &why, ProvenanceSource::Document))
    });
    told.collect()
}

fn evidence(input: &DraftGraphInput, documents: &[Document], quantities: &[Quantity]) -> Evidence {
    Evidence {
        brief_chars: input.brief.trim().chars().count(),
        contradictions: contradicts_itself(quantities),
        constraints: !input.constraints.is_empty(),
        documents: !documents.is_empty(),
    }
}

/// Two different budgets: the one contradiction that can be told without understanding.
fn contradicts_itself(quantities: &[Quantity]) -> bool {
    let budgets: Vec<f64> = quantities
        .iter()
        .filter(|quantity| quantity.measure == Measure::Money)
        .filter(|quantity| quantity.baseline.is_none() && quantity.range.is_none())
        .filter(|quantity| has_phrase(&quantity.context, "budget"))
        .map(|quantity| quantity.value)
        .collect();
    budgets.windows(2).any(|pair| pair.first() != pair.last())
}

fn needle_movers(graph: &Graph) -> Debugging {
    let mut movers: Vec<NeedleMover> = graph
        .edges
        .iter()
        .filter(|edge| edge.provenance_source != Some(ProvenanceSource::Engine))
        .filter_map(|edge| {
            let weight = edge.strength_mean?.abs() * edge.belief_exists?;
            Some(NeedleMover { edge: edge.id.clone(), weight: numbers::round(weight) })
        })
        .collect();
    movers.sort_by(|a, b| b.weight.total_cmp(&a.weight).then_with(|| a.edge.cmp(&b.edge)));
    movers.truncate(3);
    Debugging { needle_movers: movers }
}

#[cfg(test)]
#[path = "draft_tests.rs"]
mod tests;
