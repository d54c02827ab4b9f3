//! A graph that comes from a client: read node by node and edge by edge, so that an error can say which one is wrong.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::graph::{Edge, Node, Provenance, Sketch};
use crate::text::clip;
use crate::validate::wrong_type;

/// Longest id, in characters. Every edge repeats the ids of both its ends, so a long one would come back many times over.
const ID_CHARS: usize = 128;
/// Longest label, in characters: room for a compound goal.
const LABEL_CHARS: usize = 1000;
/// Longest body of a node, in characters.
const BODY_CHARS: usize = 200;
/// Longest quote of an edge's provenance, in characters.
const QUOTE_CHARS: usize = 100;

/// Reads `{nodes, edges}`; other members are not needed, since the guards make them anew.
pub(crate) fn parse(value: &Value) -> Result<Sketch, Vec<String>> {
    if !value.is_object() {
        return Err(vec![wrong_type("object", value)]);
    }
    let mut errors = Vec::new();
    let nodes: Vec<Node> = list(value, "nodes", check_node, &mut errors);
    let edges: Vec<Edge> = list(value, "edges", check_edge, &mut errors);
    if errors.is_empty() { Ok(Sketch { nodes, edges }) } else { Err(errors) }
}

fn list<T: DeserializeOwned>(
    graph: &Value,
    name: &str,
    check: fn(&T) -> Result<(), &'static str>,
    errors: &mut Vec<String>,
) -> Vec<T> {
    let Some(items) = graph.get(name).and_then(Value::as_array) else {
        errors.push(format!("{name}: Expected array"));
        return Vec::new();
    };
    let mut read = Vec::new();
    for (i, item) in items.iter().enumerate() {
        match T::deserialize(item) {
            Ok(item) => match check(&item) {
                Ok(()) => read.push(item),
                Err(message) => errors.push(format!("{name}.{i}: {message}")),
            },
            Err(error) => errors.push(format!("{name}.{i}: {}", clip(&error.to_string(), 120))),
        }
    }
    read
}

fn check_node(node: &Node) -> Result<(), &'static str> {
    if node.id.is_empty() {
        return Err("id may not be empty");
    }
    if node.id.chars().count() > ID_CHARS {
        return Err("id must contain at most 128 character(s)");
    }
    if node.name().chars().count() > LABEL_CHARS {
        return Err("label must contain at most 1000 character(s)");
    }
    let body = node.body.as_deref().unwrap_or_default();
    if body.chars().count() > BODY_CHARS {
        return Err("body must contain at most 200 character(s)");
    }
    Ok(())
}

fn check_edge(edge: &Edge) -> Result<(), &'static str> {
    let unit = |value: Option<f64>| value.is_none_or(|value| (0.0..=1.0).contains(&value));
    if !unit(edge.belief_exists) || !unit(edge.belief) {
        return Err("belief must be from 0 to 1");
    }
    if edge.strength_std.is_some_and(|std| std <= 0.0) {
        return Err("strength_std must be greater than 0");
    }
    if let Some(Provenance::Cited { quote, .. }) = &edge.provenance
        && quote.chars().count() > QUOTE_CHARS
    {
        return Err("provenance.quote must contain at most 100 character(s)");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_graph_is_read_with_either_naming_of_ends() {
        let sketch = parse(&json!({
            "version": "1",
            "nodes": [{"id": "dec_a", "kind": "decision", "x": 1}, {"id": "opt_b", "kind": "option", "label": "B"}],
            "edges": [{"source": "dec_a", "target": "opt_b", "belief": 1}],
            "meta": {"anything": true},
        }))
        .unwrap();
        assert_eq!(sketch.nodes.len(), 2);
        assert_eq!((sketch.edges[0].from.as_str(), sketch.edges[0].to.as_str()), ("dec_a", "opt_b"));
    }

    #[test]
    fn errors_say_which_node_or_edge_is_wrong() {
        let node = |node: Value| json!({"nodes": [node], "edges": []});
        let edge = |edge: Value| json!({"nodes": [], "edges": [edge]});
        let cases = [
            (json!([]), "Expected object, received array"),
            (json!({"nodes": []}), "edges: Expected array"),
            (node(json!({"kind": "goal"})), "nodes.0: missing field `id`"),
            (node(json!({"id": "a", "kind": "wish"})), "nodes.0: unknown variant `wish`"),
            (node(json!({"id": "", "kind": "goal"})), "nodes.0: id may not be empty"),
            (node(json!({"id": "x".repeat(129), "kind": "goal"})), "nodes.0: id must"),
            (node(json!({"id": "a", "kind": "goal", "label": "x".repeat(1001)})), "nodes.0: label must"),
            (node(json!({"id": "a", "kind": "goal", "body": "x".repeat(201)})), "nodes.0: body must"),
            (node(json!({"id": "a", "kind": "factor", "data": {"size": 1}})), "nodes.0: data did not match"),
            (edge(json!({"from": "a"})), "edges.0: missing field `to`"),
            (edge(json!({"from": "a", "to": "b", "belief": 1.1})), "edges.0: belief must be from 0 to 1"),
            (edge(json!({"from": "a", "to": "b", "strength_std": 0})), "edges.0: strength_std must"),
            (
                edge(json!({"from": "a", "to": "b", "provenance": {"source": "s", "quote": "x".repeat(101)}})),
                "edges.0: provenance.quote",
            ),
        ];
        for (value, expected) in cases {
            let errors = parse(&value).unwrap_err();
            assert!(errors[0].starts_with(expected), "{expected}: {errors:?}");
        }
    }
}
