//! What passes through: events one by one, headers, methods, HTTP/2; nothing is held back or compressed out of reach.

use crate::{
    common::{Ended, Nodes, Reply, Request, Run, sharing},
    proxy::{Kind, Proxy},
};
use http::Method;

for_both! { events_come_one_by_one headers_and_methods_pass compression_does_no_harm }

/// A node behind a proxy.
pub struct Behind {
    pub nodes: Nodes,
    pub proxy: Proxy,
}

impl Behind {
    pub async fn start(kind: Kind, changes: &[[&str; 2]]) -> Option<Self> {
        let nodes = Nodes::start(sharing(1)).await;
        let proxy = Proxy::before(kind, &[nodes.addr(0)], changes).await?;
        Some(Self { nodes, proxy })
    }

    pub fn ask(&self, method: Method, path: &str) -> Request {
        Request::new(self.proxy.addr, method, path)
    }

    pub async fn begin(&self) -> Run {
        Run::of(&self.nodes.handler, self.ask(Method::GET, "/stream")).await
    }

    /// What an `EventSource` does by itself.
    pub fn reconnect(&self, id: &str) -> Request {
        self.ask(Method::GET, "/stream").header("last-event-id", id)
    }
}

/// The next events of a resumed response: these numbers, whatever control events stand between.
pub async fn resumes(reply: &mut Reply, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        let mut event = reply.event().await;
        while matches!(event.phase().as_deref(), Some("replay" | "live")) {
            event = reply.event().await;
        }
        assert_eq!(event.data, number.to_string());
    }
}

/// The handler sends each event only when the client has seen the one before: what is held back would come never.
async fn events_come_one_by_one(kind: Kind) {
    let Some(behind) = Behind::start(kind, &[]).await else { return };
    for http2 in [false, true] {
        let request = if http2 {
            Request::get(behind.proxy.http2, "/stream").http2()
        } else {
            behind.ask(Method::POST, "/stream").body("{}")
        };
        let mut run = Run::of(&behind.nodes.handler, request).await;
        run.count(40).await;
        // And more at once than a buffer holds.
        let large = format!("data: {}\n\n", "x".repeat(200_000));
        assert_eq!(run.say(&large).await.data.len(), 200_000);
        run.end().await;
        assert_eq!(run.first().rest().await, (vec![], Ended::Clean), "http2: {http2}");
    }
}

async fn headers_and_methods_pass(kind: Kind) {
    let Some(behind) = Behind::start(kind, &[]).await else { return };
    let mut run = behind.begin().await;
    run.count(2).await;
    let first = run.first();
    for name in ["x-resume-token", "x-resume-stream"] {
        assert!(first.header(name).is_some(), "{name}");
    }
    assert!(first.header("cache-control").unwrap().contains("no-transform"));
    assert_eq!(first.header("content-type"), Some("text/event-stream"));

    let token = run.id(1).to_owned();
    let status = behind.ask(Method::GET, "/resume").header("x-resume-token", &token).header("x-resume-mode", "status");
    assert_eq!(status.send().await.json().await["behind"], 1);
    let from = behind.ask(Method::POST, "/resume").header("x-resume-token", &token).header("x-resume-from", "0");
    resumes(&mut from.send().await, 1..=2).await;
    let refused = behind.ask(Method::GET, "/resume").send().await;
    assert_eq!((refused.status.as_u16(), refused.header("content-type")), (400, Some("application/problem+json")));

    let cancelled = behind.ask(Method::DELETE, "/resume").header("x-resume-token", &token).send().await;
    assert_eq!(cancelled.status, 204);
    let end = run.ended().await;
    // Whoever has seen the end is told to stop.
    assert_eq!(behind.reconnect(&end).send().await.status, 204);
}

/// Also where the proxy is told to compress event streams.
async fn compression_does_no_harm(kind: Kind) {
    let types = match kind {
        Kind::Nginx => {
            ["gzip_types application/json", "gzip_min_length 1; gzip_types text/event-stream application/json"]
        }
        Kind::Haproxy => ["compression type", "compression type text/event-stream"],
    };
    let Some(behind) = Behind::start(kind, &[types]).await else { return };
    let mut reply = behind.ask(Method::GET, "/stream").header("accept-encoding", "gzip").send().await;
    let told = behind.nodes.handler.told().await;
    match kind {
        // It heeds `no-transform`.
        Kind::Haproxy => {
            assert_eq!(reply.header("content-encoding"), None);
            reply.phase("open").await;
            for number in 1..=3 {
                told.count([number]);
                reply.counts([number]).await;
            }
        }
        // It does not, and flushes each event.
        Kind::Nginx => {
            assert_eq!(reply.header("content-encoding"), Some("gzip"));
            let mut decoder = flate2::write::GzDecoder::new(Vec::new());
            for number in 1..=3 {
                told.count([number]);
                let text = format!("data: {number}\n");
                while !String::from_utf8_lossy(decoder.get_ref()).contains(&text) {
                    std::io::Write::write_all(&mut decoder, &reply.frame().await.unwrap()).unwrap();
                    std::io::Write::flush(&mut decoder).unwrap();
                }
            }
        }
    }
}
