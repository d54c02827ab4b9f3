//! Which node of a cluster has which slot, as `CLUSTER SLOTS` says.

use fred::types::Value;
use std::fmt;

/// Where a node of a cluster listens.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

/// An address is nobody's business but the connection's.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address")
    }
}

/// A stretch of slots and the node that has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: u16,
    pub(super) last: u16,
    pub(super) address: Address,
}

/// The host of a redirection without one is that of the node that sent it.
pub(super) fn address(text: &str, asked: &str) -> Option<Address> {
    let (host, port) = text.rsplit_once(':')?;
    let host = if host.is_empty() { asked } else { host.trim_start_matches('[').trim_end_matches(']') };
    Some(Address { host: host.to_owned(), port: port.parse().ok()? })
}

/// Reads the reply of a node at `asked`; in order of slots. A stretch whose node is not named is left out: nobody can
/// reach it.
pub(super) fn ranges(reply: Value, asked: &str) -> Option<Vec<Range>> {
    let Value::Array(entries) = reply else { return None };
    let mut ranges: Vec<Range> = entries.into_iter().filter_map(|entry| range(entry, asked)).collect();
    ranges.sort_unstable_by_key(|range| range.first);
    (!ranges.is_empty()).then_some(ranges)
}

/// `[first, last, [host, port, ..], ..]`, the primary before its replicas.
fn range(entry: Value, asked: &str) -> Option<Range> {
    let Value::Array(parts) = entry else { return None };
    let mut parts = parts.into_iter();
    let mut slot = || parts.next().and_then(|slot| slot.as_u64()).and_then(|slot| u16::try_from(slot).ok());
    let (first, last) = (slot()?, slot()?);
    let Some(Value::Array(node)) = parts.next() else { return None };
    let mut node = node.into_iter();
    let host = node.next().and_then(|host| host.into_string()).unwrap_or_default();
    let port = node.next().and_then(|port| port.as_u64()).and_then(|port| u16::try_from(port).ok())?;
    let host = match &*host {
        "" => asked.to_owned(),
        // What a node says of one whose name it does not know.
        "?" => return None,
        _ => host,
    };
    (first <= last && port > 0).then_some(Range { first, last, address: Address { host, port } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(first: i64, last: i64, host: Value, port: i64) -> Value {
        let node = Value::Array(vec![host, port.into(), "id".into()]);
        let replica = Value::Array(vec!["10.0.0.9".into(), 1.into(), "id".into()]);
        Value::Array(vec![first.into(), last.into(), node, replica])
    }

    #[test]
    fn each_stretch_has_the_address_of_its_primary() {
        let reply = Value::Array(vec![
            entry(100, 200, "b".into(), 7001),
            entry(0, 99, Value::Null, 7000),
            entry(201, 300, "".into(), 7002),
            entry(301, 400, "?".into(), 7003),
            Value::from("nonsense"),
        ]);
        let of = |host: &str, port| Address { host: host.into(), port };
        let found: Vec<_> = ranges(reply, "a").unwrap().into_iter().map(|r| (r.first, r.last, r.address)).collect();
        assert_eq!(found, [(0, 99, of("a", 7000)), (100, 200, of("b", 7001)), (201, 300, of("a", 7002))]);
        assert_eq!(ranges(Value::Array(Vec::new()), "a"), None);
        assert_eq!(ranges(Value::from("OK"), "a"), None);
    }

    #[test]
    fn an_address_may_be_a_name_or_an_address_of_any_kind_or_just_a_port() {
        for (text, host, port) in [
            ("10.0.0.1:7", "10.0.0.1", 7),
            ("redis-1.local:8", "redis-1.local", 8),
            ("::1:9", "::1", 9),
            (":10", "a", 10),
        ] {
            assert_eq!(address(text, "a"), Some(Address { host: host.into(), port }), "{text}");
        }
        assert_eq!(address("nothing", "a"), None);
        assert_eq!(address("host:70000", "a"), None);
    }
}
