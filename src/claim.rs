//! Requests that bring a key: of all that bring the same one, one runs the handler, and the others join its stream.
//!
//! A claim is a name that stands for the request that runs the handler. It is taken in one step, for all nodes. It is let
//! go where the handler has answered with anything but a stream, and taken over where the claimant is dead, or where the
//! stream that came of it is gone.

use crate::{
    Idempotency, NodeId, Principal, RequestId, ResumeError,
    body::ResumeBody,
    header::{IDEMPOTENCY_KEY, IDEMPOTENCY_REPLAYED},
    idempotency,
    names::{Given, Meaning, Stand, hold},
    node::{KeyRing, Node},
    request::{Entrance, Intent, intent},
    resume::{Resume, authorize},
    store::{Ask, Expect, Name, StoreError},
    token::Signer,
};
use bytes::Bytes;
use http::{HeaderValue, Response, Uri, request::Parts};
use std::{convert::Infallible, mem, sync::Arc, time::Duration};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep},
};

/// How long a claim holds without being renewed: what its node's lease does not say (a claim that could not be let go)
/// is over then.
const CLAIM_TTL: Duration = Duration::from_secs(60);
/// How soon a claim that could not be written, or let go, is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// The first pause of a request that waits, and the longest. Each is cut short by up to a half, so that many that wait
/// part ways.
const MIN_PAUSE: Duration = Duration::from_millis(50);
const MAX_PAUSE: Duration = Duration::from_millis(200);
/// How often a claimant whose node lives is asked whether it is still at it.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How long a node waits for its own lease before it claims: without one it would look dead.
const LEASE_WITHIN: Duration = Duration::from_secs(1);

/// A name of the request's, one for each secret of the ring. All of them are claimed, in an order that is the same on all
/// nodes: then no two nodes run the same handler in the course of a rotation, as long as they share a secret.
#[derive(Clone, Copy, Debug)]
struct Slot {
    name: Name,
    meaning: Meaning,
}

/// A request with a key that counts.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) request_id: RequestId,
    pub(crate) principal: Option<Principal>,
    slots: Vec<Slot>,
    signer: Signer,
}

/// The ticket of a request that brings a key, if it counts here.
pub(crate) fn ticket(node: &Node, head: &Parts) -> Option<Result<Ticket, ResumeError>> {
    let (idempotency, keys) = (node.settings.idempotency.as_ref()?, node.keys.as_ref()?);
    if !head.headers.contains_key(IDEMPOTENCY_KEY)
        || !matches!(intent(head, node.settings.query_param.as_deref(), Entrance::Layer, true), Intent::Fresh)
    {
        return None;
    }
    let principal = authorize(node, head).ok()?;
    if principal.is_none() && !idempotency.shared_keys {
        return None;
    }
    let key = idempotency::key(&head.headers)?;
    Some(key.map(|key| Ticket::new(node, keys, idempotency, head, principal, &key)))
}

impl Ticket {
    fn new(
        node: &Node,
        keys: &KeyRing,
        idempotency: &Idempotency,
        head: &Parts,
        principal: Option<Principal>,
        key: &[u8],
    ) -> Self {
        let request_id = RequestId::random();
        let who = principal.as_ref().map(|principal| &*principal.0);
        let print = idempotency.fingerprint.as_ref().and_then(|fingerprint| fingerprint(head));
        let asked = asked(&head.uri);
        let fields = [
            b"start",
            &[u8::from(who.is_some())][..],
            who.unwrap_or_default().as_bytes(),
            head.method.as_str().as_bytes(),
            asked.0.as_bytes(),
            &[u8::from(asked.1.is_some())],
            asked.1.unwrap_or_default().as_bytes(),
            key,
        ];
        let slot = |namer: &crate::token::Namer| Slot {
            name: Name::from_bytes(namer.digest(&fields)),
            meaning: Meaning {
                request_id,
                node: node.store.node(),
                since: node.now(),
                is_stream: false,
                print: print.as_ref().and_then(|print| namer.digest(&[b"fingerprint", print]).first_chunk().copied()),
            },
        };
        let mut slots: Vec<_> = keys.namers().iter().map(slot).collect();
        slots.sort_unstable_by_key(|slot| slot.name);
        slots.dedup_by_key(|slot| slot.name);
        Self { request_id, slots, signer: keys.signer(who), principal }
    }
}

/// What a request asks for: path and query, as the layer sees them.
fn asked(uri: &Uri) -> (&str, Option<&str>) {
    (uri.path(), uri.query())
}

/// What becomes of a request with a key.
pub(crate) enum Claimed<B> {
    /// It runs the handler.
    Mine(Claim),
    /// It has joined the stream of another one.
    Joined(Response<ResumeBody<B>>),
}

/// What a name stands for instead of this request.
#[derive(Clone, Debug)]
struct Found {
    name: Name,
    value: Bytes,
}

/// What is to be done about another one's claim.
enum Verdict<B> {
    Join(Response<ResumeBody<B>>),
    /// It is being answered, or its stream is not there yet: this is what is said if that takes too long.
    Wait(ResumeError),
    /// It is dead, or its stream gone.
    Over,
    Refuse(ResumeError),
}

impl Ticket {
    /// Takes the claim, or waits for what comes of the one that is there. `client` is closed when nobody waits any more.
    pub(crate) async fn claim<B>(
        &self,
        node: &Arc<Node>,
        wait: Duration,
        client: &mut oneshot::Sender<Infallible>,
    ) -> Result<Claimed<B>, ResumeError> {
        let deadline = Instant::now() + wait;
        let mut pause = MIN_PAUSE;
        let mut doubt = Doubt { ask_at: Instant::now() + ASK_EVERY, silent: None };
        let mut over = None;
        self.has_lease(node).await;
        loop {
            let found = match self.take(node, over.take()).await? {
                Ok(claim) => return Ok(Claimed::Mine(claim)),
                Err(found) => found,
            };
            let why = match self.judge(node, &found, &mut doubt).await {
                Verdict::Join(response) => return Ok(Claimed::Joined(response)),
                Verdict::Refuse(error) => return Err(error),
                Verdict::Wait(why) => why,
                Verdict::Over => {
                    over = Some(found);
                    ResumeError::InProgress
                }
            };
            let now = Instant::now();
            let is_late = now >= deadline && (over.is_none() || now >= deadline + MAX_PAUSE);
            if client.is_closed() || is_late {
                return Err(why);
            }
            let most = deadline.saturating_duration_since(now).max(MIN_PAUSE);
            let next = pause.mul_f64(0.5 + 0.5 * fastrand::f64());
            pause = (pause * 2).min(MAX_PAUSE);
            tokio::select! {
                () = sleep(next.min(most)) => {}
                () = client.closed() => return Err(why),
            }
        }
    }

    /// Waits until the others know that this node lives, which they do a moment after it has found the store.
    async fn has_lease(&self, node: &Node) {
        let since = Instant::now();
        while let Ok(false) = Arc::clone(&node.store).lives(node.store.node()).await {
            if since.elapsed() >= LEASE_WITHIN {
                return;
            }
            sleep(LEASE_WITHIN / 4).await;
        }
    }

    /// Takes all of the names, unless one is taken.
    async fn take(&self, node: &Arc<Node>, over: Option<Found>) -> Result<Result<Claim, Found>, ResumeError> {
        let Some(any) = self.slots.first() else { return Err(ResumeError::StoreUnavailable) };
        let wanted: Vec<_> = self.slots.iter().map(|slot| (slot.name, slot.meaning)).collect();
        // First among the requests of this node, which costs nothing and needs no store.
        let given = match Given::claim(node, any.meaning.request_id, &wanted) {
            Ok(given) => given,
            Err((name, meaning)) => return Ok(Err(Found { name, value: meaning.encode() })),
        };
        let mut claim = Claim { node: Arc::clone(node), slots: Vec::new(), given: Some(given) };
        for slot in &self.slots {
            let before = over.as_ref().filter(|over| over.name == slot.name).map(|over| &over.value);
            claim.slots.push(*slot);
            match slot.take(node, before).await {
                Ok(None) => {}
                Ok(Some(value)) => {
                    claim.slots.pop();
                    return Ok(Err(Found { name: slot.name, value }));
                }
                // It may be ours, or will be once the store is back.
                Err(_) if self.runs_without_store(node) => {}
                Err(_) => return Err(ResumeError::StoreUnavailable),
            }
        }
        if let Some(over) = over.as_ref().and_then(|over| Meaning::decode(&over.value)) {
            node.telemetry.claim_taken(self.request_id, over.request_id, over.node);
        }
        Ok(Ok(claim))
    }

    fn runs_without_store(&self, node: &Node) -> bool {
        node.settings.idempotency.as_ref().is_some_and(|idempotency| idempotency.runs_without_store)
    }

    async fn judge<B>(&self, node: &Arc<Node>, found: &Found, doubt: &mut Doubt) -> Verdict<B> {
        // What another release has written, perhaps, is respected as long as it is there.
        let Some(other) = Meaning::decode(&found.value) else { return Verdict::Wait(ResumeError::InProgress) };
        let print = self.slots.iter().find(|slot| slot.name == found.name).and_then(|slot| slot.meaning.print);
        let differs = matches!((print, other.print), (Some(mine), Some(theirs)) if mine != theirs);
        if other.is_stream && !differs {
            let resume = Resume::by_name(&other, 0, true, false);
            return match resume.answer(node, &self.signer).await {
                Ok(mut response) => {
                    node.telemetry.key_joined(other.request_id);
                    response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
                    Verdict::Join(response)
                }
                Err(ResumeError::StreamExpired) if !self.is_kept(node, &other).await => Verdict::Over,
                Err(ResumeError::StreamExpired | ResumeError::StoreUnavailable) => {
                    Verdict::Wait(ResumeError::StoreUnavailable)
                }
                Err(error) => Verdict::Refuse(error),
            };
        }
        let stands =
            if other.is_stream { self.is_kept(node, &other).await } else { self.stands(node, &other, doubt).await };
        match stands {
            true if differs => Verdict::Refuse(ResumeError::KeyReused),
            true => Verdict::Wait(ResumeError::InProgress),
            false => Verdict::Over,
        }
    }

    /// Whether there is a stream of a claim still, or will be.
    async fn is_kept(&self, node: &Arc<Node>, other: &Meaning) -> bool {
        node.find(other.request_id).is_some()
            || !matches!(Arc::clone(&node.store).tail(other.request_id).await, Ok(None))
            || self.stands(node, other, &mut Doubt { ask_at: Instant::now(), silent: None }).await
    }

    /// Whether a claimant may still answer, or its stream still come.
    async fn stands(&self, node: &Arc<Node>, other: &Meaning, doubt: &mut Doubt) -> bool {
        let knows = async || Arc::clone(&node.store).ask(other.node, other.request_id, Ask::Known).await;
        if other.node == node.store.node() {
            return node.names.is_claimed_by(other.request_id) || knows().await.unwrap_or(true);
        }
        match Arc::clone(&node.store).lives(other.node).await {
            Err(_) => true,
            // Leases can be lost, and come late. Then its own word counts, if it comes.
            Ok(false) => doubt.silent != Some(other.node) && knows().await.unwrap_or(false),
            Ok(true) => {
                let now = Instant::now();
                if now < doubt.ask_at {
                    return true;
                }
                doubt.ask_at = now + ASK_EVERY;
                let answer = knows().await;
                doubt.silent = answer.is_err().then_some(other.node);
                answer.unwrap_or(true)
            }
        }
    }
}

/// What a request that waits knows of the claimant.
struct Doubt {
    /// When to ask its node next.
    ask_at: Instant,
    /// The node that did not answer when it was last asked: once its lease is out, too, it is not asked again.
    silent: Option<NodeId>,
}

impl Slot {
    /// What the name stands for, unless it is this request, now or already.
    async fn take(&self, node: &Node, over: Option<&Bytes>) -> Result<Option<Bytes>, StoreError> {
        let expect = over.map_or(Expect::Nothing, |over| Expect::Value(over.clone()));
        hold(node, self.name, self.meaning.encode(), expect, CLAIM_TTL, |_| None).await
    }

    async fn release(&self, node: &Node) -> Result<(), StoreError> {
        let mine = Expect::Value(self.meaning.encode());
        Arc::clone(&node.store).exchange(self.name, mine, None, CLAIM_TTL).await.map(drop)
    }
}

/// A claim that is ours. Dropped, it is let go.
#[derive(Debug)]
pub(crate) struct Claim {
    node: Arc<Node>,
    slots: Vec<Slot>,
    given: Option<Given>,
}

impl Claim {
    /// Renews the claim for as long as it is polled: while the handler has not answered.
    pub(crate) async fn renew(&self) -> Infallible {
        let mut health = self.node.health();
        let mut pause = if self.node.store_is_up() { CLAIM_TTL / 3 } else { RETRY };
        loop {
            tokio::select! {
                () = sleep(pause) => {}
                Ok(()) = health.changed() => {}
            }
            pause = CLAIM_TTL / 3;
            for slot in &self.slots {
                // Where another one has taken it over, both run: there is no undoing what a handler has done.
                if slot.take(&self.node, None).await.is_err() {
                    pause = RETRY;
                }
            }
        }
    }

    /// The handler has answered with a stream: what its names have to stand for from now on.
    pub(crate) fn answered(mut self) -> (Vec<Stand>, Option<Given>) {
        let given = self.given.take();
        if let Some(given) = &given {
            given.answered();
        }
        let stand = |slot: Slot| {
            let claim = Some(slot.meaning.encode());
            Stand { name: slot.name, meaning: Meaning { is_stream: true, ..slot.meaning }, claim }
        };
        (mem::take(&mut self.slots).into_iter().map(stand).collect(), given)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let slots = mem::take(&mut self.slots);
        if slots.is_empty() || tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        drop(tokio::spawn(release(Arc::clone(&self.node), slots)));
    }
}

/// Lets names go. Until that is done, whoever asks this node learns that nobody is at it any more.
async fn release(node: Arc<Node>, mut slots: Vec<Slot>) {
    let until = Instant::now() + CLAIM_TTL;
    while !slots.is_empty() && Instant::now() < until {
        let mut left = Vec::new();
        for slot in slots {
            if slot.release(&node).await.is_err() {
                left.push(slot);
            }
        }
        slots = left;
        if !slots.is_empty() {
            sleep(RETRY).await;
        }
    }
}
