//! What the tests share: a handler that does as it is told, real servers, a client that sees every byte, and a parser
//! of its own.

pub mod blocks;
mod client;
mod gate;
mod handler;
mod logs;
mod nodes;
mod server;
mod sse;
mod stage;
mod switch;
mod token;
mod wire;

pub use client::{Ended, Reply, Request, call, get_stream};
pub use gate::Gate;
pub use handler::{Handler, Told};
pub use logs::Logs;
pub use nodes::{Nodes, Run, pass, sharing, until};
pub use server::{Server, keys, layer};
pub use sse::{Item, Parser, SseEvent, masked, parse};
pub use stage::{Call, Stage, StreamBody, ask, open_stream};
pub use switch::Switch;
pub use token::Peek;
pub use wire::Wire;
