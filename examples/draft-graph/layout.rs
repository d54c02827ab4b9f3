//! Where to draw each node: in layers, from causes at the top to the goal at the bottom.

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::{Edge, Kind, Node, Position};

/// Suggested positions of all nodes of an acyclic graph: x = 400 + (i − n/2)·150 and y = 100 + layer·150, where i is the
/// node's place among the n of its layer.
pub(crate) fn positions(nodes: &[Node], edges: &[Edge]) -> BTreeMap<String, Position> {
    let mut rows: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for (id, layer) in layers(nodes, edges) {
        rows.entry(layer).or_default().push(id);
    }
    let mut positions = BTreeMap::new();
    for (layer, row) in rows {
        let half = row.len() as f64 / 2.0;
        for (i, id) in row.into_iter().enumerate() {
            let x = 400.0 + (i as f64 - half) * 150.0;
            let y = 100.0 + layer as f64 * 150.0;
            positions.insert(id.to_owned(), Position { x, y });
        }
    }
    positions
}

/// Each node's layer: its longest way from a root, so that every edge points downwards.
pub(crate) fn layers<'a>(nodes: &'a [Node], edges: &[Edge]) -> BTreeMap<&'a str, usize> {
    let mut layers: BTreeMap<&str, usize> = nodes.iter().map(|node| (node.id.as_str(), 0)).collect();
    // Relaxation, at most one round per node: small graphs, and it ends even where the input has a cycle.
    for _ in nodes {
        let mut moved = false;
        for edge in edges {
            let Some(from) = layers.get(edge.from.as_str()).copied() else {
                continue;
            };
            if let Some(to) = layers.get_mut(edge.to.as_str())
                && *to <= from
                && from < nodes.len()
            {
                *to = from + 1;
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    pull_down(nodes, edges, &mut layers);
    layers
}

/// What the decision does not lead to would float at the top beside it; it reads better right above what it moves.
fn pull_down<'a>(nodes: &'a [Node], edges: &[Edge], layers: &mut BTreeMap<&'a str, usize>) {
    let mut led_to: BTreeSet<&str> = BTreeSet::new();
    let mut order: Vec<&Node> = nodes.iter().collect();
    order.sort_by_key(|node| layers.get(node.id.as_str()).copied());
    for node in &order {
        let fed = edges.iter().any(|edge| edge.to == node.id && led_to.contains(edge.from.as_str()));
        if node.kind == Kind::Decision || fed {
            led_to.insert(&node.id);
        }
    }
    // From the bottom up, so that what a node moves has its final place before the node itself.
    for node in order.into_iter().rev() {
        let below =
            edges.iter().filter(|edge| edge.from == node.id).filter_map(|edge| layers.get(edge.to.as_str())).min();
        if let Some(below) = below.copied()
            && !led_to.contains(node.id.as_str())
        {
            layers.insert(&node.id, below.saturating_sub(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(pairs: &[(&str, &str)]) -> (Vec<Node>, Vec<Edge>) {
        let mut ids: Vec<&str> = pairs.iter().flat_map(|(a, b)| [*a, *b]).collect();
        ids.sort_unstable();
        ids.dedup();
        let kind = |id: &str| {
            if id.starts_with("dec") { Kind::Decision } else { Kind::Factor }
        };
        (
            ids.iter().map(|id| Node::new(*id, kind(id), *id)).collect(),
            pairs.iter().map(|(a, b)| Edge::bare(*a, *b)).collect(),
        )
    }

    #[test]
    fn positions_follow_the_formula() {
        let (nodes, edges) = graph(&[("dec", "a"), ("dec", "b"), ("a", "z"), ("b", "z")]);
        let at = positions(&nodes, &edges);
        assert_eq!(at["dec"], Position { x: 325.0, y: 100.0 });
        assert_eq!(at["a"], Position { x: 250.0, y: 250.0 });
        assert_eq!(at["b"], Position { x: 400.0, y: 250.0 });
        assert_eq!(at["z"], Position { x: 325.0, y: 400.0 });
    }

    #[test]
    fn every_edge_points_down_and_free_factors_sit_above_what_they_move() {
        let (nodes, edges) =
            graph(&[("dec", "a"), ("a", "b"), ("dec", "b"), ("b", "c"), ("free", "risk"), ("risk", "c")]);
        let layers = layers(&nodes, &edges);
        for edge in &edges {
            assert!(layers[edge.from.as_str()] < layers[edge.to.as_str()], "{edge:?}");
        }
        assert_eq!((layers["free"], layers["risk"], layers["c"]), (1, 2, 3));
    }

    #[test]
    fn a_cycle_does_not_hang_it() {
        let (nodes, edges) = graph(&[("a", "b"), ("b", "a")]);
        assert_eq!(positions(&nodes, &edges).len(), 2);
    }
}
