//! A stream as the model knows it, and a client of it: what it is given, held against that.

use super::{CHUNK, KEPT, met};
use crate::common::{Ended, Item, Peek, Reply, SseEvent, Told};
use std::time::Duration;
use tokio::time::timeout;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Small,
    Large,
}

#[derive(Default)]
pub(super) struct Stream {
    pub(super) home: usize,
    pub(super) told: Option<Told>,
    pub(super) said: Vec<Said>,
    pub(super) end: Option<&'static str>,
    /// Its node may have forgotten it.
    pub(super) old: bool,
    pub(super) token: String,
}

impl Stream {
    pub(super) fn last(&self) -> u64 {
        self.said.len() as u64
    }

    pub(super) fn status(&self) -> &'static str {
        self.end.unwrap_or("running")
    }

    pub(super) fn say(&mut self, said: Said) {
        let Some(told) = &self.told else { return };
        self.said.push(said);
        let padding = if said == Said::Large { 300 } else { 0 };
        told.send(format!("data: {}{}\n\n", self.last(), " ".repeat(padding)));
    }
}

pub(super) struct Client {
    pub(super) stream: usize,
    pub(super) node: usize,
    pub(super) token: String,
    pub(super) cursor: u64,
    /// It gets what is too large to keep.
    pub(super) is_first: bool,
    /// Its response, and what that has brought.
    pub(super) reply: Option<Reply>,
    pub(super) replayed: u64,
    pub(super) is_live: bool,
    pub(super) seen_end: bool,
    /// The store was out since its response began.
    pub(super) troubled: bool,
}

impl Client {
    /// The next event of its response is what the model says.
    pub(super) fn take(&mut self, stream: &Stream, event: &SseEvent) {
        let next = self.cursor + 1;
        assert!(!self.seen_end, "nothing comes behind the end: {event:?}");
        match event.phase().as_deref() {
            None => {
                assert!(next <= stream.last(), "more than was said: {event:?}");
                assert_eq!(event.data.trim_end(), next.to_string());
                assert!(self.is_first || stream.said[self.cursor as usize] == Said::Small, "too large to be kept");
                self.cursor = next;
                self.replayed += 1;
            }
            Some("gap") => {
                let gap = event.json();
                let (from, to) = (gap["from"].as_u64().unwrap(), gap["to"].as_u64().unwrap());
                met(format!("gap: {}", gap["reason"]));
                assert_eq!(from, next, "a gap begins behind what the client has: {gap}");
                if gap["reason"] == "oversize" {
                    assert_eq!((to, stream.said[self.cursor as usize]), (from, Said::Large));
                } else {
                    assert!(
                        to + KEPT - CHUNK <= stream.last(),
                        "of {} events there must be more: {gap}",
                        stream.last()
                    );
                }
                self.cursor = to;
            }
            Some("live") => {
                assert!(!self.is_live && !self.is_first);
                self.is_live = true;
                assert_eq!(
                    (&event.json()["seq"], &event.json()["replayed"]),
                    (&self.cursor.into(), &self.replayed.into())
                );
            }
            Some("end") => {
                let end = event.json();
                assert_eq!((end["status"].as_str(), end["seq"].as_u64()), (stream.end, Some(stream.last())));
                assert_eq!(self.cursor, stream.last());
                self.seen_end = true;
                met(format!("end: {}", end["status"]));
            }
            Some("token") => {}
            Some(phase) => panic!("{phase}: {event:?}"),
        }
        self.token = event.id.clone().expect("every event has an id");
        let peek = Peek::into(&self.token);
        assert_eq!((peek.seq, peek.seen_end), (self.cursor, self.seen_end));
    }
}

/// Takes what has come for a client. Whether there was anything.
pub(super) async fn take_what_is_there(client: &mut Client, stream: &Stream) -> bool {
    let mut moved = false;
    while let Some(reply) = &mut client.reply {
        let Ok(item) = timeout(Duration::from_millis(2), reply.item()).await else { break };
        moved = true;
        match item {
            Ok(Item::Event(event)) => client.take(stream, &event),
            Ok(Item::Comment(_)) => {}
            Err(ended) => {
                match ended {
                    Ended::Clean => assert!(client.seen_end, "a clean end before the end"),
                    Ended::Abrupt => {
                        met("cut short");
                        assert!(client.troubled && client.node != stream.home, "cut, though nothing was wrong");
                    }
                }
                client.reply = None;
            }
        }
    }
    moved
}
