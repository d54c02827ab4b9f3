//! Fills a template with what the brief says: its options, its goal, its numbers, its documents.

use std::collections::{BTreeMap, BTreeSet};

use crate::archetype::{self, Archetype};
use crate::brief::{self, Reading};
use crate::graph::{Edge, FactorData, Kind, Node, NodeData, Provenance, ProvenanceSource, Sketch};
use crate::grounding::Document;
use crate::numbers::Quantity;
use crate::output::Rationale;
use crate::sizing::{self, Want};
use crate::strength::{self, Seed};
use crate::templates::{self, FactorSlot, Link, OptionSlot, Template};
use crate::text::{clip, has_phrase, slug};

/// Edges a draft should have at most, so that it stays readable: what the options may set is cut to fit.
const EDGE_BUDGET: usize = 20;

/// What a draft is made from, beside its template.
pub(crate) struct Material<'a> {
    pub(crate) brief: &'a str,
    pub(crate) hint: Option<&'a str>,
    /// Goals the client named; they go before what the brief says.
    pub(crate) goals: &'a [String],
    pub(crate) quantities: &'a [Quantity],
    pub(crate) documents: &'a [Document],
    pub(crate) seed: Seed,
}

/// A drawn graph, and why it looks as it does.
pub(crate) struct Assembled {
    pub(crate) sketch: Sketch,
    pub(crate) rationales: Vec<Rationale>,
}

pub(crate) fn assemble(material: &Material<'_>) -> Assembled {
    let archetype = archetype::detect(material.brief, material.hint);
    let template = templates::of(archetype);
    let reading = brief::read(material.brief);
    let factors = factors(template, material);
    let options = options(template, &reading);
    let goals = goals(template, &reading, material.goals);

    let (decision, fallback) = template.decision;
    let label = reading.decision.as_deref().unwrap_or(fallback);
    let mut nodes = vec![Node::new(decision, Kind::Decision, label)];
    let mut edges = Vec::new();
    for (option, reach) in options.iter().zip(reaches(template, options.len())) {
        let mut interventions = BTreeMap::new();
        edges.push(strength::structural(decision, &option.id));
        for factor in reach.iter().filter_map(|at| factors.get(*at)) {
            edges.push(strength::structural(&option.id, factor.slot.id));
            let level = option.level(factor.slot);
            let value = sizing::at_level(&factor.data, level);
            interventions.insert(factor.slot.id.to_owned(), value);
        }
        let mut node = Node::new(&option.id, Kind::Option, &option.label);
        node.data = Some(NodeData::Option { interventions });
        nodes.push(node);
    }
    nodes.extend(factors.iter().map(Factor::node));
    for (id, label) in template.results {
        let kind = if id.starts_with(Kind::Risk.prefix()) { Kind::Risk } else { Kind::Outcome };
        nodes.push(Node::new(*id, kind, *label));
    }
    for Link(from, to, pull) in template.links {
        if *to == template.goal.0 {
            // Of several goals each is fed; the guards make one of them later.
            let to_goal = |(id, _): &(String, String)| strength::causal(material.seed, from, id, *pull);
            edges.extend(goals.iter().map(to_goal));
            continue;
        }
        let edge = strength::causal(material.seed, from, to, *pull);
        let cause = factors.iter().find(|factor| factor.slot.id == *from);
        edges.push(cause.map_or(edge.clone(), |cause| cause.cite(edge)));
    }
    for (id, label) in &goals {
        nodes.push(Node::new(id, Kind::Goal, label));
    }
    let mut rationales = vec![why_archetype(archetype, decision, material.brief)];
    rationales.extend(factors.iter().flat_map(Factor::rationales));
    Assembled { sketch: Sketch { nodes, edges }, rationales }
}

/// A factor of the template with what was found of it.
struct Factor<'a> {
    slot: &'static FactorSlot,
    data: FactorData,
    quantity: Option<&'a Quantity>,
    /// The document's name and kind, and the passage in it.
    cited: Option<(&'a Document, crate::grounding::Passage)>,
}

fn factors<'a>(template: &'static Template, material: &Material<'a>) -> Vec<Factor<'a>> {
    let wants: Vec<Want<'_>> = template
        .factors
        .iter()
        .map(|slot| Want {
            measures: Some(slot.wants),
            // A budget that is named without a word belongs to what the options set, not to the world around them.
            takes_unnamed: slot.levels.is_some(),
            cues: slot.cues,
        })
        .collect();
    let given = sizing::assign(&wants, material.quantities);
    template
        .factors
        .iter()
        .zip(given)
        .map(|(slot, quantity)| {
            let cited = material.documents.iter().find_map(|document| Some((document, document.passage(slot.cues)?)));
            Factor {
                slot,
                data: quantity.map_or_else(|| sizing::inferred(slot.value), sizing::explicit),
                quantity,
                cited,
            }
        })
        .collect()
}

impl Factor<'_> {
    fn node(&self) -> Node {
        let mut node = Node::new(self.slot.id, Kind::Factor, self.slot.label);
        node.body = self.quantity.map(|quantity| clip(&format!("From the brief: “{}”", quantity.quote), 200));
        node.data = Some(NodeData::Factor(self.data.clone()));
        node
    }

    /// An edge from this factor, with its source where there is one.
    fn cite(&self, edge: Edge) -> Edge {
        if let Some((document, passage)) = &self.cited {
            return Edge {
                provenance: Some(Provenance::Cited {
                    source: clip(&document.name, 100),
                    quote: passage.quote.clone(),
                    location: Some(passage.location.clone()),
                }),
                provenance_source: Some(document_source(document)),
                ..edge
            };
        }
        let Some(quantity) = self.quantity else {
            return edge;
        };
        Edge {
            provenance: Some(Provenance::Cited {
                source: "brief".to_owned(),
                quote: quantity.quote.clone(),
                location: None,
            }),
            provenance_source: Some(ProvenanceSource::Metric),
            ..edge
        }
    }

    fn rationales(&self) -> Vec<Rationale> {
        let number = self.quantity.map(|quantity| {
            let why = format!("{}: “{}”", sizing::spoken(quantity), quantity.quote);
            Rationale::new(self.slot.id, &why, ProvenanceSource::Metric)
        });
        let cited = self.cited.as_ref().map(|(document, passage)| {
            let name = clip(&document.name, 60);
            let why = format!("{name}, {}: “{}”", passage.location, passage.quote);
            Rationale::new(self.slot.id, &why, document_source(document))
        });
        number.into_iter().chain(cited).collect()
    }
}

/// A table's figures are measurements; everything else is somebody's word.
fn document_source(document: &Document) -> ProvenanceSource {
    match document.kind {
        "csv" => ProvenanceSource::Metric,
        _ => ProvenanceSource::Document,
    }
}

/// An option to draw: how far along it lies from the template's first option (0) to its second (1).
struct Choice {
    id: String,
    label: String,
    along: f64,
}

impl Choice {
    fn level(&self, factor: &FactorSlot) -> f64 {
        let [first, second] = factor.levels.unwrap_or_default();
        first + (second - first) * self.along
    }
}

/// The brief's options, each in the place of the template's option that it sounds like; the template's own where the brief has none.
fn options(template: &Template, reading: &Reading) -> Vec<Choice> {
    if reading.options.is_empty() {
        let [first, second] = &template.options;
        let own = |slot: &OptionSlot, along| Choice { id: slot.id.to_owned(), label: slot.label.to_owned(), along };
        return vec![own(first, 0.0), own(second, 1.0)];
    }
    let mut left: Vec<&String> = reading.options.iter().collect();
    let mut placed: Vec<(&String, f64)> = Vec::new();
    let mut open = Vec::new();
    for (slot, along) in template.options.iter().zip([0.0, 1.0]) {
        let hits = |label: &str| {
            let lower = label.to_lowercase();
            slot.cues.iter().filter(|cue| has_phrase(&lower, cue)).count()
        };
        let mut best: Option<(usize, usize)> = None;
        for (at, label) in left.iter().enumerate() {
            let hits = hits(label);
            if hits > best.map_or(0, |(hits, _)| hits) {
                best = Some((hits, at));
            }
        }
        match best {
            Some((_, at)) => placed.push((left.remove(at), along)),
            None => open.push(along),
        }
    }
    let extras = left.len().saturating_sub(open.len());
    // What sounds like neither fills the free places, then lies evenly between the two.
    open.extend((1..=extras).map(|k| k as f64 / (extras + 1) as f64));
    placed.extend(left.into_iter().zip(open));
    placed.sort_by_key(|(label, _)| reading.options.iter().position(|option| option == *label));
    let mut taken = BTreeSet::new();
    placed
        .into_iter()
        .enumerate()
        .map(|(i, (label, along))| {
            let slug = slug(label, 28);
            let mut id = format!("opt_{slug}");
            if slug.is_empty() || !taken.insert(id.clone()) {
                id = format!("opt_{}", i + 1);
                taken.insert(id.clone());
            }
            Choice { id, label: label.clone(), along }
        })
        .collect()
}

/// Which of the template's factors each of `options` sets: all of them while the edges fit, else some each, and each by somebody.
fn reaches(template: &Template, options: usize) -> Vec<Vec<usize>> {
    let settable: Vec<usize> =
        template.factors.iter().enumerate().filter(|(_, factor)| factor.levels.is_some()).map(|(at, _)| at).collect();
    let spare = EDGE_BUDGET.saturating_sub(options + template.links.len());
    (0..options)
        .map(|option| {
            let share = spare / options + usize::from(option < spare % options);
            let share = share.clamp(1, settable.len());
            settable.iter().copied().cycle().skip(option).take(share).collect()
        })
        .collect()
}

/// Ids and labels of the goals: those the client named, else the brief's, else the template's.
fn goals(template: &Template, reading: &Reading, named: &[String]) -> Vec<(String, String)> {
    let (id, fallback) = template.goal;
    if named.is_empty() {
        let label = reading.goal.as_deref().unwrap_or(fallback);
        return vec![(id.to_owned(), label.to_owned())];
    }
    let numbered = named.iter().enumerate().map(|(i, goal)| {
        let id = if i == 0 { id.to_owned() } else { format!("{id}_{}", i + 1) };
        (id, brief::label(goal).unwrap_or_else(|| fallback.to_owned()))
    });
    numbered.collect()
}

fn why_archetype(archetype: Archetype, decision: &str, brief: &str) -> Rationale {
    let words = archetype::evidence(archetype, brief);
    let why = if words.is_empty() {
        format!("Drafted from the {} template.", archetype.name())
    } else {
        let words = words.join(", ");
        format!("Read as a {} decision: the brief speaks of {words}.", archetype.name())
    };
    Rationale::new(decision, &why, ProvenanceSource::Hypothesis)
}
