//! A sound graph passes; each way of spoiling it is found and named.

use super::*;
use crate::graph::{NodeData, Sketch, Source};
use crate::guards;

fn edge(from: &str, to: &str, mean: f64, std: f64, belief: f64) -> Edge {
    Edge { strength_mean: Some(mean), strength_std: Some(std), belief_exists: Some(belief), ..Edge::bare(from, to) }
}

fn option(id: &str, value: f64) -> Node {
    let mut node = Node::new(id, Kind::Option, id);
    node.data = Some(NodeData::Option { interventions: BTreeMap::from([("fac_a".to_owned(), value)]) });
    node
}

fn sound() -> Sketch {
    Sketch {
        nodes: vec![
            Node::new("dec_d", Kind::Decision, "d"),
            option("opt_a", 1.0),
            option("opt_b", 0.0),
            Node::new("fac_a", Kind::Factor, "a"),
            Node::new("fac_free", Kind::Factor, "free"),
            Node::new("out_o", Kind::Outcome, "o"),
            Node::new("risk_r", Kind::Risk, "r"),
            Node::new("goal_g", Kind::Goal, "g"),
        ],
        edges: vec![
            edge("dec_d", "opt_a", 1.0, 0.01, 1.0),
            edge("dec_d", "opt_b", 1.0, 0.01, 1.0),
            edge("opt_a", "fac_a", 1.0, 0.01, 1.0),
            edge("opt_b", "fac_a", 1.0, 0.01, 1.0),
            edge("fac_a", "fac_free", 0.5, 0.1, 0.8),
            edge("fac_free", "out_o", 0.8, 0.1, 0.9),
            edge("fac_a", "risk_r", 0.2, 0.3, 0.5),
            edge("out_o", "goal_g", 0.8, 0.1, 0.9),
            edge("risk_r", "goal_g", -0.5, 0.1, 0.9),
        ],
    }
}

fn check(sketch: Sketch) -> Vec<String> {
    violations(&guards::apply(sketch, &BTreeSet::new(), Source::Assistant).0)
}

#[test]
fn a_sound_graph_has_no_violations() {
    assert_eq!(check(sound()), Vec::<String>::new());
}

#[test]
fn each_broken_rule_is_named() {
    type Spoil = fn(&mut Sketch);
    let cases: &[(&str, Spoil)] = &[
        ("exactly one decision expected, 2 found", |s| {
            s.nodes.push(Node::new("dec_e", Kind::Decision, "e"));
        }),
        ("exactly one goal expected, 0 found", |s| {
            s.nodes.retain(|n| n.kind != Kind::Goal);
        }),
        ("at least two options expected", |s| s.nodes.retain(|n| n.id != "opt_b")),
        ("at least one outcome or risk expected", |s| {
            s.nodes.retain(|n| !matches!(n.kind, Kind::Outcome | Kind::Risk));
        }),
        ("node x: id should start with risk_", |s| {
            s.nodes.push(Node::new("x", Kind::Risk, "x"));
            s.edges.push(edge("fac_a", "x", 0.2, 0.3, 0.5));
        }),
        ("decision to goal is not allowed", |s| {
            s.edges.push(edge("dec_d", "goal_g", 0.5, 0.1, 0.5));
        }),
        ("a factor may move only a factor that no option sets", |s| {
            s.nodes.push(Node::new("fac_c", Kind::Factor, "c"));
            s.edges.push(edge("fac_c", "fac_a", 0.5, 0.1, 0.5));
        }),
        ("structural, so mean 1.0", |s| s.edges[0].strength_mean = Some(0.9)),
        ("mean 0.95 is outside", |s| s.edges[5].strength_mean = Some(0.95)),
        ("std 0.6 is outside", |s| s.edges[5].strength_std = Some(0.6)),
        ("belief 1 is outside", |s| s.edges[5].belief_exists = Some(1.0)),
        ("strength_mean, strength_std and belief_exists expected", |s| {
            s.edges[5].strength_std = None;
        }),
        ("an outcome should help the goal", |s| s.edges[7].strength_mean = Some(-0.5)),
        ("a risk should hurt the goal", |s| s.edges[8].strength_mean = Some(0.5)),
        ("node out_x: not connected to the rest", |s| {
            s.nodes.push(Node::new("out_x", Kind::Outcome, "x"));
        }),
        ("node fac_free: reaches no outcome or risk", |s| {
            s.edges.retain(|e| e.from != "fac_free");
        }),
        ("node opt_b: comes from no decision", |s| s.edges.retain(|e| e.to != "opt_b")),
        ("node out_o: reaches no goal", |s| s.edges.retain(|e| e.from != "out_o")),
        ("option opt_a: sets no factor", |s| s.nodes[1].data = None),
        ("option opt_a: sets fac_a with no edge to it", |s| {
            s.edges.retain(|e| e.from != "opt_a");
        }),
        ("options opt_a and opt_b set the same", |s| s.nodes[2] = option("opt_b", 1.0)),
    ];
    for (expected, spoil) in cases {
        let mut sketch = sound();
        spoil(&mut sketch);
        let found = check(sketch);
        assert!(found.iter().any(|v| v.contains(expected)), "{expected}: {found:?}");
    }
}
