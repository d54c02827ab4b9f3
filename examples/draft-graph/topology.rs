//! The rules of the closed world (v4): which edges may be, and what a whole graph must have.
//!
//! decision → option → factor → outcome or risk → goal, and factor → factor where the second is nobody's to set. The
//! drafter keeps these by construction (its tests say so); of a graph that a client sent, [`violations`] become the
//! answer's `issues`.

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::{Direction, Edge, Graph, Kind, Node};

/// Strength of a structural edge: true by construction, so as good as certain. Mean, standard deviation, belief.
pub(crate) const STRUCTURAL: (f64, f64, f64) = (1.0, 0.01, 1.0);

/// Everything about `graph` that is against the rules, in the graph's order. Empty for a sound graph.
pub(crate) fn violations(graph: &Graph) -> Vec<String> {
    let mut found = Vec::new();
    counts(graph, &mut found);
    for node in &graph.nodes {
        if !node.id.starts_with(node.kind.prefix()) {
            found.push(format!("node {}: id should start with {}", node.id, node.kind.prefix()));
        }
    }
    let kinds: BTreeMap<&str, Kind> = graph.nodes.iter().map(|node| (node.id.as_str(), node.kind)).collect();
    let controllable = controllable(graph, &kinds);
    for edge in &graph.edges {
        let (Some(from), Some(to)) = (kinds.get(edge.from.as_str()), kinds.get(edge.to.as_str())) else {
            found.push(format!("edge {}: an end is missing", edge.id));
            continue;
        };
        if let Some(problem) = edge_problem(edge, *from, *to, &controllable) {
            found.push(format!("edge {}: {problem}", edge.id));
        }
    }
    connected(graph, &mut found);
    reaches(graph, &kinds, &mut found);
    options_differ(graph, &mut found);
    found
}

fn counts(graph: &Graph, found: &mut Vec<String>) {
    let count = |kind| graph.nodes.iter().filter(|node| node.kind == kind).count();
    for (kind, name) in [(Kind::Decision, "decision"), (Kind::Goal, "goal")] {
        let n = count(kind);
        if n != 1 {
            found.push(format!("graph: exactly one {name} expected, {n} found"));
        }
    }
    if count(Kind::Option) < 2 {
        found.push("graph: at least two options expected".to_owned());
    }
    if count(Kind::Outcome) + count(Kind::Risk) == 0 {
        found.push("graph: at least one outcome or risk expected".to_owned());
    }
}

/// Factors that an option sets.
fn controllable<'a>(graph: &'a Graph, kinds: &BTreeMap<&str, Kind>) -> BTreeSet<&'a str> {
    graph
        .edges
        .iter()
        .filter(|edge| kinds.get(edge.from.as_str()) == Some(&Kind::Option))
        .map(|edge| edge.to.as_str())
        .collect()
}

fn edge_problem(edge: &Edge, from: Kind, to: Kind, controllable: &BTreeSet<&str>) -> Option<String> {
    match (from, to) {
        (Kind::Decision, Kind::Option) | (Kind::Option, Kind::Factor) => {
            let strength = (edge.strength_mean, edge.strength_std, edge.belief_exists);
            let (mean, std, belief) = STRUCTURAL;
            (strength != (Some(mean), Some(std), Some(belief)))
                .then(|| "structural, so mean 1.0, std 0.01 and belief 1.0 expected".to_owned())
        }
        (Kind::Factor, Kind::Factor) if controllable.contains(edge.to.as_str()) => {
            Some("a factor may move only a factor that no option sets".to_owned())
        }
        (Kind::Factor, Kind::Factor | Kind::Outcome | Kind::Risk) => causal_problem(edge),
        (Kind::Outcome, Kind::Goal) if edge.strength_mean.is_some_and(|mean| mean < 0.0) => {
            Some("an outcome should help the goal".to_owned())
        }
        (Kind::Risk, Kind::Goal) if edge.strength_mean.is_some_and(|mean| mean > 0.0) => {
            Some("a risk should hurt the goal".to_owned())
        }
        (Kind::Outcome | Kind::Risk, Kind::Goal) => causal_problem(edge),
        _ => Some(format!("{from:?} to {to:?} is not allowed").to_lowercase()),
    }
}

fn causal_problem(edge: &Edge) -> Option<String> {
    let (Some(mean), Some(std), Some(belief)) = (edge.strength_mean, edge.strength_std, edge.belief_exists) else {
        return Some("strength_mean, strength_std and belief_exists expected".to_owned());
    };
    if !(0.1..=0.9).contains(&mean.abs()) {
        return Some(format!("mean {mean} is outside 0.1 to 0.9"));
    }
    if !(0.05..=0.5).contains(&std) {
        return Some(format!("std {std} is outside 0.05 to 0.5"));
    }
    if !(0.3..=0.99).contains(&belief) {
        return Some(format!("belief {belief} is outside 0.3 to 0.99"));
    }
    (edge.effect_direction != Some(Direction::of(mean)))
        .then(|| "effect_direction is not the sign of the mean".to_owned())
}

fn connected(graph: &Graph, found: &mut Vec<String>) {
    let Some(first) = graph.nodes.first() else {
        return;
    };
    let seen =
        spread(
            &first.id,
            graph,
            |edge, at| {
                if edge.from == at { Some(&edge.to) } else { (edge.to == at).then_some(&edge.from) }
            },
        );
    for node in graph.nodes.iter().filter(|n| !seen.contains(n.id.as_str())) {
        found.push(format!("node {}: not connected to the rest", node.id));
    }
}

/// Options come from the decision, factors lead to an outcome or risk, and those lead to the goal.
fn reaches(graph: &Graph, kinds: &BTreeMap<&str, Kind>, found: &mut Vec<String>) {
    for node in &graph.nodes {
        let (down, wanted): (_, &[Kind]) = match node.kind {
            Kind::Option => (false, &[Kind::Decision]),
            Kind::Factor => (true, &[Kind::Outcome, Kind::Risk]),
            Kind::Outcome | Kind::Risk => (true, &[Kind::Goal]),
            Kind::Goal | Kind::Decision | Kind::Action => continue,
        };
        let seen = spread(&node.id, graph, |edge, at| {
            let (start, end) = if down { (&edge.from, &edge.to) } else { (&edge.to, &edge.from) };
            (start == at).then_some(end)
        });
        let met = seen.iter().filter_map(|id| kinds.get(id)).any(|kind| wanted.contains(kind));
        if !met {
            let names: Vec<String> = wanted.iter().map(|kind| format!("{kind:?}").to_lowercase()).collect();
            let way = if down { "reaches no" } else { "comes from no" };
            found.push(format!("node {}: {way} {}", node.id, names.join(" or ")));
        }
    }
}

/// All ids that are met from `start`, itself included, by a step that says where an edge leads from a node.
fn spread<'a>(
    start: &'a str,
    graph: &'a Graph,
    step: impl Fn(&'a Edge, &str) -> Option<&'a String>,
) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::from([start]);
    let mut todo = vec![start];
    while let Some(at) = todo.pop() {
        for to in graph.edges.iter().filter_map(|edge| step(edge, at)) {
            if seen.insert(to) {
                todo.push(to);
            }
        }
    }
    seen
}

fn options_differ(graph: &Graph, found: &mut Vec<String>) {
    let options: Vec<&Node> = graph.nodes.iter().filter(|node| node.kind == Kind::Option).collect();
    for (i, option) in options.iter().enumerate() {
        let Some(interventions) = option.interventions() else {
            found.push(format!("option {}: sets no factor", option.id));
            continue;
        };
        if interventions.is_empty() {
            found.push(format!("option {}: sets no factor", option.id));
        }
        for factor in interventions.keys() {
            let linked = graph.edges.iter().any(|edge| edge.from == option.id && &edge.to == factor);
            if !linked {
                found.push(format!("option {}: sets {factor} with no edge to it", option.id));
            }
        }
        for other in options.iter().skip(i + 1) {
            if other.interventions() == Some(interventions) {
                found.push(format!("options {} and {} set the same", option.id, other.id));
            }
        }
    }
}

#[cfg(test)]
#[path = "topology_tests.rs"]
mod tests;
