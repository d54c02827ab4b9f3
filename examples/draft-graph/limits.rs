//! Every limit of the application, with its reason. `GET /v1/limits` tells them to clients.

use serde_json::json;

use crate::error::{ErrorV1, bad_input};

/// Largest request body. Attachments travel in it as base64, so it is not small; it bounds what one request can make us hold.
pub(crate) const BODY_LIMIT_BYTES: usize = 1_048_576;
/// Most nodes in a graph. A person can't read more, and layout and guards walk all of them.
pub(crate) const MAX_NODES: usize = 50;
/// Most edges in a graph; see [`MAX_NODES`].
pub(crate) const MAX_EDGES: usize = 200;
/// Shortest brief that says enough to draft from, in characters.
pub(crate) const BRIEF_MIN_CHARS: usize = 30;
/// Longest brief, in characters.
pub(crate) const BRIEF_MAX_CHARS: usize = 5_000;
/// Longest attachment, in characters of its decoded text.
pub(crate) const ATTACHMENT_MAX_CHARS: usize = 5_000;
/// Longest sum of all attachments, in characters.
pub(crate) const ATTACHMENTS_TOTAL_MAX_CHARS: usize = 50_000;

/// Refuses a graph that is over the caps.
///
/// For graphs that a client sends: to cut those silently would lose its work. What the drafter itself adds is cut by the
/// guards instead.
pub(crate) fn check_caps(nodes: usize, edges: usize) -> Result<(), ErrorV1> {
    let over = |what: &str, n: usize, max: usize, key: &str, max_key: &str| {
        bad_input(
            format!("Graph exceeds maximum {what} count ({n} > {max})"),
            json!({
                key: n,
                max_key: max,
                "cee_error_code": "CEE_GRAPH_INVALID",
                "guard_violation_code": "CAP_EXCEEDED",
            }),
        )
    };
    if nodes > MAX_NODES {
        return Err(over("node", nodes, MAX_NODES, "nodes", "max_nodes"));
    }
    if edges > MAX_EDGES {
        return Err(over("edge", edges, MAX_EDGES, "edges", "max_edges"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caps_are_inclusive_and_the_error_names_both_numbers() {
        assert_eq!(check_caps(MAX_NODES, MAX_EDGES), Ok(()));
        let nodes = check_caps(51, 0).unwrap_err();
        assert_eq!(nodes.message, "Graph exceeds maximum node count (51 > 50)");
        assert_eq!(
            nodes.details.unwrap(),
            json!({"nodes": 51, "max_nodes": 50, "cee_error_code": "CEE_GRAPH_INVALID", "guard_violation_code": "CAP_EXCEEDED"})
        );
        let edges = check_caps(50, 201).unwrap_err();
        assert_eq!(edges.message, "Graph exceeds maximum edge count (201 > 200)");
        assert_eq!(edges.details.unwrap()["max_edges"], 200);
    }
}
