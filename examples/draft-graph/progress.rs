//! A draft as a sequence of events: each node and each edge as it comes into being, then the whole.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::draft::Draft;
use crate::fixture;
use crate::graph::{Edge, Graph, Kind, Node, Position};
use crate::layout;
use crate::numbers::round;
use crate::output::{Completed, Diagnostics, DraftGraphOutput};
use crate::text::clip;

/// The first event of every stream.
pub(crate) const STARTED: &str = r#"{"stage":"DRAFTING"}"#;

/// The data of a `stage` event.
#[derive(Serialize)]
struct Stage<'a, P> {
    stage: &'static str,
    payload: &'a P,
}

/// The payload of a step.
#[derive(Serialize)]
struct Step<'a> {
    progress: f64,
    status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<Placed<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    edge: Option<&'a Edge>,
    step: usize,
    steps: usize,
}

/// A node with the place it is going to have, so that a page can draw it at once.
#[derive(Serialize)]
struct Placed<'a> {
    #[serde(flatten)]
    node: &'a Node,
    position: Position,
}

enum Part<'a> {
    Node(&'a Node),
    Edge(&'a Edge),
}

/// The data of all steps of a draft, in order. At least `at_least` of them: between the real ones come steps that
/// bring nothing new, for those who want a longer stream.
pub(crate) fn steps(draft: &Draft, at_least: usize) -> Vec<String> {
    let Ok(output) = &draft.result else {
        return Vec::new();
    };
    if draft.instant {
        return Vec::new();
    }
    let parts = parts(&output.graph);
    let steps = at_least.max(parts.len());
    let mut shown = None;
    (0..steps)
        .filter_map(|step| {
            let at = step * parts.len() / steps;
            let part = parts.get(at)?;
            let new = shown.replace(at) != Some(at);
            Some(data("DRAFTING", &payload(&output.graph, part, new, step + 1, steps)))
        })
        .collect()
}

/// The data of the placeholder.
pub(crate) fn placeholder() -> String {
    data("DRAFTING", &fixture::placeholder())
}

/// The data of the last event: the output or the error, with diagnostics.
pub(crate) fn complete(result: &Draft, diagnostics: Diagnostics) -> String {
    match &result.result {
        Ok(payload) => data("COMPLETE", &Completed { payload, diagnostics }),
        Err(payload) => data("COMPLETE", &Completed { payload, diagnostics }),
    }
}

/// The data of a last event that is nothing but its payload, for what is refused before it began.
pub(crate) fn refused(payload: &impl Serialize) -> String {
    data("COMPLETE", payload)
}

/// The whole answer of the plain JSON endpoint.
pub(crate) fn whole(output: &DraftGraphOutput, diagnostics: Diagnostics) -> String {
    let completed = Completed { payload: output, diagnostics };
    json(&completed)
}

fn data<P: Serialize>(stage: &'static str, payload: &P) -> String {
    json(&Stage { stage, payload })
}

/// None of our types can fail to print: string keys and finite numbers only.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "{}".to_owned())
}

/// Nodes layer by layer, and each edge as soon as both its ends are there.
fn parts(graph: &Graph) -> Vec<Part<'_>> {
    let layers = layout::layers(&graph.nodes, &graph.edges);
    let mut nodes: Vec<&Node> = graph.nodes.iter().collect();
    nodes.sort_by_key(|node| (layers.get(node.id.as_str()), &node.id));
    let mut there = BTreeSet::new();
    let mut parts = Vec::new();
    for node in nodes {
        there.insert(node.id.as_str());
        parts.push(Part::Node(node));
        let joined = graph.edges.iter().filter(|edge| {
            (edge.from == node.id || edge.to == node.id)
                && there.contains(edge.from.as_str())
                && there.contains(edge.to.as_str())
        });
        parts.extend(joined.map(Part::Edge));
    }
    parts
}

fn payload<'a>(graph: &'a Graph, part: &Part<'a>, new: bool, step: usize, steps: usize) -> Step<'a> {
    let status = if new { status(graph, part) } else { "Weighing what is there".to_owned() };
    let position = |node: &Node| graph.meta.suggested_positions.get(&node.id).copied();
    let (node, edge) = match part {
        _ if !new => (None, None),
        Part::Node(node) => (position(node).map(|position| Placed { node, position }), None),
        Part::Edge(edge) => (None, Some(*edge)),
    };
    Step { progress: round(step as f64 / steps as f64), status, node, edge, step, steps }
}

fn status(graph: &Graph, part: &Part<'_>) -> String {
    let name = |id: &str| {
        let node = graph.nodes.iter().find(|node| node.id == id);
        clip(node.map_or(id, Node::name), 48)
    };
    match part {
        Part::Node(node) => {
            let doing = match node.kind {
                Kind::Decision => "Framing the decision",
                Kind::Option => "Laying out an option",
                Kind::Factor => "Sizing a factor",
                Kind::Outcome => "Expecting an outcome",
                Kind::Risk => "Naming a risk",
                Kind::Goal => "Setting the goal",
                Kind::Action => "Planning an action",
            };
            format!("{doing}: {}", clip(node.name(), 80))
        }
        Part::Edge(edge) => format!("Linking {} to {}", name(&edge.from), name(&edge.to)),
    }
}

#[cfg(test)]
#[path = "progress_tests.rs"]
mod tests;
