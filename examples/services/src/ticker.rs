//! A small gRPC API: the messages, and the code that the build script has made for the service.

#![allow(clippy::pedantic, missing_docs, reason = "the greater part is generated")]

/// Asks for one tick.
#[derive(Clone, PartialEq, prost::Message)]
pub struct At {
    #[prost(uint64, tag = "1")]
    pub number: u64,
}

/// Asks for ticks from 1 on.
#[derive(Clone, PartialEq, prost::Message)]
pub struct UpTo {
    #[prost(uint64, tag = "1")]
    pub last: u64,
}

/// A tick.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Tick {
    #[prost(uint64, tag = "1")]
    pub number: u64,
}

include!(concat!(env!("OUT_DIR"), "/ticker.v1.Ticker.rs"));
