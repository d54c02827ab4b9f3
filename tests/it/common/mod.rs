//! What the tests share: a handler that does as it is told, real servers, a client that sees every byte, and a parser
//! of its own.

mod client;
mod handler;
mod server;
mod sse;

pub use client::{Ended, Reply, Request};
pub use handler::{Handler, Told};
pub use server::{Server, keys, layer};
pub use sse::{Item, Parser, SseEvent, parse};
