//! Reads members of a JSON object one by one and gathers everything that is wrong, as zod's `flatten()` tells it.
//!
//! Only what is asked for is read, so unknown members are stripped by nature. An absent member is fine unless required;
//! `null` is a value, and a wrong one.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::error::{ErrorV1, bad_input};

/// Most messages for one field. Enough to act on; a list of a thousand wrong items should not become a larger answer.
const MAX_MESSAGES: usize = 10;

pub(crate) struct Fields<'a> {
    members: &'a Map<String, Value>,
    errors: BTreeMap<String, Vec<String>>,
}

impl<'a> Fields<'a> {
    /// The members of `value`.
    ///
    /// # Errors
    ///
    /// If it is not an object.
    pub(crate) fn of(value: &'a Value) -> Result<Self, ErrorV1> {
        let members = value.as_object().ok_or_else(|| invalid(&[wrong_type("object", value)], &BTreeMap::new()))?;
        Ok(Self { members, errors: BTreeMap::new() })
    }

    /// Done: an error if anything was wrong.
    pub(crate) fn finish(self) -> Result<(), ErrorV1> {
        if self.errors.is_empty() { Ok(()) } else { Err(invalid(&[], &self.errors)) }
    }

    pub(crate) fn fail(&mut self, name: &str, message: impl Into<String>) {
        let messages = self.errors.entry(name.to_owned()).or_default();
        if messages.len() < MAX_MESSAGES {
            messages.push(message.into());
        }
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.members.keys().map(String::as_str)
    }

    pub(crate) fn value(&self, name: &str) -> Option<&'a Value> {
        self.members.get(name)
    }

    pub(crate) fn required_string(&mut self, name: &str, min: usize, max: usize) -> String {
        if self.value(name).is_none() {
            self.fail(name, "Required");
        }
        self.string(name, min, max).unwrap_or_default()
    }

    pub(crate) fn string(&mut self, name: &str, min: usize, max: usize) -> Option<String> {
        let text = self.typed(name, "string", Value::as_str)?;
        match check_length(text, min, max) {
            Ok(()) => Some(text.to_owned()),
            Err(message) => {
                self.fail(name, message);
                None
            }
        }
    }

    pub(crate) fn boolean(&mut self, name: &str) -> bool {
        self.typed(name, "boolean", Value::as_bool).unwrap_or(false)
    }

    /// A whole number from 0 to `max`.
    pub(crate) fn count(&mut self, name: &str, max: u64) -> Option<u64> {
        let number = self.typed(name, "number", Value::as_f64)?;
        let problem = if number.fract() != 0.0 {
            "Expected integer, received float".to_owned()
        } else if number < 0.0 {
            "Number must be greater than or equal to 0".to_owned()
        } else if number > max as f64 {
            format!("Number must be less than or equal to {max}")
        } else {
            return Some(number as u64);
        };
        self.fail(name, problem);
        None
    }

    pub(crate) fn choice(&mut self, name: &str, of: &[&'static str]) -> Option<&'static str> {
        let text = self.typed(name, "string", Value::as_str)?;
        match choose(text, of) {
            Ok(choice) => Some(choice),
            Err(message) => {
                self.fail(name, message);
                None
            }
        }
    }

    pub(crate) fn array(&mut self, name: &str, max: usize) -> &'a [Value] {
        let Some(items) = self.typed(name, "array", Value::as_array) else {
            return &[];
        };
        if items.len() > max {
            self.fail(name, format!("Array must contain at most {max} element(s)"));
        }
        items
    }

    pub(crate) fn object(&mut self, name: &str) -> Option<&'a Map<String, Value>> {
        self.typed(name, "object", Value::as_object)
    }

    fn typed<T>(&mut self, name: &str, wanted: &str, read: impl Fn(&'a Value) -> Option<T>) -> Option<T> {
        let value = self.value(name)?;
        let read = read(value);
        if read.is_none() {
            self.fail(name, wrong_type(wanted, value));
        }
        read
    }
}

/// The answer to input that does not fit.
pub(crate) fn invalid(form: &[String], fields: &BTreeMap<String, Vec<String>>) -> ErrorV1 {
    bad_input("invalid input", json!({ "formErrors": form, "fieldErrors": fields }))
}

pub(crate) fn check_length(text: &str, min: usize, max: usize) -> Result<(), String> {
    let length = text.chars().count();
    if length < min {
        return Err(format!("String must contain at least {min} character(s)"));
    }
    if length > max {
        return Err(format!("String must contain at most {max} character(s)"));
    }
    Ok(())
}

pub(crate) fn choose(text: &str, of: &[&'static str]) -> Result<&'static str, String> {
    of.iter().find(|choice| **choice == text).copied().ok_or_else(|| {
        let all: Vec<String> = of.iter().map(|choice| format!("'{choice}'")).collect();
        let shown: String = text.chars().take(40).collect();
        format!("Invalid enum value. Expected {}, received '{shown}'", all.join(" | "))
    })
}

pub(crate) fn wrong_type(wanted: &str, value: &Value) -> String {
    let received = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    format!("Expected {wanted}, received {received}")
}
