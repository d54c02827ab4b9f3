//! Seeing to it that names stand for what they should, in the store, for as long as a stream runs.

use super::{Given, Meaning};
use crate::{
    RequestId,
    node::Node,
    store::{Expect, Name, StoreError},
};
use bytes::Bytes;
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep},
};

/// How often others may change a name under our hands before we come again.
const TRIES: usize = 4;
/// How soon a name that could not be set is tried again, at most; with the store out, which says when it is back, now and
/// then only.
const RETRY: Duration = Duration::from_secs(1);
const RETRY_OUT: Duration = Duration::from_secs(10);
/// How long names that were never set are still tried once nobody looks after the stream's log any more.
const FINISH_WITHIN: Duration = Duration::from_secs(5);

/// Makes a name stand for `value`, where it stands for what is expected, for nothing, or for something that gives way: then
/// for what `instead` has in its place. What it stands for otherwise.
pub(crate) async fn hold(
    node: &Node,
    name: Name,
    mut value: Bytes,
    mut expect: Expect,
    ttl: Duration,
    mut instead: impl FnMut(&Bytes) -> Option<Bytes>,
) -> Result<Option<Bytes>, StoreError> {
    let mut found = None;
    for _ in 0..TRIES {
        found = Arc::clone(&node.store).exchange(name, expect, Some(value.clone()), ttl).await?;
        expect = match &found {
            Some(found) if *found == value => return Ok(None),
            None => Expect::Nothing,
            Some(other) => match instead(other) {
                None => return Ok(found),
                Some(mine) => {
                    value = mine;
                    Expect::Value(other.clone())
                }
            },
        };
    }
    Ok(found)
}

/// A name that a stream is to have.
#[derive(Debug)]
pub(crate) struct Stand {
    pub(crate) name: Name,
    pub(crate) meaning: Meaning,
    /// The claim that the stream comes of; `None` for a name that its handler has given it.
    pub(crate) claim: Option<Bytes>,
}

impl Stand {
    /// Whether it does stand for the stream, or already for another one.
    async fn hold(&mut self, node: &Node, is_first: bool) -> Result<bool, StoreError> {
        let value = self.meaning.encode();
        // It outlives the log, of which it is a mere sign: that is what says whether there is a stream.
        let ttl = node.settings.state_ttl * 2;
        let found = match &self.claim {
            Some(claim) => {
                let expect = Expect::Value(if is_first { claim.clone() } else { value.clone() });
                let mine = value.clone();
                hold(node, self.name, value, expect, ttl, |found| (found == claim).then(|| mine.clone())).await?
            }
            None => {
                // Of two that begin here at once, the older one's task may come second.
                let id = self.meaning.request_id;
                let is_new = is_first && node.names.get(self.name).is_some_and(|newest| newest.request_id == id);
                let over = |found: &Bytes| match Meaning::decode(found) {
                    Some(other) => self.meaning.succeeds(&other, is_new).then(|| self.meaning.encode()),
                    None => is_new.then(|| value.clone()),
                };
                hold(node, self.name, value.clone(), Expect::Nothing, ttl, over).await?
            }
        };
        Ok(found.is_none())
    }
}

/// Sees to a stream's names until it is dropped; then only until they were set for once.
#[derive(Debug)]
pub(crate) struct Kept(#[expect(dead_code, reason = "what counts is that it is dropped")] oneshot::Sender<Infallible>);

/// Sees to the names of a stream that begins, in a task of its own: nobody waits for it.
pub(crate) fn keep(node: &Arc<Node>, id: RequestId, stands: Vec<Stand>, given: Vec<Given>) -> Kept {
    let (kept, over) = oneshot::channel();
    drop(tokio::spawn(run(Arc::clone(node), id, stands, given, over)));
    Kept(kept)
}

async fn run(
    node: Arc<Node>,
    id: RequestId,
    mut stands: Vec<Stand>,
    given: Vec<Given>,
    mut over: oneshot::Receiver<Infallible>,
) {
    let mut health = node.health();
    let mut give_up_at = None;
    let mut is_first = true;
    loop {
        health.mark_unchanged();
        let mut all_set = true;
        let mut lost = Vec::new();
        for stand in &mut stands {
            match stand.hold(&node, is_first).await {
                Ok(true) => given.iter().for_each(|given| given.told(stand.name)),
                Ok(false) => lost.push(stand.name),
                Err(_) => all_set = false,
            }
        }
        is_first = false;
        for name in lost {
            node.telemetry.name_lost(id);
            given.iter().for_each(|given| given.lose(name));
            stands.retain(|stand| stand.name != name);
        }
        let now = Instant::now();
        if stands.is_empty() || give_up_at.is_some_and(|at| all_set || now >= at) {
            return;
        }
        let pause = match all_set {
            true => node.settings.state_ttl / 3,
            false if node.store_is_up() => RETRY,
            false => RETRY_OUT,
        };
        tokio::select! {
            () = sleep(pause.mul_f64(0.5 + 0.5 * fastrand::f64())) => {}
            Ok(()) = health.changed() => {}
            _ = &mut over, if give_up_at.is_none() => {
                give_up_at = Some(Instant::now() + FINISH_WITHIN);
            }
        }
    }
}
