//! A client that follows one stream to its end, over as many connections as it takes, as the protocol tells it to.

use crate::{
    common::{Ended, Item, Reply, Request},
    ledger::Ledger,
};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::sleep;

/// The heartbeat comes every ten seconds, and a node may be stopped for half a minute: whoever hears nothing for as long
/// as this hangs.
const SILENCE: Duration = Duration::from_secs(60);

/// What a client has seen, and how it went.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub ledger: Ledger,
    /// Connections that ended before the stream did, or never came to be.
    pub breaks: u64,
    /// How often it was told to come back.
    pub waits: u64,
}

pub struct Client {
    /// Where it comes back to, one after the other.
    pub doors: Vec<SocketAddr>,
    /// By `Last-Event-ID`, or by `X-Resume-Token`.
    pub as_browser: bool,
    /// The token that it comes with.
    pub cursor: String,
    /// Whether its first request asks for everything again.
    pub from_start: bool,
    pub pad: usize,
    /// The last event that it has, for those who wait for it.
    pub progress: Arc<AtomicU64>,
}

enum Left {
    /// The stream is over.
    Over,
    /// Come back, after as long.
    ComeBack(Duration),
}

impl Client {
    /// Follows the stream from the response that it has, if any, to its end.
    pub async fn follow(mut self, mut reply: Option<Reply>) -> Outcome {
        let mut outcome = Outcome::default();
        let mut attempts = 0;
        loop {
            let reply = match reply.take() {
                Some(reply) => Ok(reply),
                None => {
                    attempts += 1;
                    self.request(self.doors[attempts % self.doors.len()]).ask().await
                }
            };
            let left = match reply {
                Err(_) => Left::ComeBack(Duration::from_millis(50)),
                Ok(reply) if reply.status == 200 => {
                    self.from_start = false;
                    self.read(reply, &mut outcome).await
                }
                Ok(reply) => Left::ComeBack(told_to_come_back(reply, &mut outcome).await),
            };
            match left {
                Left::Over => return outcome,
                Left::ComeBack(pause) => {
                    outcome.breaks += 1;
                    sleep(pause).await;
                }
            }
        }
    }

    fn request(&self, door: SocketAddr) -> Request {
        let carrier = if self.as_browser { "last-event-id" } else { "x-resume-token" };
        let request = Request::get(door, "/resume").header(carrier, &self.cursor).patience(SILENCE);
        if self.from_start { request.header("x-resume-from", "0") } else { request }
    }

    async fn read(&mut self, mut reply: Reply, outcome: &mut Outcome) -> Left {
        let mut pause = Duration::ZERO;
        loop {
            let event = match reply.item().await {
                Ok(Item::Comment(_)) => continue,
                Ok(Item::Event(event)) => event,
                Err(Ended::Abrupt) => return Left::ComeBack(pause),
                Err(Ended::Clean) => panic!("a clean end before the stream's"),
            };
            let ledger = &mut outcome.ledger;
            match event.phase().as_deref() {
                None => ledger.event(&event, self.pad),
                Some("gap") => ledger.gap(&event.json()),
                Some("wait") => {
                    outcome.waits += 1;
                    pause = Duration::from_millis(event.retry.expect("`wait` says when"));
                }
                Some("end") => {
                    ledger.end(&event.json());
                    let (rest, ended) = reply.rest().await;
                    assert_eq!(rest, [], "`end` is the last");
                    // A proxy may still cut it.
                    if ended == Ended::Abrupt {
                        outcome.breaks += 1;
                    }
                    return Left::Over;
                }
                Some("open" | "replay" | "live" | "token") => {}
                Some(other) => panic!("an unexpected phase: {other}"),
            }
            self.progress.store(ledger.last, Ordering::Relaxed);
            self.cursor = event.id.expect("every event has an id");
        }
    }
}

/// How long a client is to wait that was refused. It has to be for the moment only.
async fn told_to_come_back(reply: Reply, outcome: &mut Outcome) -> Duration {
    let status = reply.status;
    let retry_after = reply.header("retry-after").map(str::to_owned);
    let body = reply.text().await;
    assert_eq!(status, 503, "a stream that lives was refused: {body}");
    assert!(body.contains("store_unavailable"), "{body}");
    outcome.waits += 1;
    Duration::from_secs(retry_after.expect("Retry-After").parse().unwrap())
}
