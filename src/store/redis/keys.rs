//! What things are called in Redis.
//!
//! A stream's keys share a hash tag, its id, so that they lie on one slot of a cluster.

use crate::{NodeId, RequestId, store::Name};
use bytes::Bytes;
use fred::types::Value;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Names keys and channels under one prefix.
#[derive(Clone, Debug)]
pub(super) struct Keys(Box<[u8]>);

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self(prefix.as_bytes().into())
    }

    /// The stream of entries: the truth about a stream.
    pub(super) fn log(&self, id: RequestId) -> Value {
        self.stream(id, b"log")
    }

    /// What is known from the first moment on.
    pub(super) fn meta(&self, id: RequestId) -> Value {
        self.stream(id, b"meta")
    }

    /// The snapshot.
    pub(super) fn snap(&self, id: RequestId) -> Value {
        self.stream(id, b"snap")
    }

    /// The channel in which a node listens.
    pub(super) fn inbox(&self, node: NodeId) -> Value {
        self.other(b":inbox:", node.as_bytes())
    }

    /// The lease of a node.
    pub(super) fn node(&self, node: NodeId) -> Value {
        self.other(b":node:", node.as_bytes())
    }

    /// What a name stands for.
    pub(super) fn name(&self, name: Name) -> Value {
        self.other(b":name:", name.as_bytes())
    }

    fn other(&self, what: &[u8], bytes: &[u8]) -> Value {
        let mut key = Vec::with_capacity(self.0.len() + what.len() + 2 * bytes.len());
        key.extend_from_slice(&self.0);
        key.extend_from_slice(what);
        put_hex(&mut key, bytes);
        Value::Bytes(key.into())
    }

    /// Written by hand, as each append needs one.
    fn stream(&self, id: RequestId, what: &[u8]) -> Value {
        let mut key = Vec::with_capacity(self.0.len() + what.len() + 40);
        key.extend_from_slice(&self.0);
        key.extend_from_slice(b":{");
        let mut rest: &[u8] = id.as_bytes();
        for len in [4, 2, 2, 2, 6] {
            let (group, behind) = rest.split_at_checked(len).unwrap_or((rest, &[]));
            put_hex(&mut key, group);
            key.push(b'-');
            rest = behind;
        }
        key.pop();
        key.extend_from_slice(b"}:");
        key.extend_from_slice(what);
        Value::Bytes(Bytes::from(key))
    }
}

fn put_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        out.extend([byte >> 4, byte & 15].iter().filter_map(|digit| HEX.get(usize::from(*digit))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_streams_keys_carry_its_id_as_their_hash_tag() {
        let keys = Keys::new("p");
        let id = RequestId::random();
        assert_eq!(keys.log(id).as_bytes(), Some(format!("p:{{{id}}}:log").as_bytes()));
        assert_eq!(keys.meta(id).as_bytes(), Some(format!("p:{{{id}}}:meta").as_bytes()));
        assert_eq!(keys.snap(id).as_bytes(), Some(format!("p:{{{id}}}:snap").as_bytes()));
        let node = NodeId::random();
        assert_eq!(keys.inbox(node).as_bytes(), Some(format!("p:inbox:{node}").as_bytes()));
        assert_eq!(keys.node(node).as_bytes(), Some(format!("p:node:{node}").as_bytes()));
        let name = format!("p:name:{}", "0a".repeat(32));
        assert_eq!(keys.name(Name::from_bytes([10; 32])).as_bytes(), Some(name.as_bytes()));
    }
}
