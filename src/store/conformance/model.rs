//! Random operations on a few streams at once, against a plain list of chunks.

use super::{
    promise,
    scribe::{Scribe, event, snapshot},
};
use crate::store::{Append, Appended, CHUNK_MAX_EVENTS, Chunk, Onto, Snapshot, Store};
use crate::{EndStatus, Event, NodeId, Step};
use fastrand::Rng;

const OPERATIONS: usize = 250;
const STREAMS: usize = 3;

/// A stream of the model: the scribe's list is the log, as it should be.
struct Modelled<'s, S> {
    scribe: Scribe<'s, S>,
    snapshot: Option<Snapshot>,
    newest: Append,
}

pub(super) async fn check<S: Store>(store: &S, seed: u64) {
    let mut random = Rng::with_seed(seed);
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        streams.push(begun(store).await);
    }
    for operation in 0..OPERATIONS {
        let context = format!("operation {operation} of seed {seed}");
        let at = random.usize(..STREAMS);
        let stream = &mut streams[at];
        match random.u8(..100) {
            0..45 => stream.go_on(&mut random, &context).await,
            45..55 => stream.send_again(&context).await,
            55..65 => stream.miss(&mut random, &context).await,
            65..75 => stream.write_again(&context).await,
            75..80 => stream.end(&mut random, &context).await,
            80..98 => {
                stream.scribe.check(&context).await;
                promise(
                    stream.scribe.snapshot().await,
                    stream.snapshot.clone(),
                    &format!("the newest snapshot ({context})"),
                );
            }
            _ => streams[at] = begun(store).await,
        }
    }
    for stream in &streams {
        stream.scribe.check(&format!("the end of seed {seed}")).await;
    }
}

async fn begun<S: Store>(store: &S) -> Modelled<'_, S> {
    let mut scribe = Scribe::new(store);
    let newest = scribe.opening();
    scribe.write(&newest).await;
    Modelled { scribe, snapshot: None, newest }
}

impl<S: Store> Modelled<'_, S> {
    fn ended(&self) -> Option<EndStatus> {
        self.scribe.log.last().and_then(|chunk| chunk.end)
    }

    /// Whether this is the answer that the model gives: `Stored`, or what else.
    async fn expect(&self, append: &Append, otherwise: Option<Appended>, context: &str) {
        let appended = self.scribe.send(append).await;
        let is_right = match otherwise {
            None => matches!(appended, Appended::Stored { .. }),
            Some(otherwise) => appended == otherwise,
        };
        assert!(
            is_right,
            "broken promise 2, 5 or 6 ({context})\n   found: {appended:?}\npromised: {otherwise:?}, or Stored for None"
        );
    }

    async fn go_on(&mut self, random: &mut Rng, context: &str) {
        let mut append = self.scribe.append(Onto::Seq(self.scribe.last()), Vec::new());
        let begun = self.scribe.log.len();
        for _ in 0..random.usize(1..4) {
            let chunk = self.scribe.next(random_events(random), None);
            let in_the_midst = self.scribe.log.iter().any(|chunk| !chunk.events.is_empty());
            let missing = if in_the_midst && random.u8(..8) == 0 { random.u64(1..40) } else { 0 };
            let chunk = self.scribe.behind_a_hole(chunk, missing);
            self.scribe.log.push(chunk.clone());
            append.chunks.push(chunk);
        }
        let last = self.scribe.last();
        self.scribe.log.truncate(begun);
        if random.u8(..4) == 0 {
            append.trim_below = random.u64(last.saturating_sub(60)..=last);
        }
        if random.u8(..3) == 0 {
            // Whatever chunks there are, old and new, and some that are not there.
            let lasts = self.scribe.log.iter().chain(&append.chunks).map(Chunk::last);
            append.let_go = lasts.filter(|last| *last > 0 && random.u8(..6) == 0).collect();
            append.let_go.push(random.u64(1..=last.max(1)));
            // The first of all is let go by its place in front.
            let first = self.scribe.log.iter().find(|chunk| !chunk.events.is_empty()).or(append.chunks.first());
            append.let_go.retain(|gone| first.is_some_and(|first| *gone > first.last()));
        }
        if random.u8(..5) == 0 {
            append.snapshot = Some(snapshot(last, None));
        }
        let fenced = self.ended().map(Appended::Fenced);
        self.expect(&append, fenced, context).await;
        if fenced.is_none() {
            self.stored(append);
        }
    }

    fn stored(&mut self, append: Append) {
        self.scribe.note(&append);
        self.snapshot = append.snapshot.clone().or(self.snapshot.take());
        self.newest = append;
    }

    async fn send_again(&self, context: &str) {
        self.expect(&self.newest, None, context).await;
    }

    /// Appends onto a seq that is not the last one, or as another node.
    async fn miss(&self, random: &mut Rng, context: &str) {
        let last = self.scribe.last();
        let mut append = self.scribe.going_on(random_events(random));
        let seq = if random.bool() { last + 1 + random.u64(..40) } else { random.u64(..=last) };
        append.onto = Onto::Seq(seq);
        append.chunks[0].first = seq + 1;
        append.chunks[0].writer = NodeId::random();
        if seq != last || self.ended().is_some() {
            self.expect(&append, Some(self.ended().map_or(Appended::Diverged, Appended::Fenced)), context).await;
        }
    }

    async fn write_again(&mut self, context: &str) {
        let append = self.scribe.rewriting();
        self.expect(&append, None, context).await;
        self.stored(append);
    }

    async fn end(&mut self, random: &mut Rng, context: &str) {
        let statuses = [EndStatus::Complete, EndStatus::Error, EndStatus::Interrupted, EndStatus::Cancelled];
        let status = statuses[random.usize(..statuses.len())];
        let events = if random.bool() { random_events(random) } else { Vec::new() };
        let chunk = self.scribe.next(events, Some(status));
        let mut append = self.scribe.append(Onto::Seq(self.scribe.last()), vec![chunk]);
        if random.bool() {
            append.snapshot = Some(snapshot(self.scribe.last(), Some(status)));
        }
        match self.ended() {
            // By chance, an end alone may be the very one that is there.
            Some(before) if before == status => {}
            Some(before) => self.expect(&append, Some(Appended::Fenced(before)), context).await,
            None => {
                self.expect(&append, None, context).await;
                self.stored(append);
            }
        }
    }
}

fn random_events(random: &mut Rng) -> Vec<Event> {
    let steps = [Step::NONE, Step::new("PLANNING"), Step::new("DRAFTING")];
    let count = random.usize(1..=CHUNK_MAX_EVENTS);
    let one = |random: &mut Rng| {
        let length = if random.u8(..10) == 0 { random.usize(..5_000) } else { random.usize(..200) };
        let lines: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(length).collect();
        let step = steps[random.usize(..steps.len())].clone();
        Event { step, priority: random.u8(..3), has_id: random.bool(), ..event(&lines) }
    };
    std::iter::repeat_with(|| one(random)).take(count).collect()
}
