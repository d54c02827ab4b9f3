//! Each guard on its own, then all of them on arbitrary graphs.

use super::*;
use crate::graph::Node;
use proptest::prelude::*;

fn kind_of(id: &str) -> Kind {
    match id.split('_').next() {
        Some("goal") => Kind::Goal,
        Some("dec") => Kind::Decision,
        Some("opt") => Kind::Option,
        Some("out") => Kind::Outcome,
        Some("risk") => Kind::Risk,
        Some("act") => Kind::Action,
        _ => Kind::Factor,
    }
}

fn sketch(ids: &[&str], pairs: &[(&str, &str)]) -> Sketch {
    Sketch {
        nodes: ids.iter().map(|id| Node::new(*id, kind_of(id), *id)).collect(),
        edges: pairs.iter().map(|(a, b)| Edge::bare(*a, *b)).collect(),
    }
}

fn run(sketch: Sketch) -> (Graph, Vec<&'static str>) {
    let (graph, log) = apply(sketch, &BTreeSet::new(), Source::Assistant);
    (graph, log.into_iter().map(|c| c.kind).collect())
}

fn node_ids(graph: &Graph) -> Vec<&str> {
    graph.nodes.iter().map(|n| n.id.as_str()).collect()
}

fn edge_ids(graph: &Graph) -> Vec<&str> {
    graph.edges.iter().map(|e| e.id.as_str()).collect()
}

#[test]
fn of_nodes_with_one_id_the_first_counts() {
    let mut twice = sketch(&["dec_a", "dec_a"], &[]);
    twice.nodes[1].label = Some("second".into());
    let (graph, log) = run(twice);
    assert_eq!(graph.nodes[0].name(), "dec_a");
    assert_eq!((graph.nodes.len(), log), (1, vec!["duplicate_node"]));
}

#[test]
fn the_cap_cuts_what_came_last_and_the_edges_that_hung_on_it() {
    let ids: Vec<String> = (0..52).map(|i| format!("out_{i:02}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let (graph, log) = run(sketch(&ids, &[("out_00", "out_51"), ("out_00", "out_01")]));
    assert_eq!(graph.nodes.len(), MAX_NODES);
    assert_eq!(edge_ids(&graph), ["out_00::out_01::0"]);
    assert_eq!(log, ["node_cap", "node_cap", "dangling_edge"]);
}

#[test]
fn edges_over_the_cap_are_cut() {
    let pairs = vec![("dec_a", "out_b"); 205];
    let (graph, log) = run(sketch(&["dec_a", "out_b"], &pairs));
    assert_eq!(graph.edges.len(), MAX_EDGES);
    assert_eq!(log, ["edge_cap"; 5]);
}

#[test]
fn dangling_edges_go() {
    let (graph, log) = run(sketch(&["dec_a", "out_b"], &[("dec_a", "out_b"), ("dec_a", "ghost")]));
    assert_eq!(edge_ids(&graph), ["dec_a::out_b::0"]);
    assert_eq!(log, ["dangling_edge"]);
}

#[test]
fn a_cycle_loses_its_last_edge_and_a_self_loop_itself() {
    let (graph, log) = run(sketch(
        &["dec_a", "fac_b", "out_c"],
        &[("dec_a", "fac_b"), ("fac_b", "out_c"), ("out_c", "dec_a"), ("fac_b", "fac_b")],
    ));
    assert_eq!(edge_ids(&graph), ["dec_a::fac_b::0", "fac_b::out_c::0"]);
    assert_eq!(log, ["cycle_edge", "cycle_edge"]);
}

#[test]
fn isolated_nodes_go_but_for_the_protected_and_the_kept() {
    let ids = ["goal_g", "dec_d", "out_o", "risk_r", "opt_x", "fac_x", "act_x", "fac_kept"];
    let keep = BTreeSet::from(["fac_kept".to_owned()]);
    let (graph, log) = apply(sketch(&ids, &[]), &keep, Source::Assistant);
    assert_eq!(node_ids(&graph), ["dec_d", "fac_kept", "goal_g", "out_o", "risk_r"]);
    assert!(log.iter().all(|c| c.kind == "isolated_node" && c.layer == "guards"));
}

#[test]
fn edge_ids_count_per_pair_and_do_not_depend_on_the_order_sent() {
    let mut there = sketch(&["dec_a", "out_b"], &[("dec_a", "out_b"), ("dec_a", "out_b")]);
    there.edges[0].id = "x".into();
    there.edges[0].strength_mean = Some(0.5);
    there.edges[1].id = "y".into();
    let mut back = there.clone();
    back.edges.reverse();
    let (graph, _) = run(there);
    assert_eq!(edge_ids(&graph), ["dec_a::out_b::0", "dec_a::out_b::1"]);
    assert_eq!(graph, run(back).0);
}

#[test]
fn the_direction_is_the_sign_of_the_mean() {
    let mut wrong = sketch(&["out_a", "goal_b"], &[("out_a", "goal_b")]);
    wrong.edges[0].strength_mean = Some(-0.4);
    wrong.edges[0].effect_direction = Some(Direction::Positive);
    let (graph, log) = run(wrong);
    assert_eq!(graph.edges[0].effect_direction, Some(Direction::Negative));
    assert_eq!(log, ["effect_direction"]);
}

#[test]
fn nodes_and_edges_are_sorted_and_meta_names_roots_and_leaves() {
    let (graph, log) = run(sketch(&["out_z", "dec_a", "goal_m"], &[("out_z", "goal_m"), ("dec_a", "out_z")]));
    assert_eq!(node_ids(&graph), ["dec_a", "goal_m", "out_z"]);
    assert_eq!(edge_ids(&graph), ["dec_a::out_z::0", "out_z::goal_m::0"]);
    assert_eq!(graph.meta.roots, ["dec_a"]);
    assert_eq!(graph.meta.leaves, ["goal_m"]);
    assert_eq!(graph.meta.suggested_positions.len(), 3);
    assert_eq!((graph.version, graph.default_seed, log.len()), ("1", 17, 0));
}

#[test]
fn several_goals_become_one_and_their_edges_are_counted_once() {
    let (graph, log) = run(sketch(
        &["goal_a", "goal_b", "out_x", "out_y"],
        &[("out_x", "goal_a"), ("out_x", "goal_b"), ("out_y", "goal_b"), ("goal_a", "goal_b")],
    ));
    assert_eq!(node_ids(&graph), ["goal_a", "out_x", "out_y"]);
    assert_eq!(graph.nodes[0].name(), "Compound Goal: goal_a + goal_b");
    assert_eq!(edge_ids(&graph), ["out_x::goal_a::0", "out_y::goal_a::0"]);
    assert_eq!(log, ["goal_merged"]);
}

#[test]
fn a_cycle_that_the_goal_merge_closes_is_broken_too() {
    let (graph, _) = run(sketch(&["goal_a", "goal_b", "out_x"], &[("goal_a", "out_x"), ("out_x", "goal_b")]));
    assert_eq!(graph.edges.len(), 1);
}

fn arbitrary() -> impl Strategy<Value = Sketch> {
    let kinds = ["goal", "dec", "opt", "fac", "out", "risk", "act"];
    let id = (0_usize..7, 0_usize..12).prop_map(move |(k, i)| format!("{}_{i}", kinds[k]));
    let edge = (id.clone(), id.clone(), prop::option::of(-1.0..1.0_f64), "[a-c]?");
    (prop::collection::vec(id, 0..80), prop::collection::vec(edge, 0..250)).prop_map(|(ids, edges)| Sketch {
        nodes: ids.iter().map(|id| Node::new(id, kind_of(id), id)).collect(),
        edges: edges
            .into_iter()
            .map(|(from, to, mean, id)| Edge { strength_mean: mean, id, ..Edge::bare(from, to) })
            .collect(),
    })
}

proptest! {
    #[test]
    fn whatever_comes_in_what_comes_out_is_a_small_acyclic_graph(input in arbitrary()) {
        let (graph, _) = run(input);
        prop_assert!(graph.nodes.len() <= MAX_NODES && graph.edges.len() <= MAX_EDGES);
        prop_assert!(graph.nodes.iter().filter(|n| n.kind == Kind::Goal).count() <= 1);
        let layers = layout::layers(&graph.nodes, &graph.edges);
        let mut seen = BTreeSet::new();
        for edge in &graph.edges {
            prop_assert!(layers[edge.from.as_str()] < layers[edge.to.as_str()], "cycle at {}", edge.id);
            prop_assert!(seen.insert(&edge.id), "id twice: {}", edge.id);
        }
        prop_assert_eq!(graph.meta.suggested_positions.len(), graph.nodes.len());
    }

    #[test]
    fn guards_find_nothing_to_do_the_second_time(input in arbitrary()) {
        let (once, _) = run(input);
        let again = Sketch { nodes: once.nodes.clone(), edges: once.edges.clone() };
        let (twice, log) = run(again);
        prop_assert_eq!(once, twice);
        prop_assert!(log.is_empty(), "{:?}", log);
    }
}
