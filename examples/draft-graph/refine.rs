//! Works on a graph that the client sent: adds what a fresh draft has more, lets weak links go, or fills in numbers.

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::{Edge, Extraction, Kind, Node, NodeData, ProvenanceSource, Sketch};
use crate::input::Refinement;
use crate::numbers::Quantity;
use crate::output::Rationale;
use crate::sizing::{self, Want};
use crate::text::has_phrase;

/// An edge whose mean times belief is below this goes when pruning: half of the weak band.
const PRUNE_BELOW: f64 = 0.15;

/// The previous graph, changed as asked. `fresh` is what the brief alone would have given.
pub(crate) fn refine(
    previous: Sketch,
    asked: &Refinement,
    fresh: Sketch,
    quantities: &[Quantity],
) -> (Sketch, Vec<Rationale>) {
    match mode(asked) {
        "expand" => (expand(previous, fresh), Vec::new()),
        "prune" => (prune(previous, &asked.preserve), Vec::new()),
        "clarify" => clarify(previous, quantities),
        _ => {
            let (clear, rationales) = clarify(previous, quantities);
            let whole = if is_whole(&clear) { clear } else { expand(clear, fresh) };
            (whole, rationales)
        }
    }
}

/// In `auto` mode the instructions decide, if they say anything.
fn mode(asked: &Refinement) -> &'static str {
    if asked.mode != "auto" {
        return asked.mode;
    }
    let lower = asked.instructions.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| has_phrase(&lower, word));
    if says(&["prune", "simplify", "remove", "fewer", "shorten"]) {
        "prune"
    } else if says(&["expand", "add", "more", "extend"]) {
        "expand"
    } else {
        "auto"
    }
}

/// Whether a graph has the parts that make it one.
fn is_whole(sketch: &Sketch) -> bool {
    let count = |kind| sketch.nodes.iter().filter(|node| node.kind == kind).count();
    count(Kind::Decision) > 0
        && count(Kind::Goal) > 0
        && count(Kind::Option) > 1
        && count(Kind::Outcome) + count(Kind::Risk) > 0
}

/// What the fresh draft has more comes behind what is there, so that a cap cuts the new and not the client's own.
fn expand(mut previous: Sketch, fresh: Sketch) -> Sketch {
    let has_options = previous.nodes.iter().filter(|n| n.kind == Kind::Option).count() > 1;
    // Fresh id → the id it has in the result; absent: left out.
    let mut ids: BTreeMap<String, String> = BTreeMap::new();
    for node in fresh.nodes {
        let same = previous.nodes.iter().find(|known| known.id == node.id || is_same(known, &node));
        if let Some(known) = same {
            ids.insert(node.id, known.id.clone());
        } else if !(node.kind == Kind::Option && has_options) {
            ids.insert(node.id.clone(), node.id.clone());
            previous.nodes.push(node);
        }
    }
    let mut pairs: BTreeSet<(String, String)> =
        previous.edges.iter().map(|edge| (edge.from.clone(), edge.to.clone())).collect();
    for edge in fresh.edges {
        let (Some(from), Some(to)) = (ids.get(&edge.from), ids.get(&edge.to)) else {
            continue;
        };
        if pairs.insert((from.clone(), to.clone())) {
            previous.edges.push(Edge { from: from.clone(), to: to.clone(), ..edge });
        }
    }
    previous
}

/// There is one decision and one goal in a graph, whatever they are called; other nodes are known by their label.
fn is_same(known: &Node, fresh: &Node) -> bool {
    known.kind == fresh.kind
        && (matches!(known.kind, Kind::Decision | Kind::Goal)
            || known.name().to_lowercase() == fresh.name().to_lowercase())
}

fn prune(mut previous: Sketch, preserve: &BTreeSet<String>) -> Sketch {
    previous.edges.retain(|edge| {
        let weight = edge.strength_mean.map(|mean| mean.abs() * edge.belief_exists.or(edge.belief).unwrap_or(1.0));
        preserve.contains(&edge.from)
            || preserve.contains(&edge.to)
            // An edge of unknown strength is not a weak one.
            || weight.is_none_or(|weight| weight >= PRUNE_BELOW)
    });
    previous
}

/// Numbers of the text go to factors that have none of their own, by the words of their labels.
fn clarify(mut previous: Sketch, quantities: &[Quantity]) -> (Sketch, Vec<Rationale>) {
    // A number that some factor has already is not the news.
    let known = |quantity: &&Quantity| {
        let mut factors = previous.nodes.iter().filter_map(Node::factor);
        factors.any(|data| data.value == quantity.value && data.unit.as_deref() == Some(quantity.unit.as_str()))
    };
    let news = quantities.iter().filter(|quantity| !known(quantity));
    let quantities: Vec<Quantity> = news.cloned().collect();
    let open: Vec<&mut Node> = previous
        .nodes
        .iter_mut()
        .filter(|node| node.kind == Kind::Factor)
        .filter(|node| node.factor().is_none_or(|data| matches!(data.extraction, None | Some(Extraction::Inferred))))
        .collect();
    let labels: Vec<String> = open.iter().map(|node| node.name().to_lowercase()).collect();
    let words: Vec<Vec<&str>> = labels
        .iter()
        .map(|label| label.split(|c: char| !c.is_alphanumeric()).filter(|word| word.chars().count() > 3).collect())
        .collect();
    let wants: Vec<Want<'_>> = words.iter().map(|cues| Want { measures: None, takes_unnamed: false, cues }).collect();
    let mut rationales = Vec::new();
    for (node, quantity) in open.into_iter().zip(sizing::assign(&wants, &quantities)) {
        if let Some(quantity) = quantity {
            node.data = Some(NodeData::Factor(sizing::explicit(quantity)));
            let why = format!("{}: “{}”", sizing::spoken(quantity), quantity.quote);
            rationales.push(Rationale::new(&node.id, &why, ProvenanceSource::Metric));
        }
    }
    (previous, rationales)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers::quantities;

    fn node(id: &str, kind: Kind, label: &str) -> Node {
        Node::new(id, kind, label)
    }

    fn edge(from: &str, to: &str, mean: f64, belief: f64) -> Edge {
        Edge { strength_mean: Some(mean), belief_exists: Some(belief), ..Edge::bare(from, to) }
    }

    fn asked(mode: &'static str, instructions: &str, preserve: &[&str]) -> Refinement {
        Refinement {
            graph: Sketch::default(),
            mode,
            instructions: instructions.to_owned(),
            preserve: preserve.iter().map(|id| (*id).to_owned()).collect(),
        }
    }

    fn fresh() -> Sketch {
        Sketch {
            nodes: vec![
                node("dec_t", Kind::Decision, "T"),
                node("opt_t", Kind::Option, "T"),
                node("fac_t", Kind::Factor, "Price"),
                node("goal_t", Kind::Goal, "T"),
            ],
            edges: vec![Edge::bare("dec_t", "opt_t"), Edge::bare("fac_t", "goal_t")],
        }
    }

    fn ids(sketch: &Sketch) -> Vec<&str> {
        sketch.nodes.iter().map(|n| n.id.as_str()).collect()
    }

    fn previous() -> Sketch {
        Sketch {
            nodes: vec![
                node("dec_1", Kind::Decision, "Mine"),
                node("opt_1", Kind::Option, "A"),
                node("opt_2", Kind::Option, "B"),
                node("fac_1", Kind::Factor, "price"),
            ],
            edges: vec![edge("dec_1", "opt_1", 1.0, 1.0), edge("opt_1", "fac_1", 0.2, 0.5)],
        }
    }

    #[test]
    fn expand_adds_what_is_missing_and_joins_what_is_the_same() {
        let (got, _) = refine(previous(), &asked("expand", "", &[]), fresh(), &[]);
        assert_eq!(ids(&got), ["dec_1", "opt_1", "opt_2", "fac_1", "goal_t"]);
        let last = got.edges.last().unwrap();
        assert_eq!((last.from.as_str(), last.to.as_str()), ("fac_1", "goal_t"));
        assert_eq!(got.edges.len(), 3, "no edge to the option that was left out");
    }

    #[test]
    fn prune_lets_weak_edges_go_but_for_preserved_nodes() {
        let (got, _) = refine(previous(), &asked("prune", "", &[]), fresh(), &[]);
        assert_eq!(got.edges.len(), 1);
        let (got, _) = refine(previous(), &asked("prune", "", &["fac_1"]), fresh(), &[]);
        assert_eq!(got.edges.len(), 2);
    }

    #[test]
    fn clarify_fills_in_numbers_by_label() {
        let numbers = quantities("The price goes from £49 to £59.");
        let (got, why) = refine(previous(), &asked("clarify", "", &[]), fresh(), &numbers);
        assert_eq!(got.nodes[3].factor().unwrap().baseline, Some(49.0));
        assert_eq!(why[0].target, "fac_1");
    }

    #[test]
    fn auto_follows_the_instructions_and_completes_what_is_incomplete() {
        let count = |instructions: &str| {
            let (got, _) = refine(previous(), &asked("auto", instructions, &[]), fresh(), &[]);
            (got.nodes.len(), got.edges.len())
        };
        assert_eq!(count("please simplify it"), (4, 1));
        assert_eq!(count("add what is missing"), (5, 3));
        assert_eq!(count(""), (5, 3), "there was no goal");
    }
}
