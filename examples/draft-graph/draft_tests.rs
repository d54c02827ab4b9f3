//! Whatever the brief, a draft is a sound graph; and what the input says is found in it.

use super::*;
use crate::archetype::Archetype;
use crate::graph::{Extraction, Kind, Node, Provenance};
use crate::input;
use proptest::prelude::*;
use serde_json::{Value, json};

const PRICING: &str = "Should we raise the Pro price from £49 to £59 per month, or keep it as it is? \
     Churn is 3% today. Our goal is to reach £20k MRR within 12 months.";

fn run(body: Value) -> Result<DraftGraphOutput, ErrorV1> {
    let input = input::parse(body.to_string().as_bytes()).expect("input");
    draft(&input, &ground(&input).expect("attachments")).result
}

fn of(brief: &str) -> DraftGraphOutput {
    run(json!({ "brief": brief })).expect("draft")
}

fn node<'a>(output: &'a DraftGraphOutput, id: &str) -> &'a Node {
    let found = output.graph.nodes.iter().find(|node| node.id == id);
    found.unwrap_or_else(|| panic!("no {id} in {:?}", output.graph.nodes))
}

fn labels(output: &DraftGraphOutput, kind: Kind) -> Vec<&str> {
    let nodes = output.graph.nodes.iter().filter(|node| node.kind == kind);
    nodes.map(Node::name).collect()
}

fn assert_sound(output: &DraftGraphOutput, case: &str) {
    assert_eq!(topology::violations(&output.graph), Vec::<String>::new(), "{case}");
    let (nodes, edges) = (output.graph.nodes.len(), output.graph.edges.len());
    assert!((10..=14).contains(&nodes), "{case}: {nodes} nodes");
    assert!((14..=20).contains(&edges), "{case}: {edges} edges");
    assert!(output.rationales.iter().all(|r| r.why.chars().count() <= 280), "{case}");
    let bodies = output.graph.nodes.iter().filter_map(|n| n.body.as_ref());
    assert!(bodies.into_iter().all(|b| b.chars().count() <= 200), "{case}");
}

#[test]
fn every_archetype_drafts_a_sound_graph_with_two_three_and_four_options() {
    for archetype in Archetype::ALL {
        for options in ["", "one", "one or two", "one or two or three", "one or two or three or four"] {
            let brief = format!("We think about this for a while. Should we {options}? That is it.");
            let output = run(json!({ "brief": brief, "archetype_hint": archetype.name() })).unwrap();
            assert_sound(&output, &format!("{} / {options}", archetype.name()));
            assert!(output.issues.is_empty() && output.trace.is_none());
            let expected = options.split(" or ").count().max(2);
            assert_eq!(labels(&output, Kind::Option).len(), expected, "{options}");
        }
    }
}

#[test]
fn the_briefs_own_words_and_numbers_are_in_the_graph() {
    let output = of(PRICING);
    assert_eq!(
        labels(&output, Kind::Decision),
        ["Should we raise the Pro price from £49 to £59 per month, or keep it as it is?"]
    );
    assert_eq!(labels(&output, Kind::Goal), ["Reach £20k MRR within 12 months"]);
    assert_eq!(labels(&output, Kind::Option), ["Keep it as it is", "Raise the Pro price from £49 to £59 per month"]);
    let price = node(&output, "fac_price").factor().unwrap();
    assert_eq!((price.value, price.baseline), (59.0, Some(49.0)));
    assert_eq!(price.unit.as_deref(), Some("£/month"));
    assert_eq!(price.extraction, Some(Extraction::Explicit));
    let sets = |id: &str| node(&output, id).interventions().unwrap()["fac_price"];
    assert_eq!(sets("opt_keep_it_as_it_is"), 49.0);
    assert_eq!(sets("opt_raise_the_pro_price_from_49"), 59.0);
    let edge = output.graph.edges.iter().find(|e| e.id == "fac_price::out_mrr::0").unwrap();
    assert!(matches!(&edge.provenance, Some(Provenance::Cited { source, quote, .. })
        if source == "brief" && quote.contains("£49 to £59")));
    assert!(output.rationales.iter().any(|r| r.target == "fac_price" && r.why.contains("£59/month (from £49/month)")));
}

#[test]
fn an_option_takes_the_place_of_the_one_it_sounds_like_in_whatever_order() {
    let sets = |brief: &str, id: &str| node(&of(brief), id).interventions().unwrap()["fac_price"];
    let turned = "Should we keep the price or raise the price from £10 to £20?";
    assert_eq!(sets(turned, "opt_keep_the_price"), 10.0);
    assert_eq!(sets(turned, "opt_raise_the_price_from_10_to"), 20.0);
}

#[test]
fn the_same_input_gives_the_same_bytes_and_the_seed_changes_only_strengths() {
    let bytes = |body: Value| serde_json::to_string(&run(body).unwrap()).unwrap();
    let plain = || json!({ "brief": PRICING });
    assert_eq!(bytes(plain()), bytes(plain()));
    assert_eq!(bytes(plain()), bytes(json!({ "brief": PRICING, "unknown": 1 })));
    let seeded = |seed: &str| run(json!({ "brief": PRICING, "seed": seed })).unwrap();
    assert_eq!(seeded("a"), seeded("a"));
    let (a, b) = (seeded("a"), seeded("b"));
    assert_ne!(a.graph.edges, b.graph.edges);
    assert_eq!(a.graph.nodes, b.graph.nodes);
    assert_ne!(a, run(json!({ "brief": PRICING, "seed": "a", "sim_runs": 5 })).unwrap());
}

#[test]
fn the_hint_decides_the_template() {
    let output = run(json!({ "brief": PRICING, "archetype_hint": "technical-debt" })).unwrap();
    node(&output, "dec_debt");
}

#[test]
fn several_goals_become_a_compound_one() {
    let output =
        run(json!({ "brief": PRICING, "context": {"goals": ["Grow revenue", "Keep our customers"]} })).unwrap();
    assert_eq!(labels(&output, Kind::Goal), ["Compound Goal: Grow revenue + Keep our customers"]);
    assert_sound(&output, "compound");
    let trace = serde_json::to_value(&output.trace).unwrap();
    assert_eq!(trace["corrections_summary"]["by_type"], json!({"goal_merged": 1}));
    let one = run(json!({ "brief": PRICING, "context": {"goals": ["Grow revenue"]} })).unwrap();
    assert_eq!(labels(&one, Kind::Goal), ["Grow revenue"]);
}

#[test]
fn confidence_follows_the_evidence() {
    assert_eq!((of(PRICING).confidence, of(PRICING).clarifier_status), (0.85, "complete"));
    let torn = of("The budget is £20k. Some say a budget of £50k. Should we build or buy it?");
    assert_eq!((torn.confidence, torn.clarifier_status), (0.7, "max_rounds"));
    let held = run(json!({ "brief": PRICING, "constraints": {"region": "EU", "budget": "£5k"} })).unwrap();
    assert_eq!((held.confidence, held.clarifier_status), (0.9, "confident"));
    assert!(held.rationales.iter().any(|r| r.why == "Within the region given: EU"));
}

#[test]
fn attachments_ground_a_draft_only_with_the_flag() {
    let body = |grounding: bool| {
        json!({
            "brief": "Should we raise the price of the plan, or keep it as it is?",
            "flags": {"grounding": grounding},
            "attachments": [{"id": "a", "kind": "txt", "name": "survey"}, {"id": "b", "kind": "csv", "name": "rivals"}],
            "attachment_payloads": {
                "a": {"data": "hello\nmost find the price of the plan fair", "encoding": "utf-8"},
                "b": {"data": "competitor price,x\n10,1\n30,2", "encoding": "utf-8"},
            },
        })
    };
    let plain = run(body(false)).unwrap();
    assert_eq!(plain.confidence, 0.85);
    let grounded = run(body(true)).unwrap();
    assert_eq!((grounded.confidence, grounded.clarifier_status), (0.95, "confident"));
    let cited = |id: &str| {
        let edge = grounded.graph.edges.iter().find(|edge| edge.id == id).unwrap();
        serde_json::to_value(edge).unwrap()
    };
    assert_eq!(
        cited("fac_price::out_mrr::0")["provenance"],
        json!({"source": "survey", "quote": "most find the price of the plan fair", "location": "line 2"})
    );
    assert_eq!(cited("fac_market::risk_competitor::0")["provenance_source"], "metric");
}

#[test]
fn the_answer_to_a_clarifying_question_brings_its_numbers() {
    let brief = "Should we build the billing system in-house or buy it from a vendor?";
    let output =
        run(json!({ "brief": brief, "clarifier_response": {"question_id": "q", "answer": "Our budget is £80k."} }))
            .unwrap();
    assert_eq!(node(&output, "fac_upfront_cost").factor().unwrap().value, 80_000.0);
}

#[test]
fn constraints_bring_numbers_and_huge_ones_cost_no_time() {
    let brief = "Should we build the billing system in-house or buy it from a vendor?";
    let output = run(json!({ "brief": brief, "constraints": {"budget": "$30k", "timeline": "8 months"} })).unwrap();
    let value = |id: &str| node(&output, id).factor().unwrap().value;
    assert_eq!((value("fac_upfront_cost"), value("fac_time_to_launch")), (30_000.0, 8.0));
    // They are read as far as the longest brief is, and no further.
    let huge = "5 and 7 users, ".repeat(60_000);
    let of = |budget: &str| {
        run(json!({ "brief": brief, "constraints": {"budget": budget}, "archetype_hint": huge, "seed": huge })).unwrap()
    };
    assert_ne!(of("5 and 7 users, £77k"), of("5 and 7 users, "));
    assert_eq!(of(&format!("{huge}£77k")), of(&huge));
}

#[test]
fn fixtures_are_answered_at_once() {
    let input = input::parse(json!({ "brief": PRICING, "fixtures": true }).to_string().as_bytes()).unwrap();
    let draft = draft(&input, &[]);
    assert!(draft.instant);
    let output = draft.result.unwrap();
    assert_eq!((output.graph.nodes.len(), output.graph.meta.source), (6, Source::Fixtures));
    assert_eq!(output.confidence, 0.85);
}

#[test]
fn debug_and_critique_come_on_request() {
    let plain = of(PRICING);
    assert!(plain.debug.is_none() && plain.trace.is_none() && plain.issues.is_empty());
    let debug = run(json!({ "brief": PRICING, "include_debug": true })).unwrap();
    let movers = debug.debug.unwrap().needle_movers;
    assert_eq!(movers.len(), 3);
    assert!(movers[0].weight >= movers[1].weight && movers[1].weight >= movers[2].weight);
    assert!(debug.trace.is_some());
    let critique = run(json!({ "brief": PRICING, "flags": {"critique": true} })).unwrap();
    assert!(critique.issues.iter().any(|i| i.contains("fac_bundle: no number")), "{:?}", critique.issues);
    let focus =
        run(json!({ "brief": PRICING, "focus_areas": ["feasibility"], "constraints": {"budget": "£5k"} })).unwrap();
    assert_eq!(focus.issues, ["constraints: no timeline given"]);
}

fn previous(nodes: Value, edges: Value, mode: &str) -> Result<DraftGraphOutput, ErrorV1> {
    run(json!({ "brief": PRICING, "previous_graph": {"nodes": nodes, "edges": edges}, "refinement_mode": mode }))
}

#[test]
fn a_graph_over_the_caps_is_refused_before_any_guard_cuts_it() {
    let nodes = |n: usize| -> Value { (0..n).map(|i| json!({"id": format!("out_{i}"), "kind": "outcome"})).collect() };
    let edges = |n: usize| -> Value { (0..n).map(|_| json!({"from": "out_0", "to": "out_1"})).collect() };
    let over = previous(nodes(51), json!([]), "clarify").unwrap_err();
    assert_eq!(over.message, "Graph exceeds maximum node count (51 > 50)");
    let over = previous(nodes(2), edges(201), "clarify").unwrap_err();
    assert_eq!(over.message, "Graph exceeds maximum edge count (201 > 200)");
    let full = previous(nodes(50), edges(200), "clarify").unwrap();
    assert_eq!((full.graph.nodes.len(), full.graph.edges.len()), (50, 200));
    let grown = previous(nodes(50), edges(1), "expand").unwrap();
    assert_eq!(grown.graph.nodes.len(), 50, "what the drafter adds is cut");
}

#[test]
fn a_graph_that_the_guards_leave_empty_is_an_error() {
    for nodes in [json!([]), json!([{"id": "fac_a", "kind": "factor"}, {"id": "opt_b", "kind": "option"}])] {
        for mode in ["auto", "expand", "prune", "clarify"] {
            let error = previous(nodes.clone(), json!([]), mode).unwrap_err();
            assert_eq!(error.details.unwrap()["reason"], "empty_graph", "{mode}: {nodes}");
        }
    }
}

#[test]
fn a_clients_graph_goes_through_all_guards_and_the_answer_says_so() {
    let output = previous(
        json!([
            {"id": "dec_a", "kind": "decision"}, {"id": "dec_a", "kind": "decision"},
            {"id": "goal_a", "kind": "goal", "label": "A"}, {"id": "goal_b", "kind": "goal", "label": "B"},
            {"id": "fac_alone", "kind": "factor"}, {"id": "out_x", "kind": "outcome"},
        ]),
        json!([
            {"source": "dec_a", "target": "out_x"}, {"from": "out_x", "to": "dec_a"}, {"from": "out_x", "to": "ghost"},
            {"id": "e1", "from": "out_x", "to": "goal_a", "strength_mean": 0.5, "effect_direction": "negative"},
            {"from": "out_x", "to": "goal_b"},
        ]),
        "clarify",
    )
    .unwrap();
    let trace = serde_json::to_value(&output.trace).unwrap();
    assert_eq!(
        trace["corrections_summary"]["by_type"],
        json!({
            "duplicate_node": 1, "dangling_edge": 1, "cycle_edge": 1, "isolated_node": 1,
            "edge_id": 1, "effect_direction": 1, "goal_merged": 1,
        })
    );
    assert_eq!(labels(&output, Kind::Goal), ["Compound Goal: A + B"]);
    let ids: Vec<&str> = output.graph.edges.iter().map(|e| e.id.as_str()).collect();
    assert_eq!(ids, ["dec_a::out_x::0", "out_x::goal_a::0"]);
    assert!(output.issues.iter().any(|i| i.contains("decision to outcome is not allowed")), "{:?}", output.issues);
}

#[test]
fn a_draft_sent_back_is_taken_as_it_is() {
    let first = of(PRICING);
    let graph = serde_json::to_value(&first.graph).unwrap();
    let again = run(json!({ "brief": PRICING, "previous_graph": graph })).unwrap();
    assert_eq!(again.graph, first.graph);
    assert!(again.issues.is_empty() && again.trace.is_none());
}

#[test]
fn nothing_private_to_the_server_is_in_an_output() {
    let text = serde_json::to_string(&of(PRICING)).unwrap().to_lowercase();
    for word in ["secret", "password", "api_key", "authorization", "cookie", "sessionid"] {
        assert!(!text.contains(word), "{word}");
    }
}

/// Briefs of words that the drafter looks for, in any order, and of anything else.
fn briefs() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "should we",
        "whether to",
        "or",
        "vs",
        "options are:",
        ",",
        ".",
        "?",
        "raise",
        "price",
        "hire",
        "build",
        "buy",
        "from £49 to £59",
        "£0",
        "$1.5m",
        "20%",
        "0%",
        "6 months",
        "3 engineers",
        "between 5 and 10%",
        "budget",
        "churn",
        "our goal is to",
        "grow",
        "ü",
        "日本",
        "🚀",
        "keep",
        "migrate",
        "debt",
        "expand",
        "0.001%",
        "from 5 to 5 users",
    ]);
    let spoken = prop::collection::vec(words, 8..60).prop_map(|words| words.join(" "));
    prop_oneof![3 => spoken, 1 => ".{30,300}"].prop_map(|brief| format!("{brief:.<30}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_brief_gives_a_sound_graph(brief in briefs(), hint in 0..7_usize, seed in "[a-z]{0,4}") {
        let hint = Archetype::ALL[hint].name();
        let body = json!({ "brief": brief.chars().take(5000).collect::<String>(), "archetype_hint": hint, "seed": seed });
        let output = run(body.clone()).unwrap();
        assert_sound(&output, &brief);
        prop_assert_eq!(&output, &run(body).unwrap());
    }
}
