//! Connections that are cut, on real sockets.

use std::io::ErrorKind;
use std::net::SocketAddr;

use super::*;
use crate::cable::Cables;
use crate::http::{STREAM_PATH, Settings, router};
use crate::pace::Pace;
use crate::resuming::{RESUME_PATH, resumable, tests::layer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const BRIEF: &str = "Should+we+build+the+billing+service+ourselves+or+buy+one%3F";

/// A server whose drafts take for ever.
async fn serve() -> SocketAddr {
    let pace = Pace::every(Duration::from_secs(3600));
    let layer = layer();
    let app = resumable(router(Settings { pace, ..Settings::default() }), layer.clone());
    let app = cuttable(app, layer.endpoint());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let app = app.into_make_service_with_connect_info::<Cutter>();
    tokio::spawn(axum::serve(Cables(listener), app).into_future());
    addr
}

async fn send(addr: SocketAddr, method: &str, path: &str, token: &str) -> TcpStream {
    let mut socket = TcpStream::connect(addr).await.unwrap();
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: x\r\nX-Resume-Token: {token}\r\nContent-Length: 0\r\n\r\n");
    let request = if token.is_empty() { request.replace("X-Resume-Token: \r\n", "") } else { request };
    socket.write_all(request.as_bytes()).await.unwrap();
    socket
}

/// Reads until `what` has come.
async fn until(socket: &mut TcpStream, what: &str) -> String {
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).contains(what) {
        assert_ne!(socket.read_buf(&mut read).await.unwrap(), 0, "{}", String::from_utf8_lossy(&read));
    }
    String::from_utf8(read).unwrap()
}

async fn start(addr: SocketAddr, viewer: &str) -> (TcpStream, String) {
    let mut socket = send(addr, "GET", &format!("{STREAM_PATH}?brief={BRIEF}&viewer={viewer}"), "").await;
    let head = until(&mut socket, "DRAFTING").await;
    let token = head.lines().find_map(|line| line.strip_prefix("x-resume-token: ")).unwrap().trim().to_owned();
    (socket, token)
}

/// The status that a cut is answered with.
async fn cut(addr: SocketAddr, query: &str, token: &str) -> u16 {
    let mut socket = send(addr, "POST", &format!("{CUT_PATH}?{query}"), token).await;
    let head = until(&mut socket, "\r\n\r\n").await;
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

async fn is_reset(socket: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    matches!(socket.read_to_end(&mut rest).await, Err(error) if error.kind() == ErrorKind::ConnectionReset)
}

/// Stops the draft, so that whoever still is connected to it is told.
async fn cancel(addr: SocketAddr, token: &str) {
    let mut socket = send(addr, "DELETE", RESUME_PATH, token).await;
    assert!(until(&mut socket, "\r\n\r\n").await.starts_with("HTTP/1.1 204"));
}

#[tokio::test]
async fn a_viewer_has_its_own_connection_reset_and_comes_back() {
    let addr = serve().await;
    let (mut mine, token) = start(addr, "me").await;
    let mut other = send(addr, "GET", &format!("{RESUME_PATH}?viewer=other"), &token).await;
    until(&mut other, "\"live\"").await;
    assert_eq!(cut(addr, "viewer=me", &token).await, 204);
    assert!(is_reset(&mut mine).await);
    let mut mine = send(addr, "GET", &format!("{RESUME_PATH}?viewer=me"), &token).await;
    until(&mut mine, "\"live\"").await;
    // It can be cut again, by its new connection.
    assert_eq!(cut(addr, "viewer=me", &token).await, 204);
    assert!(is_reset(&mut mine).await);
    // Another viewer of the same stream has noticed nothing.
    cancel(addr, &token).await;
    until(&mut other, "\"cancelled\"").await;
}

#[tokio::test]
async fn a_viewer_that_is_offline_has_each_new_connection_reset_until_it_is_back() {
    let addr = serve().await;
    let (mut mine, token) = start(addr, "me").await;
    assert_eq!(cut(addr, "viewer=me&dark_ms=5000", &token).await, 204);
    assert!(is_reset(&mut mine).await);
    let mut refused = 0;
    loop {
        let mut again = send(addr, "GET", &format!("{RESUME_PATH}?viewer=me"), &token).await;
        let mut first = [0; 1];
        match again.read(&mut first).await {
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
            Ok(read) => {
                assert_eq!(read, 1, "a connection that ends without an answer is not an outage");
                break;
            }
        }
        refused += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(refused > 0, "there was no outage");
}

#[tokio::test]
async fn nobody_cuts_what_they_have_no_token_for() {
    let addr = serve().await;
    let (mut mine, token) = start(addr, "me").await;
    let (mut other, others) = start(addr, "other").await;
    assert_eq!(cut(addr, "viewer=me", "").await, 400);
    assert_eq!(cut(addr, "viewer=me", "garbage").await, 400);
    let forged = format!("{}AAAA", &token[..token.len() - 4]);
    assert_eq!(cut(addr, "viewer=me", &forged).await, 401);
    assert_eq!(cut(addr, "viewer=me", &others).await, 404, "a token of another stream");
    assert_eq!(cut(addr, "viewer=nobody", &token).await, 404);
    assert_eq!(cut(addr, "x=1", &token).await, 400);
    assert_eq!(cut(addr, "viewer=me&dark_ms=forever", &token).await, 400);
    assert_eq!(cut(addr, &format!("viewer={}", "x".repeat(MAX_VIEWER_CHARS + 1)), &token).await, 400);
    cancel(addr, &token).await;
    cancel(addr, &others).await;
    until(&mut mine, "\"cancelled\"").await;
    until(&mut other, "\"cancelled\"").await;
}

#[tokio::test]
async fn a_viewer_that_has_left_is_forgotten() {
    let viewers = Viewers::default();
    let (cutter, _) = futures_util::future::AbortHandle::new_pair();
    let note = || viewers.note("me", HeaderValue::from_static("a"), Cutter::of(cutter.clone())).unwrap();
    let first = note();
    let second = note();
    drop(first);
    assert_eq!(viewers.book(|book| book.connected.len()), 1, "the older connection's end is not the newer one's");
    drop(second);
    assert_eq!(viewers.book(|book| book.connected.len()), 0);
}
