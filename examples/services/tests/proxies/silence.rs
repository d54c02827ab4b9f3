//! Silence: a heartbeat more often than the proxy's timeout keeps a stream open; a timeout that is too short cuts it, and
//! nothing is lost.

use crate::{
    common::{Ended, Item, Nodes, Request, Run, sharing},
    passing::{Behind, resumes},
    proxy::{Kind, Proxy},
};
use std::time::Duration;

for_both! { heartbeats_keep_a_silent_stream_open a_timeout_that_is_too_short_cuts_and_nothing_is_lost }

/// The silence that a proxy takes for a loss: as long as may be, for a machine that stands still for a while.
const LONG: &str = "6s";
const SHORT: &str = "3s";

/// So many heartbeats, two a second, are more time than the longer one.
const HEARTBEATS: usize = 16;

fn timeouts(kind: Kind, to: &str) -> [[String; 2]; 1] {
    match kind {
        Kind::Nginx => [["proxy_read_timeout 60s".into(), format!("proxy_read_timeout {to}")]],
        Kind::Haproxy => {
            let both = |time: &str| format!("timeout client {time}\n    timeout server {time}");
            [[both("60s"), both(to)]]
        }
    }
}

async fn behind(kind: Kind, heartbeat: Duration, timeout: &str) -> Option<Behind> {
    let nodes = Nodes::start(sharing(1).into_iter().map(|layer| layer.heartbeat(heartbeat))).await;
    let changes = timeouts(kind, timeout);
    let changes = changes.each_ref().map(|change| change.each_ref().map(String::as_str));
    let proxy = Proxy::before(kind, &[nodes.addr(0)], &changes).await?;
    Some(Behind { nodes, proxy })
}

async fn heartbeats_keep_a_silent_stream_open(kind: Kind) {
    let Some(behind) = behind(kind, Duration::from_millis(500), LONG).await else { return };
    let mut first = behind.begin().await;
    let mut second = Run::of(&behind.nodes.handler, Request::get(behind.proxy.http2, "/stream").http2()).await;
    tokio::join!(silent(&mut first), silent(&mut second));
}

async fn silent(run: &mut Run) {
    for _ in 0..HEARTBEATS {
        assert_eq!(run.first().item().await, Ok(Item::Comment("heartbeat".into())));
    }
    run.count(1).await;
}

async fn a_timeout_that_is_too_short_cuts_and_nothing_is_lost(kind: Kind) {
    let Some(behind) = behind(kind, Duration::from_secs(60), SHORT).await else { return };
    let mut run = behind.begin().await;
    run.count(2).await;
    assert_eq!(run.first().rest().await, (vec![], Ended::Abrupt));
    run.told().count(3..=4);
    let mut reply = behind.reconnect(run.id(2)).send().await;
    resumes(&mut reply, 3..=4).await;
    assert_eq!(reply.phase("live").await["seq"], 4);
    assert_eq!(reply.rest().await, (vec![], Ended::Abrupt));
}
