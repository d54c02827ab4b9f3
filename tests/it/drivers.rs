//! The layer where people put it, under the servers that they run it on.

use crate::common::{Ended, Handler, Reply, Request, Server, Wire, layer};
use axum::{
    Router,
    response::{Sse, sse::Event},
    routing::{get, post},
};
use futures_util::stream;
use std::convert::Infallible;
use tokio_stream::StreamExt as _;

/// A handler as people write them.
async fn sse() -> Sse<impl futures_util::Stream<Item = Result<Event, Infallible>>> {
    let events = stream::iter(1..=3).map(|number| Ok(Event::default().data(number.to_string()).id("mine")));
    Sse::new(events).keep_alive(axum::response::sse::KeepAlive::default())
}

/// The whole of [`sse`], and then all again from its start.
async fn works(addr: std::net::SocketAddr, path: &str, reply: &mut Reply) {
    reply.phase("open").await;
    reply.counts(1..=3).await;
    assert_eq!(reply.phase("end").await["status"], "complete");
    assert_eq!(reply.rest().await, (vec![], Ended::Clean));
    let token = reply.header("x-resume-token").unwrap().to_owned();
    let mut again = Request::post(addr, path).header("x-resume-token", token).send().await;
    again.phase("replay").await;
    again.counts(1..=3).await;
    again.phase("end").await;
    assert_eq!(again.rest().await, (vec![], Ended::Clean));
}

#[tokio::test]
async fn it_works_wherever_axum_lets_it_be_mounted() {
    let inner = || Router::new().route("/s", post(sse)).layer(layer());
    let mounted = [
        ("around a router", inner()),
        ("inside of another router", Router::new().merge(inner())),
        ("as another router's last resort", Router::new().fallback_service(inner())),
        ("around a router's routes", Router::new().route("/s", post(sse)).route_layer(layer())),
        ("on one method of a route", Router::new().route("/s", post(sse).layer(layer()))),
        ("on a handler", Router::new().route("/s", post(axum::handler::Handler::layer(sse, layer())))),
    ];
    for (place, app) in mounted {
        let server = Server::start(app).await;
        let mut reply = Request::post(server.addr, "/s").send().await;
        assert_eq!(reply.status, 200, "{place}");
        works(server.addr, "/s", &mut reply).await;
    }
}

#[tokio::test]
async fn the_endpoint_resumes_beside_the_layer() {
    let layer = layer();
    let app = Router::new().route("/s", post(sse)).layer(layer.clone()).route_service("/resume", layer.endpoint());
    let server = Server::start(app).await;
    let mut reply = Request::post(server.addr, "/s").send().await;
    works(server.addr, "/resume", &mut reply).await;
}

#[tokio::test]
async fn it_works_on_bare_hyper_and_over_tls() {
    for wire in Wire::ALL {
        let line = wire.serve(Router::new().route("/s", get(sse)).layer(layer())).await;
        let mut reply = line.send(Request::get(line.addr, "/s")).await;
        reply.phase("open").await;
        reply.counts(1..=3).await;
        reply.phase("end").await;
        assert_eq!(reply.rest().await, (vec![], Ended::Clean), "{wire:?}");
    }
}

#[tokio::test]
async fn a_connection_serves_on_after_a_stream_and_after_a_resume() {
    let handler = Handler::new();
    let server = Server::start(handler.router().layer(layer())).await;
    let io = hyper_util::rt::TokioIo::new(tokio::net::TcpStream::connect(server.addr).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let mut token: Option<String> = None;
    for round in 0..6 {
        let mut request = http::Request::post("/stream").header("host", "x");
        if let Some(token) = &token {
            request = request.header("x-resume-token", token);
        }
        // The handler leaves its request's body unread, and that closes a connection; a resume's is read off.
        let body = bytes::Bytes::from(vec![b'x'; if token.is_some() { 100_000 } else { 0 }]);
        let body = http_body_util::Full::new(body);
        sender.ready().await.unwrap();
        let mut reply = Reply::of(sender.send_request(request.body(body).unwrap()).await.unwrap());
        if token.is_none() {
            handler.told().await.end();
        }
        let (events, ended) = reply.events().await;
        assert_eq!((events.len(), ended), (2, Ended::Clean), "round {round}");
        token = if round % 2 == 0 { reply.header("x-resume-token").map(str::to_owned) } else { None };
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_streams_at_once_do_not_mix_and_lose_nothing_to_clients_that_leave() {
    const STREAMS: usize = 150;
    const EVENTS: u64 = 200;
    let numbered = |stream: usize, number: u64| format!("{stream}/{number}");
    let app = Router::new().route(
        "/s/{stream}",
        get(move |axum::extract::Path(stream): axum::extract::Path<usize>| async move {
            let events = stream::iter(1..=EVENTS).then(move |number| async move {
                // Now and then a pause for others.
                if number % 7 == 0 {
                    tokio::task::yield_now().await;
                }
                Ok::<_, Infallible>(Event::default().data(numbered(stream, number)))
            });
            Sse::new(events)
        }),
    );
    let server = Server::start(app.layer(layer())).await;
    let addr = server.addr;
    let clients: Vec<_> = (0..STREAMS)
        .map(|stream| {
            tokio::spawn(async move {
                let leave = (stream as u64 * 37) % (EVENTS + 1);
                let path = format!("/s/{stream}");
                let request = Request::get(addr, &path);
                let mut reply = if stream % 2 == 0 { request } else { request.http2() }.send().await;
                let mut id = reply.event().await.id.unwrap();
                for number in 1..=leave {
                    let event = reply.event().await;
                    assert_eq!(event.data, numbered(stream, number));
                    id = event.id.unwrap();
                }
                drop(reply);
                let mut again = Request::get(addr, &path).header("last-event-id", id).send().await;
                assert_eq!(again.phase("replay").await["from"], leave);
                let (events, ended) = again.events().await;
                assert_eq!(ended, Ended::Clean);
                let rest: Vec<_> =
                    events.iter().filter(|event| event.event == "message").map(|event| event.data.clone()).collect();
                let expected: Vec<_> = (leave + 1..=EVENTS).map(|number| numbered(stream, number)).collect();
                assert_eq!(rest, expected, "stream {stream}, left at {leave}");
                let end = events.last().unwrap().json();
                assert_eq!((end["status"].as_str(), end["seq"].as_u64()), (Some("complete"), Some(EVENTS)));
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
}
