//! A response that is cut arrives cut, and one that is over arrives over; both sides of the proxy, both versions of HTTP.

use crate::{
    common::{Ended, Handler, Logs, Nodes, Request, Run, Server, layer, sharing},
    passing::{Behind, resumes},
    proxy::{Kind, Proxy},
};
use axum::{Router, body::Body, middleware::map_response, response::Response};
use futures_util::{StreamExt as _, stream};
use std::io;
use tokio::sync::watch;

for_both! { an_abrupt_end_arrives_as_one a_clean_end_arrives_as_one what_the_layer_cuts_short_arrives_cut }

/// A layer of the node's that cuts all responses when it is told to, as a drain does: their bodies fail.
#[derive(Default)]
struct Cutter(watch::Sender<()>);

impl Cutter {
    fn around(&self, app: Router) -> Router {
        let told = self.0.subscribe();
        app.layer(map_response(move |response: Response| {
            let told = told.clone();
            async move { response.map(|body| until_told(body, told)) }
        }))
    }

    fn cut(&self) {
        self.0.send_replace(());
    }
}

fn until_told(body: Body, mut told: watch::Receiver<()>) -> Body {
    // Those that were cut before are no matter of this one.
    told.mark_unchanged();
    Body::from_stream(stream::unfold(Some((body.into_data_stream(), told)), async |rest| {
        let (mut body, mut told) = rest?;
        tokio::select! {
            biased;
            _ = told.changed() => Some((Err(axum::Error::new(io::Error::other("cut"))), None)),
            next = body.next() => Some((next?, Some((body, told)))),
        }
    }))
}

async fn an_abrupt_end_arrives_as_one(kind: Kind) {
    let (handler, cutter) = (Handler::new(), Cutter::default());
    let server = Server::start(cutter.around(handler.router().layer(layer()))).await;
    let Some(proxy) = Proxy::before(kind, &[server.addr], &[]).await else { return };
    for http2 in [false, true] {
        let ask =
            || if http2 { Request::get(proxy.http2, "/stream").http2() } else { Request::get(proxy.addr, "/stream") };
        let mut run = Run::of(&handler, ask()).await;
        run.count(2).await;
        cutter.cut();
        let (items, ended) = run.first().rest().await;
        let expected = match kind {
            // haproxy 2.6 ends a response of unknown length cleanly over HTTP/2, whatever its node did. What tells clients
            // is that `end` has not come.
            Kind::Haproxy if http2 => Ended::Clean,
            _ => Ended::Abrupt,
        };
        assert_eq!((items.len(), ended), (0, expected), "http2: {http2}");
        run.told().count(3..=3);
        resumes(&mut ask().header("last-event-id", run.id(2)).send().await, 3..=3).await;
    }
}

async fn a_clean_end_arrives_as_one(kind: Kind) {
    let Some(behind) = Behind::start(kind, &[]).await else { return };
    for http2 in [false, true] {
        let request = if http2 {
            Request::get(behind.proxy.http2, "/stream").http2()
        } else {
            Request::get(behind.proxy.addr, "/stream")
        };
        let mut run = Run::of(&behind.nodes.handler, request).await;
        run.count(2).await;
        run.end().await;
        assert_eq!(run.first().rest().await, (vec![], Ended::Clean), "http2: {http2}");
    }
}

/// `wait`: said, and then cut. A proxy must not swallow what precedes the cut.
async fn what_the_layer_cuts_short_arrives_cut(kind: Kind) {
    let nodes = Nodes::start(sharing(1).into_iter().map(|layer| layer.max_stream_readers(1))).await;
    let Some(proxy) = Proxy::before(kind, &[nodes.addr(0)], &[]).await else { return };
    let mut run = Run::of(&nodes.handler, Request::get(proxy.addr, "/stream")).await;
    run.count(1).await;
    for _ in 0..10 {
        let mut reply = Request::get(proxy.addr, "/stream").header("last-event-id", run.id(1)).send().await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.phase("wait").await["reason"], "too_many_readers");
        assert_eq!(reply.rest().await, (vec![], Ended::Abrupt));
    }
}

/// What `proxy_http_version` is there for.
#[tokio::test]
async fn without_http_1_1_to_its_nodes_nginx_makes_a_cut_look_like_an_end_and_the_layer_warns_of_it() {
    let (handler, cutter, logs) = (Handler::new(), Cutter::default(), Logs::new());
    let server = Server::start(cutter.around(handler.router().layer(layer()))).await;
    let default = ["proxy_http_version 1.1;", ""];
    let Some(proxy) = Proxy::before(Kind::Nginx, &[server.addr], &[default]).await else { return };
    let mut run = Run::of(&handler, Request::get(proxy.addr, "/stream")).await;
    run.count(2).await;
    cutter.cut();
    assert_eq!(run.first().rest().await, (vec![], Ended::Clean));
    let warnings = logs.of(tracing::Level::WARN);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("proxy_http_version 1.1"), "{warnings:?}");
}
