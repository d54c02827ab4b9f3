//! Clients that stall, and clients that send what nobody should: those who behave notice nothing.

use crate::{
    load::{Load, PATIENCE, Shape},
    scene::Scene,
};
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// Asks for a stream and then takes nothing of it.
async fn stall(door: SocketAddr, token: String) -> TcpStream {
    let mut io = TcpStream::connect(door).await.unwrap();
    let request = format!("GET /resume HTTP/1.1\r\nhost: x\r\nx-resume-token: {token}\r\n\r\n");
    io.write_all(request.as_bytes()).await.unwrap();
    io
}

/// What a hostile client sends; each has to be answered, or its connection ended, at once.
fn insults(token: &str) -> Vec<String> {
    let resume = |header: &str| format!("GET /resume HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{header}\r\n\r\n");
    let mut forged = token.to_owned();
    let last = if forged.pop() == Some('A') { 'B' } else { 'A' };
    forged.insert(forged.len() - 8, last);
    vec![
        resume(&format!("x-resume-token: {forged}")),
        resume(&format!("x-resume-token: {}", "A".repeat(150))),
        resume(&format!("x-resume-token: {}", "A".repeat(60_000))),
        resume(&format!("x-resume-token: {token}\r\nx-resume-token: {token}")),
        resume(&format!("x-resume-token: {token}\r\nx-resume-from: 99999999999999999999")),
        resume(&format!("x-resume-token: {token}\r\nx-resume-from: -1")),
        resume(&format!("x-resume-token: {token}\r\nx-resume-mode: \u{1f980}")),
        resume(&format!("last-event-id: {}", "r".repeat(150))),
        resume("x-resume-token: "),
        "\u{0}\u{0}\u{0}\r\n\r\n".to_owned(),
    ]
}

#[tokio::test]
async fn stalled_and_hostile_clients_disturb_nobody() {
    let Some(scene) = Scene::start().await else { return };
    // Well over what sockets hold, and under what a log keeps.
    let mut load = Load::new(&scene, Shape { events: 250, pace: 30, pad: 5_000, ..Shape::default() });
    load.begin(8).await;
    load.reach(5).await;
    let mut stalled = Vec::new();
    for stream in &load.streams {
        for node in &scene.nodes {
            for _ in 0..5 {
                stalled.push(stall(node.addr, stream.token.clone()).await);
            }
        }
    }
    let mut answered = 0;
    while load.firsts().iter().any(|last| *last < 240) {
        for insult in insults(&load.streams[0].token) {
            for node in &scene.nodes {
                let mut io = TcpStream::connect(node.addr).await.unwrap();
                let mut answer = Vec::new();
                let talk = async {
                    // It may be refused before all of it is sent.
                    let _ = io.write_all(insult.as_bytes()).await;
                    let _ = io.read_to_end(&mut answer).await;
                };
                timeout(PATIENCE, talk).await.expect("an end");
                let answer = String::from_utf8_lossy(&answer);
                assert!(!answer.starts_with("HTTP/1.1 2") && !answer.starts_with("HTTP/1.1 5"), "{insult:?}: {answer}");
                answered += 1;
            }
        }
    }
    load.latecomers();
    let row = load.finish("80 stalled readers, forged and malformed requests", &scene.probe).await;
    println!("{answered} hostile requests answered, {} readers stalled", stalled.len());
    assert_eq!(row.gapped, 0, "{row:?}");
}
