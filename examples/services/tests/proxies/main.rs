//! nginx and haproxy, as `examples/proxies` sets them, in front of real nodes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    dead_code,
    unused_imports,
    reason = "test code; each binary uses a part of what is shared"
)]

#[path = "../../../../tests/it/common/mod.rs"]
mod common;
#[path = "../../../../tests/nodes/node.rs"]
mod node;
#[path = "../../../../tests/redis_server/mod.rs"]
mod redis_server;

/// Each of these for each proxy.
macro_rules! for_both {
    ($($name:ident)*) => { $(
        mod $name {
            #[tokio::test]
            async fn nginx() { super::$name(crate::proxy::Kind::Nginx).await }
            #[tokio::test]
            async fn haproxy() { super::$name(crate::proxy::Kind::Haproxy).await }
        }
    )* };
}

mod proxy;

mod ends;
mod passing;
mod restarts;
mod silence;
mod two_nodes;
