//! A real server with open streams that is told to stop gracefully, once its layer is drained.

use super::{SECOND, parts};
#[cfg(feature = "redis")]
use crate::common::until;
use crate::common::{Ended, Handler, Request, layer};
use axum::Router;
use std::{future::IntoFuture as _, net::SocketAddr};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tower_resume::{ResumeLayer, store::Store};

/// A server that is told to stop gracefully.
struct Graceful {
    addr: SocketAddr,
    stop: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
}

impl Graceful {
    async fn start(app: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let addr = listener.local_addr().unwrap();
        let server = axum::serve(listener, app).with_graceful_shutdown(async { drop(stopped.await) });
        Self { addr, stop, server: tokio::spawn(server.into_future()) }
    }
}

/// Opens streams of all kinds, lets half of the handlers end, and stops the server: it returns, and so do all clients. What
/// the drain came to.
async fn a_server_stops<S: Store>(layer: ResumeLayer<S>, goes_on_elsewhere: bool) -> (usize, usize, usize) {
    let handler = Handler::new();
    let app = handler.router().layer(layer.clone()).route_service("/resume", layer.endpoint());
    let server = Graceful::start(app).await;
    let request = |path, http2| {
        let request = Request::get(server.addr, path);
        if http2 { request.http2() } else { request }
    };
    let (mut told, mut clients) = (Vec::new(), Vec::new());
    for number in 0..8 {
        let mut first = request("/stream", number % 2 == 0).send().await;
        let token = first.phase("open").await["token"].as_str().unwrap().to_owned();
        let handler = handler.told().await;
        handler.count(1..=3);
        first.counts(1..=3).await;
        told.push(handler);
        clients.push(tokio::spawn(async move { first.events().await }));
        let mut second = request("/resume", number % 2 == 0).header("x-resume-token", &token).send().await;
        second.phase("replay").await;
        second.counts(1..=3).await;
        clients.push(tokio::spawn(async move { second.events().await }));
    }
    server.stop.send(()).unwrap();
    let drain = tokio::spawn(layer.drain(4 * SECOND));
    for told in told.drain(..4) {
        told.count([4]);
    }
    let drained = drain.await.unwrap();
    server.server.await.unwrap().unwrap();
    let (mut sent_away, mut ended) = (0, 0);
    for client in clients {
        let (events, how) = client.await.unwrap();
        let end = events.last().and_then(|event| event.phase()).is_some_and(|phase| phase == "end");
        assert_eq!(how, if end { Ended::Clean } else { Ended::Abrupt });
        (sent_away, ended) = (sent_away + u32::from(!end), ended + u32::from(end));
    }
    println!("a graceful shutdown: {sent_away} clients sent away, {ended} saw the end");
    assert_eq!(sent_away > 0, goes_on_elsewhere);
    parts(drained)
}

#[tokio::test]
async fn a_server_with_open_streams_shuts_down_gracefully_over_memory() {
    assert_eq!(a_server_stops(layer(), false).await, (4, 0, 0));
}

#[cfg(feature = "redis")]
#[tokio::test]
async fn a_server_with_open_streams_shuts_down_gracefully_over_redis() {
    let Some(redis) = crate::redis_server::RedisServer::start().await else { return };
    let store = crate::on_redis::unhurried(&redis).await;
    let layer = ResumeLayer::new(store, crate::common::keys()).tokens_are_enough();
    let (interrupted, _, open) = a_server_stops(layer, true).await;
    assert_eq!((interrupted, open), (4, 0));
    // A busy machine's Redis may take longer for the last ends than a drain waits for them.
    until("all ends are stored", async || {
        let held = redis.dump().await;
        ["complete", "interrupted"].iter().all(|status| held.matches(&format!("Text({status:?})")).count() == 4)
    })
    .await;
}
