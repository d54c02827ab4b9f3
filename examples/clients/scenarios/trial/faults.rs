//! What the proxy does to connections, seen from the other side of the socket.

use crate::{
    fate::{At, Cut, Fate, How, Pass},
    plan::{Plan, Scenario},
    redis::Redis,
    run::Run,
    script::{Said, Script, Step},
};
use std::{io::ErrorKind, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// A stream that stays open, of one event, cut by the seed.
fn broken(_: &mut fastrand::Rng, seed: u64) -> Plan {
    let script = Script::default().and(Step::Say(Said::new("message", "hello"))).until(|_| false);
    Plan::new(script).fates(move |asked| match (asked.number, seed) {
        (1, 1) => Pass::cut(At::Event(1), How::Reset),
        (1, 2) => Pass::cut(At::Event(1), How::Close),
        (1, 3) => Pass::cut(At::Event(1), How::Clean),
        (1, 4) => Pass::cut(At::Event(1), How::Stall),
        (1, 5) => Pass::cut(At::Bytes(7), How::Close),
        (1, 6) => {
            let cut = Cut { at: At::Event(1), how: How::Close, shut: Some(Box::new(|facts| facts.begun > 7)) };
            Fate::Pass(Pass { cut: Some(cut), ..Pass::default() })
        }
        _ => Fate::pass(),
    })
}

const BROKEN: Scenario = Scenario { name: "broken", about: "for tests", seeds: &[], plan: broken };

struct Peer {
    io: TcpStream,
    addr: String,
    _run: Run,
}

async fn asked(seed: u64) -> Peer {
    let (run, told) = Run::start(&BROKEN, seed, "test".to_owned(), &Redis::default()).await.unwrap();
    let url = told["request"]["url"].as_str().unwrap();
    let addr = url.strip_prefix("http://").unwrap().strip_suffix("/events").unwrap().to_owned();
    let mut io = TcpStream::connect(&addr).await.unwrap();
    io.write_all(b"GET /events HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    Peer { io, addr, _run: run }
}

/// All until the connection ends, and how.
async fn rest(io: &mut TcpStream) -> (String, Option<ErrorKind>) {
    let mut bytes = Vec::new();
    let read = timeout(Duration::from_secs(20), io.read_to_end(&mut bytes)).await.expect("an end");
    (String::from_utf8(bytes).unwrap(), read.err().map(|error| error.kind()))
}

#[tokio::test]
async fn a_reset_is_a_reset_and_a_close_is_a_close_in_the_midst_of_a_chunk() {
    let (text, error) = rest(&mut asked(1).await.io).await;
    assert_eq!(error, Some(ErrorKind::ConnectionReset));
    assert!(text.contains("data: hello\n"), "{text}");
    let (text, error) = rest(&mut asked(2).await.io).await;
    assert_eq!(error, None);
    assert!(text.contains("data: hello\n") && !text.ends_with("0\r\n\r\n"), "{text}");
}

#[tokio::test]
async fn an_answer_is_cut_at_its_very_byte_within_the_head_too() {
    assert_eq!(rest(&mut asked(5).await.io).await, ("HTTP/1.".to_owned(), None));
}

#[tokio::test]
async fn a_clean_end_is_well_formed_and_the_connection_can_be_used_again() {
    let mut peer = asked(3).await;
    let mut text = String::new();
    while !text.ends_with("0\r\n\r\n") {
        let mut bytes = [0; 4096];
        let len = peer.io.read(&mut bytes).await.unwrap();
        assert_ne!(len, 0, "{text}");
        text.push_str(std::str::from_utf8(&bytes[..len]).unwrap());
    }
    assert!(text.contains("transfer-encoding: chunked\r\n") && text.contains("data: hello\n"), "{text}");
    peer.io.write_all(b"GET /events HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut bytes = [0; 12];
    peer.io.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"HTTP/1.1 200");
}

#[tokio::test]
async fn a_half_open_connection_stays_and_says_nothing() {
    let mut peer = asked(4).await;
    let mut text = String::new();
    while !text.contains("data: hello") {
        let mut bytes = [0; 4096];
        let len = peer.io.read(&mut bytes).await.unwrap();
        text.push_str(std::str::from_utf8(&bytes[..len]).unwrap());
    }
    // Nothing ever comes: no bound would be long enough to prove it, and a short one is enough to find an end.
    let _ = timeout(Duration::from_millis(300), peer.io.read_to_string(&mut text)).await.expect_err("no end");
}

#[tokio::test]
async fn while_the_door_is_shut_connections_are_refused() {
    let mut peer = asked(6).await;
    let _ = rest(&mut peer.io).await;
    for _ in 0..3 {
        let refused = TcpStream::connect(&peer.addr).await.expect_err("nobody listens");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }
}
