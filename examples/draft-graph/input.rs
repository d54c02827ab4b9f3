//! `DraftGraphInput`: what a client may ask, and its limits.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::error::ErrorV1;
use crate::graph::Sketch;
use crate::limits::{BRIEF_MAX_CHARS, BRIEF_MIN_CHARS};
use crate::previous;
use crate::text::clip;
use crate::validate::{Fields, check_length, choose, invalid, wrong_type};

/// A request that fits. Members that the drafter has no use for are checked and not kept.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct DraftGraphInput {
    pub(crate) brief: String,
    pub(crate) attachments: Vec<Attachment>,
    pub(crate) constraints: Map<String, Value>,
    pub(crate) flags: BTreeMap<String, bool>,
    pub(crate) include_debug: bool,
    pub(crate) focus_areas: BTreeSet<&'static str>,
    pub(crate) goals: Vec<String>,
    pub(crate) refinement: Option<Refinement>,
    pub(crate) clarifier_answer: Option<String>,
    pub(crate) fixtures: bool,
    pub(crate) seed: String,
    pub(crate) archetype_hint: Option<String>,
    /// `sim_*`: they belong to the simulation, so they are part of what a draft depends on.
    pub(crate) sim: BTreeMap<String, String>,
}

impl DraftGraphInput {
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.flags.get(name).copied().unwrap_or(false)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attachment {
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) payload: Option<Payload>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Payload {
    pub(crate) data: String,
    pub(crate) encoding: Option<String>,
}

/// A graph to work on further, and how.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refinement {
    pub(crate) graph: Sketch,
    /// `auto`, `expand`, `prune` or `clarify`.
    pub(crate) mode: &'static str,
    pub(crate) instructions: String,
    pub(crate) preserve: BTreeSet<String>,
}

/// Reads a request's body.
///
/// # Errors
///
/// `BAD_INPUT` with everything that is wrong with it, by field.
pub(crate) fn parse(body: &[u8]) -> Result<DraftGraphInput, ErrorV1> {
    let value: Value = serde_json::from_slice(body).map_err(|error| {
        // The position only: serde's text quotes the input.
        let place = format!("Invalid JSON at line {} column {}", error.line(), error.column());
        invalid(&[place], &BTreeMap::new())
    })?;
    let mut fields = Fields::of(&value)?;
    let input = DraftGraphInput {
        brief: fields.required_string("brief", BRIEF_MIN_CHARS, BRIEF_MAX_CHARS),
        attachments: attachments(&mut fields),
        constraints: fields.object("constraints").cloned().unwrap_or_default(),
        flags: flags(&mut fields),
        include_debug: fields.boolean("include_debug"),
        focus_areas: focus_areas(&mut fields),
        goals: goals(&mut fields),
        refinement: refinement(&mut fields),
        clarifier_answer: clarifier(&mut fields),
        fixtures: fields.boolean("fixtures"),
        seed: fields.string("seed", 0, usize::MAX).unwrap_or_default(),
        archetype_hint: fields.string("archetype_hint", 0, usize::MAX).map(|hint| clip(&hint, 200)),
        sim: sim(&mut fields),
    };
    // For a client of the original: there is no raw output of a model here, so this changes nothing.
    fields.boolean("raw_output");
    fields.finish()?;
    Ok(input)
}

fn attachments(fields: &mut Fields<'_>) -> Vec<Attachment> {
    const KINDS: [&str; 4] = ["pdf", "csv", "txt", "md"];
    let mut payloads = payloads(fields);
    let mut read = Vec::new();
    for (i, item) in fields.array("attachments", usize::MAX).iter().enumerate() {
        let member = |name| item.get(name).and_then(Value::as_str);
        let kind = member("kind").map(|kind| choose(kind, &KINDS));
        match (member("id"), kind, member("name")) {
            (Some(id), Some(Ok(kind)), Some(name)) => {
                read.push(Attachment { kind, name: name.to_owned(), payload: payloads.remove(id) })
            }
            (_, Some(Err(message)), _) => fields.fail("attachments", format!("{i}.kind: {message}")),
            _ => fields.fail("attachments", format!("{i}: id, kind and name are required")),
        }
    }
    read
}

fn payloads(fields: &mut Fields<'_>) -> BTreeMap<String, Payload> {
    let mut read = BTreeMap::new();
    for (id, value) in fields.object("attachment_payloads").into_iter().flatten() {
        let payload = match value {
            Value::String(data) => Some(Payload { data: data.clone(), encoding: None }),
            Value::Object(members) => match (members.get("data"), members.get("encoding")) {
                (Some(Value::String(data)), None) => Some(Payload { data: data.clone(), encoding: None }),
                (Some(Value::String(data)), Some(Value::String(encoding))) => {
                    Some(Payload { data: data.clone(), encoding: Some(encoding.clone()) })
                }
                _ => None,
            },
            _ => None,
        };
        match payload {
            Some(payload) => drop(read.insert(id.clone(), payload)),
            None => {
                fields.fail("attachment_payloads", format!("{}: Expected string or {{data, encoding?}}", clip(id, 40)))
            }
        }
    }
    read
}

fn flags(fields: &mut Fields<'_>) -> BTreeMap<String, bool> {
    let mut read = BTreeMap::new();
    for (name, value) in fields.object("flags").into_iter().flatten() {
        match value {
            Value::Bool(on) => drop(read.insert(name.clone(), *on)),
            other => fields.fail("flags", wrong_type("boolean", other)),
        }
    }
    read
}

fn focus_areas(fields: &mut Fields<'_>) -> BTreeSet<&'static str> {
    const AREAS: [&str; 4] = ["structure", "completeness", "feasibility", "provenance"];
    let mut read = BTreeSet::new();
    for item in fields.array("focus_areas", usize::MAX) {
        match item.as_str().map(|area| choose(area, &AREAS)) {
            Some(Ok(area)) => drop(read.insert(area)),
            Some(Err(message)) => fields.fail("focus_areas", message),
            None => fields.fail("focus_areas", wrong_type("string", item)),
        }
    }
    read
}

fn goals(fields: &mut Fields<'_>) -> Vec<String> {
    fields.object("context");
    let Some(goals) = fields.value("context").and_then(|context| context.get("goals")) else {
        return Vec::new();
    };
    let Some(items) = goals.as_array() else {
        fields.fail("context", wrong_type("array", goals));
        return Vec::new();
    };
    if items.len() > 5 {
        fields.fail("context", "Array must contain at most 5 element(s)");
    }
    texts(fields, "context", items, 5, 200)
}

/// The strings of `items`, each within its limits.
fn texts(fields: &mut Fields<'_>, name: &str, items: &[Value], min: usize, max: usize) -> Vec<String> {
    let mut read = Vec::new();
    for item in items {
        match item.as_str().map(|text| (text, check_length(text, min, max))) {
            Some((text, Ok(()))) => read.push(text.to_owned()),
            Some((_, Err(message))) => fields.fail(name, message),
            None => fields.fail(name, wrong_type("string", item)),
        }
    }
    read
}

fn refinement(fields: &mut Fields<'_>) -> Option<Refinement> {
    const MODES: [&str; 4] = ["auto", "expand", "prune", "clarify"];
    let mode = fields.choice("refinement_mode", &MODES).unwrap_or("auto");
    let instructions = fields.string("refinement_instructions", 1, 2000);
    let preserve = fields.array("preserve_nodes", 50);
    let preserve = texts(fields, "preserve_nodes", preserve, 0, usize::MAX);
    let graph = fields.value("previous_graph").map(previous::parse)?;
    match graph {
        Ok(graph) => Some(Refinement {
            graph,
            mode,
            instructions: instructions.unwrap_or_default(),
            preserve: preserve.into_iter().collect(),
        }),
        Err(messages) => {
            for message in messages {
                fields.fail("previous_graph", message);
            }
            None
        }
    }
}

/// The clarifier's members. Of its rounds only the last answer matters to a draft.
fn clarifier(fields: &mut Fields<'_>) -> Option<String> {
    fields.count("clarification_rounds_completed", 3);
    fields.count("max_clarifier_rounds", 10);
    for item in fields.array("conversation_history", usize::MAX) {
        if !item.is_object() {
            fields.fail("conversation_history", wrong_type("object", item));
        }
    }
    let response = fields.object("clarifier_response")?;
    let member = |name| response.get(name).and_then(Value::as_str);
    match (member("question_id"), member("answer")) {
        (Some(_), Some(answer)) => Some(answer.to_owned()),
        _ => {
            fields.fail("clarifier_response", "question_id and answer are required");
            None
        }
    }
}

/// Up to ten `sim_*` scalars pass through, long strings cut; others are stripped like any unknown member.
fn sim(fields: &mut Fields<'_>) -> BTreeMap<String, String> {
    let scalar = |name: &str| match fields.value(name)? {
        Value::String(text) => Some(text.chars().take(500).collect()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(on) => Some(on.to_string()),
        _ => None,
    };
    fields
        .names()
        .filter(|name| name.starts_with("sim_"))
        .filter_map(|name| Some((name.to_owned(), scalar(name)?)))
        .take(10)
        .collect()
}

#[cfg(test)]
#[path = "input_tests.rs"]
mod tests;
