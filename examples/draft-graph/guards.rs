//! What every graph passes before anybody sees it, whether a template drew it or a client sent it.
//!
//! In this order: unique ids, cap, dangling edges, cycles, isolated nodes, edge ids and directions, sort, meta. Then
//! several goals become one. Each repair is logged as a [`Correction`]; a graph that needs none comes out as it went in.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::graph::{Direction, Edge, Graph, Kind, Meta, Sketch, Source};
use crate::layout;
use crate::limits::{MAX_EDGES, MAX_NODES};

/// One repair, as the trace tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Correction {
    pub(crate) layer: &'static str,
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) target: String,
}

/// Runs all guards. `keep` are nodes that the client wants kept even when isolated.
pub(crate) fn apply(mut sketch: Sketch, keep: &BTreeSet<String>, source: Source) -> (Graph, Vec<Correction>) {
    let mut log = Log::default();
    repair(&mut sketch, keep, &mut log);
    if merge_goals(&mut sketch, &mut log) {
        // A merge can close a cycle (goal a → x → goal b), so what comes out is an input like any other.
        repair(&mut sketch, keep, &mut log);
    }
    let meta = Meta {
        roots: ends(&sketch, |edge| &edge.to),
        leaves: ends(&sketch, |edge| &edge.from),
        suggested_positions: layout::positions(&sketch.nodes, &sketch.edges),
        source,
    };
    let graph = Graph { version: "1", default_seed: 17, nodes: sketch.nodes, edges: sketch.edges, meta };
    (graph, log.0)
}

#[derive(Default)]
struct Log(Vec<Correction>);

impl Log {
    fn note(&mut self, kind: &'static str, target: impl Into<String>) {
        self.0.push(Correction { layer: "guards", kind, target: target.into() });
    }
}

fn repair(sketch: &mut Sketch, keep: &BTreeSet<String>, log: &mut Log) {
    drop_duplicates(sketch, log);
    cap(sketch, log);
    drop_dangling(sketch, log);
    break_cycles(sketch, log);
    prune_isolated(sketch, keep, log);
    normalise_edges(sketch, log);
    sketch.nodes.sort_by(|a, b| a.id.cmp(&b.id));
    sketch.edges.sort_by(|a, b| (&a.from, &a.to, &a.id).cmp(&(&b.from, &b.to, &b.id)));
}

/// Everything below looks nodes up by id: of several with one id the first counts.
fn drop_duplicates(sketch: &mut Sketch, log: &mut Log) {
    let mut seen = BTreeSet::new();
    sketch.nodes.retain(|node| {
        let first = seen.insert(node.id.clone());
        if !first {
            log.note("duplicate_node", &node.id);
        }
        first
    });
}

fn cap(sketch: &mut Sketch, log: &mut Log) {
    for node in sketch.nodes.iter().skip(MAX_NODES) {
        log.note("node_cap", &node.id);
    }
    sketch.nodes.truncate(MAX_NODES);
    for edge in sketch.edges.iter().skip(MAX_EDGES) {
        log.note("edge_cap", arrow(edge));
    }
    sketch.edges.truncate(MAX_EDGES);
}

fn drop_dangling(sketch: &mut Sketch, log: &mut Log) {
    let ids: BTreeSet<&str> = sketch.nodes.iter().map(|node| node.id.as_str()).collect();
    sketch.edges.retain(|edge| {
        let whole = ids.contains(edge.from.as_str()) && ids.contains(edge.to.as_str());
        if !whole {
            log.note("dangling_edge", arrow(edge));
        }
        whole
    });
}

/// Depth first, in node order; an edge that leads back onto the path is the cycle's last and goes.
fn break_cycles(sketch: &mut Sketch, log: &mut Log) {
    let mut next: BTreeMap<&str, Vec<(usize, &str)>> = BTreeMap::new();
    for (i, edge) in sketch.edges.iter().enumerate() {
        next.entry(&edge.from).or_default().push((i, &edge.to));
    }
    let mut walk = Walk { next, path: BTreeSet::new(), done: BTreeSet::new(), closing: BTreeSet::new() };
    for node in &sketch.nodes {
        walk.visit(&node.id);
    }
    let closing = walk.closing;
    let mut i = 0;
    sketch.edges.retain(|edge| {
        let stays = !closing.contains(&i);
        i += 1;
        if !stays {
            log.note("cycle_edge", arrow(edge));
        }
        stays
    });
}

struct Walk<'a> {
    next: BTreeMap<&'a str, Vec<(usize, &'a str)>>,
    path: BTreeSet<&'a str>,
    done: BTreeSet<&'a str>,
    closing: BTreeSet<usize>,
}

impl<'a> Walk<'a> {
    /// Recursion is no deeper than the node cap.
    fn visit(&mut self, id: &'a str) {
        if !self.done.insert(id) {
            return;
        }
        self.path.insert(id);
        for (edge, to) in self.next.get(id).cloned().unwrap_or_default() {
            if self.path.contains(to) {
                self.closing.insert(edge);
            } else {
                self.visit(to);
            }
        }
        self.path.remove(id);
    }
}

fn prune_isolated(sketch: &mut Sketch, keep: &BTreeSet<String>, log: &mut Log) {
    let linked: BTreeSet<&str> = sketch.edges.iter().flat_map(|edge| [edge.from.as_str(), edge.to.as_str()]).collect();
    sketch.nodes.retain(|node| {
        let stays = node.kind.is_protected() || linked.contains(node.id.as_str()) || keep.contains(&node.id);
        if !stays {
            log.note("isolated_node", &node.id);
        }
        stays
    });
}

/// Ids become `{from}::{to}::{index}` and the direction the sign of the mean.
fn normalise_edges(sketch: &mut Sketch, log: &mut Log) {
    // Parallel edges are numbered in the order of the ids they came with, so that the result does not depend on the input's order.
    sketch.edges.sort_by(|a, b| (&a.from, &a.to, &a.id).cmp(&(&b.from, &b.to, &b.id)));
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    for edge in &mut sketch.edges {
        let index = counts.entry((edge.from.clone(), edge.to.clone())).or_default();
        let id = format!("{}::{}::{index}", edge.from, edge.to);
        *index += 1;
        // An id is given, not corrected, where there was none.
        if !edge.id.is_empty() && edge.id != id {
            log.note("edge_id", &id);
        }
        edge.id = id;
        let direction = edge.strength_mean.filter(|mean| *mean != 0.0).map(Direction::of);
        if let Some(direction) = direction
            && edge.effect_direction != Some(direction)
        {
            if edge.effect_direction.is_some() {
                log.note("effect_direction", &edge.id);
            }
            edge.effect_direction = Some(direction);
        }
    }
}

/// Several goals become one, named after all of them; their edges move to it and doubles go. Says whether there were several.
fn merge_goals(sketch: &mut Sketch, log: &mut Log) -> bool {
    let goals: Vec<(String, String)> = sketch
        .nodes
        .iter()
        .filter(|node| node.kind == Kind::Goal)
        .map(|node| (node.id.clone(), node.name().to_owned()))
        .collect();
    let Some(((kept, _), others)) = goals.split_first() else {
        return false;
    };
    if others.is_empty() {
        return false;
    }
    let names: Vec<&str> = goals.iter().map(|(_, name)| name.as_str()).collect();
    let label = format!("Compound Goal: {}", names.join(" + "));
    let gone: BTreeSet<&str> = others.iter().map(|(id, _)| id.as_str()).collect();
    for id in &gone {
        log.note("goal_merged", *id);
    }
    sketch.nodes.retain(|node| !gone.contains(node.id.as_str()));
    if let Some(goal) = sketch.nodes.iter_mut().find(|node| &node.id == kept) {
        goal.label = Some(label);
    }
    let mut pairs = BTreeSet::new();
    sketch.edges.retain_mut(|edge| {
        let moved = gone.contains(edge.from.as_str()) || gone.contains(edge.to.as_str());
        for end in [&mut edge.from, &mut edge.to] {
            if gone.contains(end.as_str()) {
                end.clone_from(kept);
            }
        }
        if moved {
            edge.id.clear();
        }
        let touches = &edge.from == kept || &edge.to == kept;
        edge.from != edge.to && (!touches || pairs.insert((edge.from.clone(), edge.to.clone())))
    });
    true
}

/// Nodes that are nobody's `end`, in order of id.
fn ends(sketch: &Sketch, end: impl Fn(&Edge) -> &String) -> Vec<String> {
    let taken: BTreeSet<&String> = sketch.edges.iter().map(end).collect();
    sketch.nodes.iter().map(|node| &node.id).filter(|id| !taken.contains(id)).cloned().collect()
}

fn arrow(edge: &Edge) -> String {
    format!("{} -> {}", edge.from, edge.to)
}

#[cfg(test)]
#[path = "guards_tests.rs"]
mod tests;
