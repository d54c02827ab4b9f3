//! Protocol section 3: the resume endpoint, and what an intercepted request leaves behind.

use crate::common::{Nodes, Peek, Request, layer};
use http::Method;
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tower_resume::{ResumeLayer, store::MemoryStore};

#[tokio::test]
async fn a_request_without_a_token_is_told_that_one_is_missing() {
    let nodes = Nodes::start([layer()]).await;
    for method in [Method::GET, Method::POST] {
        for id in [None, Some("41"), Some("")] {
            let mut request = Request::new(nodes.addr(0), method.clone(), "/resume");
            if let Some(id) = id {
                request = request.header("last-event-id", id);
            }
            let reply = request.send().await;
            assert_eq!((reply.status.as_u16(), &reply.json().await["code"]), (400, &"missing_token".into()), "{id:?}");
        }
    }
}

#[tokio::test]
async fn the_endpoint_takes_every_carrier() {
    let nodes = Nodes::start([layer().query_param("resume")]).await;
    let run = nodes.counted(2).await;
    let requests = [
        nodes.resume(0, run.id(1)),
        Request::post(nodes.addr(0), "/resume").header("x-resume-token", run.id(1)),
        Request::get(nodes.addr(0), "/resume").header("last-event-id", run.id(1)),
        Request::get(nodes.addr(0), &format!("/resume?resume={}", run.id(1))),
    ];
    for request in requests {
        let mut reply = request.send().await;
        assert_eq!(reply.phase("replay").await["from"], 1);
        reply.counts([2]).await;
        reply.phase("live").await;
    }
}

#[tokio::test]
async fn the_mode_can_be_asked_for_in_the_endpoints_query() {
    let nodes = Nodes::start([layer()]).await;
    let mut run = nodes.counted(2).await;
    let ask =
        |mode: &str| Request::get(nodes.addr(0), &format!("/resume?mode={mode}")).header("x-resume-token", run.id(1));
    assert_eq!(ask("status").send().await.json().await["status"], "running");
    assert_eq!(ask("replay").send().await.phase("replay").await["mode"], "replay");
    assert_eq!(ask("live").send().await.phase("replay").await["mode"], "live");
    for mode in ["", "all"] {
        let reply = ask(mode).send().await;
        assert_eq!((reply.status.as_u16(), &reply.json().await["code"]), (400, &"bad_mode".into()), "{mode:?}");
    }
    run.end().await;
}

#[tokio::test]
async fn the_endpoint_knows_no_other_methods_than_those_that_resume() {
    let nodes = Nodes::start([layer()]).await;
    let run = nodes.counted(1).await;
    for method in [Method::HEAD, Method::OPTIONS] {
        let request = Request::new(nodes.addr(0), method.clone(), "/resume").header("x-resume-token", run.id(1));
        let reply = request.send().await;
        assert_eq!(reply.status, 405, "{method}");
        assert_eq!(reply.header("allow"), Some("GET, POST, DELETE"));
        assert_eq!(reply.header("x-resume-token"), None);
    }
}

#[tokio::test]
async fn with_no_secret_the_endpoint_says_that_nothing_can_be_resumed() {
    let signed = Nodes::start([layer()]).await;
    let run = signed.counted(1).await;
    let nodes = Nodes::start([ResumeLayer::new(MemoryStore::new(), None).query_param("resume")]).await;
    let requests = [
        nodes.resume(0, run.id(1)),
        Request::get(nodes.addr(0), "/stream").header("x-resume-token", run.id(1)),
        Request::get(nodes.addr(0), "/resume").header("last-event-id", run.id(1)),
        Request::get(nodes.addr(0), &format!("/resume?resume={}", run.id(1))),
    ];
    for request in requests {
        let reply = request.send().await;
        assert_eq!((reply.status.as_u16(), &reply.json().await["code"]), (426, &"resume_disabled".into()));
    }
    let reply = Request::get(nodes.addr(0), "/resume").send().await;
    assert_eq!((reply.status.as_u16(), &reply.json().await["code"]), (400, &"missing_token".into()));
}

/// A connection whose bytes a test writes and reads itself.
struct Wire(TcpStream);

impl Wire {
    async fn open(addr: SocketAddr) -> Self {
        Self(TcpStream::connect(addr).await.unwrap())
    }

    async fn send(&mut self, head: &str, body: &[u8]) {
        let length = body.len();
        self.0.write_all(format!("{head}\r\nhost: t\r\ncontent-length: {length}\r\n\r\n").as_bytes()).await.unwrap();
        self.0.write_all(body).await.unwrap();
    }

    /// Reads on until this has come; all that came.
    async fn until(&mut self, what: &str) -> String {
        let mut all = Vec::new();
        let read = async {
            while !String::from_utf8_lossy(&all).contains(what) {
                assert_ne!(self.0.read_buf(&mut all).await.unwrap(), 0, "{:?}", String::from_utf8_lossy(&all));
            }
        };
        let read = tokio::time::timeout(std::time::Duration::from_secs(60), read).await;
        let all = String::from_utf8_lossy(&all).into_owned();
        assert!(read.is_ok(), "no {what:?} in {all:?}");
        all
    }
}

#[tokio::test]
async fn an_intercepted_requests_body_is_read_off_so_that_its_connection_can_be_used_again() {
    let nodes = Nodes::start([layer()]).await;
    let mut run = nodes.counted(2).await;
    let seen = run.end().await;
    let body = vec![b'x'; 100 * 1024];
    let mut wire = Wire::open(nodes.addr(0)).await;
    let spoiled = Peek::flips(run.id(1)).pop().unwrap();
    let cases = [
        ("POST /stream HTTP/1.1\r\nx-resume-token: ", run.id(1), "200 OK", "0\r\n\r\n"),
        ("POST /resume HTTP/1.1\r\nx-resume-token: ", run.id(0), "200 OK", "0\r\n\r\n"),
        ("POST /stream HTTP/1.1\r\nlast-event-id: ", &seen, "204 No Content", "\r\n\r\n"),
        ("POST /stream HTTP/1.1\r\nx-resume-token: ", &spoiled, "401 Unauthorized", "invalid_signature\"}"),
        ("POST /resume HTTP/1.1\r\nx-resume-token: ", "rubbish", "400 Bad Request", "malformed_token\"}"),
        ("POST /resume HTTP/1.1\r\nx-nothing: ", "at all", "400 Bad Request", "missing_token\"}"),
    ];
    for (head, token, status, last) in cases {
        wire.send(&format!("{head}{token}"), &body).await;
        let reply = wire.until(last).await;
        assert!(reply.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{reply}");
    }
}
