//! Ends in a writer's place, names, words, counts (promises 8 to 10), and who is asked.

use super::{
    promise,
    scribe::{LONG, Scribe, events},
    times::until,
};
use crate::store::{Appended, Ask, Counts, Desk, Expect, Name, Store, Touched};
use crate::{EndStatus, RequestId};
use bytes::Bytes;
use std::{
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

pub(super) async fn check<S: Store>(store: &S) {
    a_fence_ends_a_log(store).await;
    names_are_exchanged(store).await;
    word_is_left(store, store).await;
    counts_add_up(store).await;
    until("a node knows that it lives", async || store.lives(store.node()).await.unwrap_or(false)).await;
}

pub(super) async fn check_shared<A: Store, B: Store>(one: &A, other: &B) {
    fences_of_two_nodes_are_one(one, other).await;
    one_claimant_wins(one, other).await;
    word_is_left(one, other).await;
    until("a node that is there lives, for the others", async || {
        one.lives(other.node()).await.unwrap_or(false) && other.lives(one.node()).await.unwrap_or(false)
    })
    .await;
    promise(one.lives(crate::NodeId::random()).await.expect("an answer"), false, "nobody is no living node");
    questions_reach_the_desk(one, other).await;
}

async fn a_fence_ends_a_log<S: Store>(store: &S) {
    let fence = async |id, status| store.fence(id, status, 1_790_000_001_000, LONG).await.expect("a fence");
    promise(fence(RequestId::random(), EndStatus::Interrupted).await, None, "8. what is not there is not ended");
    let mut scribe = Scribe::begun(store).await;
    for count in [0, 1, 16] {
        scribe.write_events(count).await;
    }
    let before = scribe.tail().await.expect("a log");
    let interrupted = Some(EndStatus::Interrupted);
    promise(fence(scribe.id, EndStatus::Interrupted).await, interrupted, "8. a fence ends a log");
    promise(fence(scribe.id, EndStatus::Cancelled).await, interrupted, "8. an end that is there stands");
    let tail = scribe.tail().await.expect("a log");
    promise((tail.last, tail.end, &tail.step), (before.last, interrupted, &before.step), "8. what lies before counts");
    promise(tail.totals, before.totals, "8. a fence changes no totals");
    let fenced = Appended::Fenced(EndStatus::Interrupted);
    promise(scribe.send(&scribe.going_on(events(1))).await, fenced, "8. nothing comes after a fence");
    promise(scribe.send(&scribe.rewriting()).await, fenced, "8. nothing replaces a fence");
    promise(scribe.read_all(0).await.last().and_then(|chunk| chunk.end), interrupted, "8. readers find the fence");

    let mut scribe = Scribe::begun(store).await;
    let ending = scribe.ending(EndStatus::Complete);
    scribe.write(&ending).await;
    promise(fence(scribe.id, EndStatus::Interrupted).await, Some(EndStatus::Complete), "8. a complete log stays so");
    scribe.check("8. behind a fence that came too late").await;
}

async fn fences_of_two_nodes_are_one<A: Store, B: Store>(one: &A, other: &B) {
    for _ in 0..8 {
        let scribe = Scribe::begun(one).await;
        let (a, b) = tokio::join!(
            one.fence(scribe.id, EndStatus::Interrupted, 1_790_000_001_000, LONG),
            other.fence(scribe.id, EndStatus::Cancelled, 1_790_000_001_001, LONG),
        );
        let (a, b) = (a.expect("a fence"), b.expect("a fence"));
        promise(a.is_some() && a == b, true, "8. of two fences one counts, for both");
    }
}

fn name() -> Name {
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(RequestId::random().as_bytes());
    bytes[16..].copy_from_slice(RequestId::random().as_bytes());
    Name::from_bytes(bytes)
}

const HOUR: Duration = Duration::from_secs(3_600);

async fn names_are_exchanged<S: Store>(store: &S) {
    let name = name();
    let exchange = async |expect, value: Option<&'static str>, ttl| {
        let value = value.map(|value| Bytes::from_static(value.as_bytes()));
        store.exchange(name, expect, value, ttl).await.expect("an exchange")
    };
    let text = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
    let value = |text: &'static str| Expect::Value(Bytes::from_static(text.as_bytes()));
    promise(store.lookup(name).await.expect("a look"), None, "9. a new name stands for nothing");
    promise(exchange(value("b"), Some("a"), HOUR).await, None, "9. nothing is not a value");
    promise(exchange(Expect::Nothing, Some("a"), HOUR).await, text("a"), "9. a name is taken");
    promise(exchange(Expect::Nothing, Some("b"), HOUR).await, text("a"), "9. a taken name is not taken again");
    promise(exchange(Expect::Nothing, Some("a"), HOUR).await, text("a"), "9. but by the same value");
    promise(exchange(value("b"), Some("c"), HOUR).await, text("a"), "9. what is not expected stays");
    promise(exchange(value("a"), Some("c"), HOUR).await, text("c"), "9. what is expected goes");
    promise(exchange(value("a"), None, HOUR).await, text("c"), "9. what is not expected is not let go");
    promise(store.lookup(name).await.expect("a look"), text("c"), "9. a name is looked up");
    promise(exchange(value("c"), None, HOUR).await, None, "9. a name is let go");
    exchange(Expect::Nothing, Some("e"), Duration::from_millis(100)).await;
    until("9. a name lapses", async || store.lookup(name).await.expect("a look").is_none()).await;
}

async fn one_claimant_wins<A: Store, B: Store>(one: &A, other: &B) {
    for _ in 0..8 {
        let name = name();
        let claim = |value: &'static str| (name, Expect::Nothing, Some(Bytes::from_static(value.as_bytes())), HOUR);
        let ((n, e, v, t), (m, f, w, u)) = (claim("one"), claim("other"));
        let (a, b) = tokio::join!(one.exchange(n, e, v, t), other.exchange(m, f, w, u));
        promise(a.expect("a claim"), b.expect("a claim"), "9. of two claimants one wins, for both");
    }
}

async fn word_is_left<A: Store, B: Store>(one: &A, other: &B) {
    let (mut scribe, beside) = (Scribe::begun(one).await, Scribe::begun(one).await);
    let touched = async |scribe: &Scribe<'_, A>| one.touch(scribe.id, LONG).await.expect("a renewal");
    let cancel = async |id| other.cancel(id).await.expect("word is left");
    promise(cancel(RequestId::random()).await, false, "10. no word is left where there is no log");
    promise(touched(&scribe).await, Touched::Lives { cancelled: false }, "10. nobody has left word yet");
    promise(cancel(scribe.id).await, true, "10. word is left");
    let told = Touched::Lives { cancelled: true };
    promise(touched(&scribe).await, told, "10. a renewal tells of the word");
    scribe.write_events(2).await;
    promise(cancel(scribe.id).await, true, "10. the same word again");
    promise(touched(&scribe).await, told, "10. the word stays");
    scribe.write(&scribe.rewriting()).await;
    promise(touched(&scribe).await, told, "10. the word stays when the log is written again");
    promise(touched(&beside).await, Touched::Lives { cancelled: false }, "10. the word is for one stream alone");
}

async fn counts_add_up<S: Store>(store: &S) {
    let counts = |resumes, recovered| Counts { resumes, recovered };
    let none = counts(0, 0);
    let scribe = Scribe::begun(store).await;
    let count = async |known, more| store.count(scribe.id, known, more).await.expect("counts");
    promise(count(none, counts(1, 5)).await, counts(1, 5), "the first client that came back is counted");
    promise(count(none, counts(1, 0)).await, counts(2, 5), "the next one too");
    promise(count(counts(7, 3), counts(1, 1)).await, counts(8, 6), "what is known here counts, if it is more");
    promise(count(none, none).await, counts(8, 6), "nothing changes nothing");
    let gone = store.count(RequestId::random(), counts(2, 2), counts(1, 1)).await.expect("counts");
    promise(gone, counts(3, 3), "of what is not there, that is known which is known here");
}

/// Knows one stream, and notes what it is asked about it.
struct Knows(RequestId, Mutex<Vec<Ask>>);

impl Desk for Knows {
    fn asked(&self, id: RequestId, ask: Ask) -> bool {
        if id == self.0 {
            self.1.lock().expect("a lock").push(ask);
        }
        id == self.0
    }
}

async fn questions_reach_the_desk<A: Store, B: Store>(one: &A, other: &B) {
    let knows = Arc::new(Knows(RequestId::random(), Mutex::default()));
    let desk: Weak<dyn Desk> = Arc::downgrade(&(Arc::clone(&knows) as Arc<dyn Desk>));
    one.serve(desk);
    // A node listens only from its first append on.
    Scribe::begun(one).await;
    for ask in [Ask::Known, Ask::Amiss, Ask::Cancel] {
        knows.1.lock().expect("a lock").clear();
        until("a node answers for a stream that it knows", async || {
            other.ask(one.node(), knows.0, ask).await.unwrap_or(false)
        })
        .await;
        promise(knows.1.lock().expect("a lock").contains(&ask), true, "the question reaches the desk as it was asked");
    }
    let mut knows = None;
    until("a node answers for a stream that it does not know", async || {
        knows = other.ask(one.node(), RequestId::random(), Ask::Known).await.ok();
        knows.is_some()
    })
    .await;
    promise(knows, Some(false), "a node says of what it does not know that it does not");
}
