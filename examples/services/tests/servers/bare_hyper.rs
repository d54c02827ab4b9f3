//! `bare-hyper`: no framework.

use crate::{
    common::{Ended, Request},
    process::{Process, last_words},
};
use tokio::net::TcpListener;

const PROGRAM: &str = env!("CARGO_BIN_EXE_bare-hyper");

#[tokio::test]
async fn a_stream_resumes_over_both_versions_of_http_and_from_one_to_the_other() {
    let server = Process::start(PROGRAM, &[]).await;
    for (first, then) in [(false, false), (true, true), (false, true), (true, false)] {
        let request = |http2, id: Option<&str>| {
            let request = Request::get(server.addr, "/count");
            let request = if http2 { request.http2() } else { request };
            match id {
                Some(id) => request.header("last-event-id", id),
                None => request,
            }
        };
        let mut reply = request(first, None).send().await;
        reply.phase("open").await;
        let id = reply.counts(1..=2).await;
        drop(reply);
        let mut reply = request(then, Some(&id)).send().await;
        reply.phase("replay").await;
        loop {
            let event = reply.event().await;
            // Between what was buffered and what is new stands `live`.
            if event.phase().as_deref() != Some("live") {
                assert_eq!(event.data, "3", "{first} {then}");
                break;
            }
        }
    }
    let other = Request::get(server.addr, "/other").send().await;
    assert_eq!((other.status.as_u16(), other.header("x-resume-stream")), (404, None));
}

#[tokio::test]
async fn told_to_stop_it_ends_its_open_stream_and_goes() {
    let mut server = Process::start(PROGRAM, &[]).await;
    let mut reply = Request::get(server.addr, "/count").send().await;
    reply.phase("open").await;
    reply.counts(1..=1).await;
    server.interrupt().await;
    let (events, ended) = reply.events().await;
    assert_eq!(events.last().unwrap().json()["status"], "interrupted");
    assert_eq!(ended, Ended::Clean);
    assert_eq!(server.line("stopped: ").await, "stopped: Drained { interrupted: 1, unstored: 0, open: 0 }");
    assert!(server.gone().await);
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let holder = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = holder.local_addr().unwrap().port().to_string();
    let said = last_words(PROGRAM, &[("PORT", &port)]).await;
    assert!(said.contains(&format!("cannot listen on 127.0.0.1:{port}: ")), "{said}");
    assert!(said.contains("; set PORT to a free port"), "{said}");
}
