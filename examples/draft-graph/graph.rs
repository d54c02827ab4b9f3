//! The decision graph as it travels: nodes, edges, meta. Field names are the wire's.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a node stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Goal,
    Decision,
    Option,
    Outcome,
    Risk,
    Action,
    Factor,
}

impl Kind {
    /// The prefix that ids of this kind carry.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Goal => "goal_",
            Self::Decision => "dec_",
            Self::Option => "opt_",
            Self::Outcome => "out_",
            Self::Risk => "risk_",
            Self::Action => "act_",
            Self::Factor => "fac_",
        }
    }

    /// The kinds a graph makes no sense without: guards never prune them, even when isolated.
    pub(crate) fn is_protected(self) -> bool {
        matches!(self, Self::Goal | Self::Decision | Self::Outcome | Self::Risk)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Node {
    pub(crate) id: String,
    pub(crate) kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) label: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<NodeData>,
}

impl Node {
    pub(crate) fn new(id: impl Into<String>, kind: Kind, label: impl Into<String>) -> Self {
        Self { id: id.into(), kind, label: Some(label.into()), body: None, data: None }
    }

    /// What to call this node in prose.
    pub(crate) fn name(&self) -> &str {
        self.label.as_deref().unwrap_or(&self.id)
    }

    pub(crate) fn factor(&self) -> Option<&FactorData> {
        match &self.data {
            Some(NodeData::Factor(data)) => Some(data),
            _ => None,
        }
    }

    pub(crate) fn interventions(&self) -> Option<&BTreeMap<String, f64>> {
        match &self.data {
            Some(NodeData::Option { interventions }) => Some(interventions),
            _ => None,
        }
    }
}

/// A node's data: of an option, what it sets; of a factor, what is known of its size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum NodeData {
    Option { interventions: BTreeMap<String, f64> },
    Factor(FactorData),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FactorData {
    pub(crate) value: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) baseline: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unit: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) range: Option<Range>,
    #[serde(default, rename = "extractionType", skip_serializing_if = "Option::is_none")]
    pub(crate) extraction: Option<Extraction>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) confidence: Option<f64>,
    #[serde(default, rename = "rangeMin", skip_serializing_if = "Option::is_none")]
    pub(crate) range_min: Option<f64>,
    #[serde(default, rename = "rangeMax", skip_serializing_if = "Option::is_none")]
    pub(crate) range_max: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Range {
    pub(crate) min: f64,
    pub(crate) max: f64,
}

/// How a factor's value was come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Extraction {
    /// A number in the text.
    Explicit,
    /// Nothing in the text: the template's own guess.
    Inferred,
    /// Two ends in the text; the value is their middle.
    Range,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Edge {
    #[serde(default)]
    pub(crate) id: String,
    #[serde(alias = "source")]
    pub(crate) from: String,
    #[serde(alias = "target")]
    pub(crate) to: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) strength_mean: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) strength_std: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) belief_exists: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) weight: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) belief: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) provenance: Option<Provenance>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) provenance_source: Option<ProvenanceSource>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) effect_direction: Option<Direction>,
}

impl Edge {
    /// An edge of which only the ends are known.
    pub(crate) fn bare(from: impl Into<String>, to: impl Into<String>) -> Self {
        Self {
            id: String::new(),
            from: from.into(),
            to: to.into(),
            strength_mean: None,
            strength_std: None,
            belief_exists: None,
            weight: None,
            belief: None,
            provenance: None,
            provenance_source: None,
            effect_direction: None,
        }
    }
}

/// Where an edge comes from. The plain string is the legacy form, still read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Provenance {
    Cited {
        source: String,
        quote: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        location: Option<String>,
    },
    Legacy(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ProvenanceSource {
    /// A text that came with the brief.
    Document,
    /// Figures: those of the brief or of a table.
    Metric,
    /// The template's own assumption.
    Hypothesis,
    /// True by construction.
    Engine,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Direction {
    Positive,
    Negative,
}

impl Direction {
    /// The direction that a mean strength has.
    pub(crate) fn of(mean: f64) -> Self {
        if mean < 0.0 { Self::Negative } else { Self::Positive }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Position {
    pub(crate) x: f64,
    pub(crate) y: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Source {
    Assistant,
    Fixtures,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Meta {
    pub(crate) roots: Vec<String>,
    pub(crate) leaves: Vec<String>,
    pub(crate) suggested_positions: BTreeMap<String, Position>,
    pub(crate) source: Source,
}

/// A graph that has been through the guards; only [`guards`](crate::guards) makes one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Graph {
    pub(crate) version: &'static str,
    pub(crate) default_seed: u32,
    pub(crate) nodes: Vec<Node>,
    pub(crate) edges: Vec<Edge>,
    pub(crate) meta: Meta,
}

/// Nodes and edges as they were drawn or sent, before any guard.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Sketch {
    pub(crate) nodes: Vec<Node>,
    pub(crate) edges: Vec<Edge>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn edges_are_read_with_source_and_target_and_written_with_from_and_to() {
        let edge: Edge =
            serde_json::from_value(json!({"source": "a", "target": "b", "provenance": "old form", "x": 1})).unwrap();
        assert_eq!(
            serde_json::to_value(edge).unwrap(),
            json!({"id": "", "from": "a", "to": "b", "provenance": "old form"})
        );
    }

    #[test]
    fn node_data_is_told_apart_by_its_members() {
        let option: Node =
            serde_json::from_value(json!({"id": "opt_a", "kind": "option", "data": {"interventions": {"fac_x": 1}}}))
                .unwrap();
        assert_eq!(option.interventions().unwrap()["fac_x"], 1.0);
        let factor: Node = serde_json::from_value(
            json!({"id": "fac_x", "kind": "factor", "data": {"value": 2, "extractionType": "range", "rangeMin": 1, "rangeMax": 3}}),
        )
        .unwrap();
        let data = factor.factor().unwrap();
        assert_eq!(data.extraction, Some(Extraction::Range));
        assert_eq!((data.range_min, data.range_max), (Some(1.0), Some(3.0)));
    }
}
