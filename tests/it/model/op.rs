//! What can be done, and how often it is.

use super::NODES;
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
pub enum Op {
    /// A stream begins on this node.
    Start(usize),
    /// A stream's handler says so many events, one that is too large to keep, or a comment.
    Say(usize, u64),
    Large(usize),
    Comment(usize),
    /// It ends, or its body fails.
    Finish(usize),
    Fail(usize),
    /// A client is cut.
    Cut(usize),
    /// One that is not connected comes back to this node, by `Last-Event-ID` or by `X-Resume-Token`; from the start, in
    /// the latter case, or from where it was.
    ComeBack {
        client: usize,
        node: usize,
        by_id: bool,
        anew: bool,
    },
    /// Another client joins with this one's token.
    Join {
        client: usize,
        node: usize,
    },
    /// Replay mode, by this client's token.
    Replay {
        client: usize,
        node: usize,
    },
    /// A client's stream is cancelled, by way of this node.
    Cancel {
        client: usize,
        node: usize,
    },
    /// The store is out of reach, or back.
    Outage(bool),
    /// Nothing, for so many seconds; with a real clock, not at all.
    Wait(u64),
}

pub fn op() -> impl Strategy<Value = Op> {
    let at = || 0..8_usize;
    let node = || 0..NODES;
    prop_oneof![
        3 => node().prop_map(Op::Start),
        8 => (at(), 1..40_u64).prop_map(|(stream, count)| Op::Say(stream, count)),
        2 => at().prop_map(Op::Large),
        1 => at().prop_map(Op::Comment),
        1 => at().prop_map(Op::Finish),
        1 => at().prop_map(Op::Fail),
        4 => at().prop_map(Op::Cut),
        8 => (at(), node(), any::<bool>(), any::<bool>())
            .prop_map(|(client, node, by_id, anew)| Op::ComeBack { client, node, by_id, anew }),
        2 => (at(), node()).prop_map(|(client, node)| Op::Join { client, node }),
        2 => (at(), node()).prop_map(|(client, node)| Op::Replay { client, node }),
        1 => (at(), node()).prop_map(|(client, node)| Op::Cancel { client, node }),
        2 => any::<bool>().prop_map(Op::Outage),
        1 => (1..100_u64).prop_map(Op::Wait),
    ]
}
