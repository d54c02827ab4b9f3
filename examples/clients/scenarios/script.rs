//! What a run's handler sends, event by event; it is written once and knows nothing of resuming.

use crate::facts::{Until, World};
use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, Response, header},
};
use fastrand::Rng;
use futures_util::stream;
use std::{sync::Arc, time::Duration};

/// An event, as it is sent, and as a right client yields it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) event: String,
    pub(crate) data: String,
    pub(crate) bytes: Bytes,
}

impl Said {
    pub(crate) fn new(event: &str, data: &str) -> Self {
        let mut text = String::new();
        if event != "message" {
            text = format!("event: {event}\n");
        }
        for line in data.split('\n') {
            text.push_str("data: ");
            text.push_str(line);
            text.push('\n');
        }
        text.push('\n');
        Self { event: event.to_owned(), data: data.to_owned(), bytes: text.into() }
    }
}

pub(crate) enum Step {
    Say(Said),
    Pause(Duration),
    Until(Until),
    /// Moves the run's clock, by which tokens expire.
    Advance(Duration),
    /// The handler's body fails.
    Fail,
}

/// A handler's steps.
#[derive(Default)]
pub(crate) struct Script(pub(crate) Vec<Step>);

impl Script {
    /// So many events of a sentence or two, one each `pace`.
    pub(crate) fn ticks(rng: &mut Rng, events: u64, pace: Duration) -> Self {
        Self::default().and_ticks(rng, 1..=events, pace)
    }

    /// The same, behind what there is.
    pub(crate) fn and_ticks(mut self, rng: &mut Rng, numbers: impl IntoIterator<Item = u64>, pace: Duration) -> Self {
        for number in numbers {
            self.0.push(Step::Say(tick(rng, number)));
            self.0.push(Step::Pause(pace));
        }
        self
    }

    pub(crate) fn and(mut self, step: Step) -> Self {
        self.0.push(step);
        self
    }

    pub(crate) fn until(self, until: impl Fn(&crate::facts::Facts) -> bool + Send + Sync + 'static) -> Self {
        self.and(Step::Until(Box::new(until)))
    }

    /// The same with other line ends on the wire.
    pub(crate) fn with_lines(mut self, end: &str) -> Self {
        for step in &mut self.0 {
            if let Step::Say(said) = step {
                said.bytes = String::from_utf8_lossy(&said.bytes).replace('\n', end).into();
            }
        }
        self
    }

    /// The same behind a byte order mark.
    pub(crate) fn with_mark(mut self) -> Self {
        if let Some(Step::Say(said)) = self.0.first_mut() {
            said.bytes = [&b"\xef\xbb\xbf"[..], &said.bytes].concat().into();
        }
        self
    }

    /// The events, in order.
    pub(crate) fn events(&self) -> Vec<Said> {
        let said = |step: &Step| if let Step::Say(said) = step { Some(said.clone()) } else { None };
        self.0.iter().filter_map(said).collect()
    }
}

const WORDS: [&str; 12] =
    ["a", "stream", "über", "die", "Brücke", "é", "日本語", "😀", "👩‍👩‍👧", "data:", "id: 7", ": no comment"];

fn tick(rng: &mut Rng, number: u64) -> Said {
    let mut data = number.to_string();
    for _ in 0..rng.usize(1..12) {
        data.push(if rng.u8(..) < 16 { '\n' } else { ' ' });
        data.push_str(rng.choice(WORDS).unwrap_or_default());
    }
    Said::new(rng.choice(["message", "tick", "stage"]).unwrap_or("message"), &data)
}

/// Counts a handler's end, however it comes.
struct Running(Arc<World>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.note(|facts| facts.stopped += 1);
    }
}

/// One call of the handler: the events behind the first `skip`, and whether they get ids of the handler's own.
pub(crate) fn perform(script: Arc<Script>, world: Arc<World>, own_ids: bool, skip: usize) -> Response<Body> {
    world.note(|facts| facts.begun += 1);
    let running = Running(world);
    let first = (script, running, 0_usize, 0_usize);
    let events = stream::unfold(first, move |(script, running, mut at, mut said)| async move {
        loop {
            let step = script.0.get(at)?;
            at += 1;
            match step {
                Step::Say(event) => {
                    said += 1;
                    if said <= skip {
                        continue;
                    }
                    running.0.note(|facts| facts.given += 1);
                    let mut bytes = event.bytes.clone();
                    if own_ids {
                        bytes = [format!("id: {said}\n").into(), bytes].concat().into();
                    }
                    return Some((Ok(bytes), (script, running, at, said)));
                }
                Step::Pause(_) if said <= skip && skip > 0 => {}
                Step::Pause(time) => tokio::time::sleep(*time).await,
                Step::Until(is_so) => running.0.until(is_so).await,
                Step::Advance(time) => running.0.advance(*time),
                Step::Fail => {
                    return Some((Err(std::io::Error::other("the model has failed")), (script, running, at, said)));
                }
            }
        }
    });
    let mut response = Response::new(Body::from_stream(events));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// How many events the caller has, by the ids of a handler of its own.
pub(crate) fn has_events(headers: &HeaderMap) -> usize {
    let id = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    id.and_then(|id| id.parse().ok()).unwrap_or(0)
}
