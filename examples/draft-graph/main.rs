//! A server that drafts decision graphs, with no model behind it: the same brief always gives the same graph.
//!
//! `input` → `draft` (`brief`, `archetype`, `numbers` → `assemble` → `guards`) → `progress` → `pace` → `http`.

#![allow(dead_code, reason = "until the layer is wired here, what only its classifier needs is used by tests alone")]

mod archetype;
mod assemble;
mod brief;
mod correlation;
mod critique;
mod draft;
mod error;
mod fixture;
mod graph;
mod grounding;
mod guards;
mod http;
mod input;
mod layout;
mod limits;
mod numbers;
mod output;
mod pace;
mod previous;
mod progress;
mod refine;
mod scan;
mod sizing;
mod strength;
mod table;
mod templates;
mod text;
mod topology;
mod validate;
mod wire;

fn main() {
    let _app = http::router(http::Settings::default());
}
