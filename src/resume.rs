//! A resume, from its head to its response: verify, find the stream, check everything about the cursor, and only then
//! answer.

use crate::{
    ResumeError,
    answers::{expires_at, no_content, refuse, refuse_with, status, wait},
    body::ResumeBody,
    clock::millis,
    death, follow,
    hooks::{Authorization, Principal},
    live::{LiveLog, Place, Stretch, Summary},
    names::Meaning,
    node::{KeyRing, Node},
    reader::{Purpose, Reader},
    request::{Ask, Carrier, Mode},
    response::{Recorded, degraded_head, resumed_head},
    settings::ControlEvents,
    store::{self, Opened, Snapshot, StoreError, StoreErrorKind, StreamHead, Tail, Totals},
    tally,
    telemetry::{Stopwatch, spans},
    token::{Cursor, Signer, TokenError},
};
use bytes::Bytes;
use http::{Response, StatusCode, request::Parts};
use std::sync::Arc;
use tracing::{Instrument as _, Span};

/// Two lease times: a token younger than this may be of a stream whose node is yet to be heard of.
pub(crate) const YOUNG_MS: u64 = 18_000;

/// Answers a request that was taken for a resume.
pub(crate) async fn respond<B>(node: Arc<Node>, head: Parts, ask: Ask) -> Response<ResumeBody<B>> {
    let version = head.version;
    let principal = match authorize(&node, &head) {
        Ok(principal) => principal,
        Err(refusal) => return (*refusal).map(ResumeBody::whole),
    };
    drop(head);
    let Some(keys) = &node.keys else { return refuse(&node, ResumeError::ResumeDisabled, version) };
    let resume = match verify(&node, keys, ask, principal.as_ref()) {
        Ok(resume) => resume,
        Err(error) => return refuse(&node, error, version),
    };
    let signer = keys.signer(principal.as_ref().map(|principal| &*principal.0));
    let (carrier, claims) = (resume.carrier, resume.cursor());
    let mut response = match resume.answer(&node, &signer).await {
        Ok(response) => response,
        Err(error) if error.is_transient() && carrier.is_event_source() && node.can_say_wait() => {
            wait(&node, claims, &signer, error)
        }
        Err(error) if error.is_transient() && carrier.is_event_source() => {
            refuse_with(&node, error, StatusCode::SERVICE_UNAVAILABLE, version)
        }
        Err(error) => refuse(&node, error, version),
    };
    node.deploy.close_connection(version, response.headers_mut());
    response
}

pub(crate) fn authorize(node: &Node, head: &Parts) -> Result<Option<Principal>, Box<Response<Bytes>>> {
    let by_rule = || node.settings.principal.as_ref().and_then(|principal| principal(head));
    match node.settings.authorize.as_ref().map(|authorize| authorize(head)) {
        None | Some(Authorization::Allow) => Ok(by_rule()),
        Some(Authorization::AllowAs(principal)) => Ok(Some(principal)),
        Some(Authorization::Refuse(response)) => Err(response),
    }
}

/// What a bad token is answered.
pub(crate) fn refusal(node: &Node, error: TokenError) -> ResumeError {
    match error {
        TokenError::Malformed => ResumeError::MalformedToken,
        TokenError::InvalidSignature => ResumeError::InvalidSignature,
        TokenError::Expired => {
            node.telemetry.resume_expired(None, "token");
            ResumeError::TokenExpired
        }
    }
}

/// Whether a token was issued so lately that its stream's node may be yet to be heard of.
pub(crate) fn is_young(node: &Node, claims: &Cursor) -> bool {
    let issued = claims.expires_at.saturating_sub(millis(node.settings.token_ttl));
    node.now().saturating_sub(issued) < YOUNG_MS
}

/// Verifies the tokens, and settles which of them counts for what.
fn verify(node: &Node, keys: &KeyRing, ask: Ask, principal: Option<&Principal>) -> Result<Resume, ResumeError> {
    let verifier = keys.verifier(principal.map(|principal| &*principal.0));
    let now = node.now();
    let open = |token: &[u8]| verifier.open(token, now).map(|verified| verified.into_cursor());
    let mut claims = open(&ask.token).map_err(|error| refusal(node, error))?;
    let mut carrier = ask.carrier;
    let mut from = ask.from;
    if let Some(cursor) = ask.last_event_id.as_deref().and_then(|token| open(token).ok())
        && cursor.request_id == claims.request_id
    {
        // A client that re-sends constant headers beside a fresh `Last-Event-ID` would otherwise repeat.
        (claims, carrier, from) = (cursor, Carrier::LastEventId, None);
    } else if let Some(cursor) = ask.query.as_deref().and_then(|token| open(token).ok())
        && cursor.request_id == claims.request_id
    {
        from = None;
    }
    Ok(Resume {
        claims,
        carrier,
        from: from.transpose()?,
        mode: ask.mode?,
        since: Stopwatch::start(),
        only_running: false,
    })
}

/// A resume whose token is good, or that needs none.
pub(crate) struct Resume {
    claims: Cursor,
    /// What decides about 204.
    carrier: Carrier,
    /// What replaces the token's cursor.
    from: Option<u64>,
    mode: Mode,
    /// When the request came.
    since: Stopwatch,
    /// A stream that is over is none.
    only_running: bool,
}

/// Where a stream was found.
enum Found {
    /// On this node.
    Here(Arc<LiveLog>),
    /// In the store.
    Stored(Box<Opened>),
    /// Only its snapshot is left.
    Remains(Snapshot),
}

impl Resume {
    /// A resume of a stream that a name has led to.
    pub(crate) fn by_name(meaning: &Meaning, from: u64, may_cancel: bool, only_running: bool) -> Self {
        let claims = Cursor {
            request_id: meaning.request_id,
            node: meaning.node,
            seq: 0,
            // Past its time long since: a stream that is not there is not waited for as it is with a young token.
            expires_at: 0,
            step: crate::Step::NONE,
            ended: false,
            may_cancel,
        };
        let (carrier, from, since) = (Carrier::Token, (from > 0).then_some(from), Stopwatch::start());
        Self { claims, carrier, from, mode: Mode::Live, since, only_running }
    }

    pub(crate) async fn answer<B>(
        self,
        node: &Arc<Node>,
        signer: &Signer,
    ) -> Result<Response<ResumeBody<B>>, ResumeError> {
        let from = self.from.unwrap_or(self.claims.seq);
        let span = spans::replay(self.claims.request_id, from, self.mode.as_str());
        self.answer_within(node, signer, &span).instrument(span.clone()).await
    }

    async fn answer_within<B>(
        &self,
        node: &Arc<Node>,
        signer: &Signer,
        span: &Span,
    ) -> Result<Response<ResumeBody<B>>, ResumeError> {
        let id = self.claims.request_id;
        node.telemetry.resume_attempt(id, self.claims.seq, &self.claims.step, self.mode.as_str());
        if self.claims.ended && self.mode != Mode::Status && self.is_reconnect() {
            return Ok(no_content());
        }
        // A follower may give its log up between our finding it and our taking a place in it: then look again.
        for _ in 0..3 {
            let found = self.find(node).await?;
            if let Some(response) = self.serve(node, signer, span, found).await? {
                return Ok(response);
            }
        }
        Err(ResumeError::StoreUnavailable)
    }

    /// Where the client wants to go on.
    fn cursor(&self) -> Cursor {
        let mut cursor = self.claims.clone();
        if let Some(from) = self.from {
            (cursor.seq, cursor.ended) = (from, false);
        }
        cursor
    }

    /// Whether this is what an `EventSource` does by itself, rather than a first look at the stream by a new page.
    const fn is_reconnect(&self) -> bool {
        match self.carrier {
            Carrier::LastEventId => true,
            Carrier::Query => self.from.is_none(),
            Carrier::Token => false,
        }
    }

    async fn find(&self, node: &Arc<Node>) -> Result<Found, ResumeError> {
        let id = self.claims.request_id;
        if let Some(log) = node.find(id) {
            return Ok(Found::Here(log));
        }
        let after = self.from.unwrap_or(self.claims.seq);
        match Arc::clone(&node.store).open(id, after).await {
            Err(error) => return Err(self.failed(node, &error)),
            Ok(Some(opened)) => return Ok(Found::Stored(Box::new(opened))),
            Ok(None) => {}
        }
        match Arc::clone(&node.store).snapshot(id).await {
            Err(error) => Err(self.failed(node, &error)),
            Ok(Some(snapshot)) if snapshot.status.is_some() => Ok(Found::Remains(snapshot)),
            Ok(_) if self.may_come(node).await? => Err(ResumeError::StoreUnavailable),
            Ok(_) => {
                node.telemetry.resume_expired(Some(id), "stream");
                Err(ResumeError::StreamExpired)
            }
        }
    }

    /// A store that is away reports itself. What it holds and nobody here can read is reported where it is met; the
    /// client comes again, as another node may be able to.
    fn failed(&self, node: &Node, error: &StoreError) -> ResumeError {
        if error.kind() == StoreErrorKind::Corrupt {
            node.telemetry.store_failed(self.claims.request_id, error);
        }
        ResumeError::StoreUnavailable
    }

    /// Whether a stream that the store does not hold may yet come, or come back: its node has not written it so far, or
    /// has to write it again, of which it is told here. A young token always has the benefit of the doubt.
    async fn may_come(&self, node: &Node) -> Result<bool, ResumeError> {
        let writer = self.claims.node;
        if !node.store.is_shared() || writer == node.store.node() {
            return Ok(false);
        }
        let lives = Arc::clone(&node.store).lives(writer).await.map_err(|error| self.failed(node, &error))?;
        let asked = async || Arc::clone(&node.store).ask(writer, self.claims.request_id, store::Ask::Amiss).await;
        Ok(lives && asked().await.unwrap_or(true) || is_young(node, &self.claims))
    }

    /// Answers from what was found; `None` where it was given up meanwhile.
    async fn serve<B>(
        &self,
        node: &Arc<Node>,
        signer: &Signer,
        span: &Span,
        found: Found,
    ) -> Result<Option<Response<ResumeBody<B>>>, ResumeError> {
        let id = self.claims.request_id;
        let (log, opened) = match found {
            Found::Here(log) => (log, None),
            Found::Stored(opened) => (Arc::new(follow::log_of(node, id, &opened)), Some(opened)),
            Found::Remains(snapshot) => (Arc::new(remains(node, &self.claims, snapshot)), None),
        };
        log.leads_to(span);
        span.record("correlation_id", log.head.correlation_id.as_deref());
        let summary = log.summary();
        if self.only_running && summary.end.is_some() {
            return Ok(Some(no_content()));
        }
        let mut claims = self.cursor();
        if let Some(from) = self.from {
            if from > summary.last.max(self.claims.seq) {
                return Err(ResumeError::BadCursor);
            }
            let step = match &opened {
                Some(opened) => follow::step_at(opened, from),
                None => log.step_at(from),
            };
            claims.step = step.unwrap_or(claims.step);
        }
        if self.mode != Mode::Live && opened.is_some() && summary.end.is_none() {
            death::look_into(node, id, log.head.node);
        }
        if self.mode == Mode::Status {
            let snapshot = summary.snapshot.is_some()
                || (!log.recorded && matches!(Arc::clone(&node.store).snapshot(id).await, Ok(Some(_))));
            return Ok(Some(status(node, signer, &log.head, &summary, claims, snapshot)));
        }
        let misses = match &opened {
            Some(opened) => claims.seq + 1 < summary.first || follow::misses_after(opened, claims.seq),
            None => log.misses_after(claims.seq),
        };
        let purpose = self.purpose(node, &log, &summary, &claims, misses).await?;
        let needs_events = matches!(purpose, Purpose::Live | Purpose::Replay);
        if needs_events && log.is_thinned_behind(claims.seq) && !node.store_reaches(id) {
            return Err(ResumeError::StoreUnavailable);
        }
        let Some(guard) = node.admit_reader() else { return Err(ResumeError::TooManyReaders) };
        let Some(place) = seat(node, &log, opened, claims.seq)? else { return Ok(None) };
        let log = place.log();
        tally::count(node, log, store::Counts { resumes: 1, recovered: 0 });
        claims.node = log.head.node;
        claims.expires_at = expires_at(node);
        let token = signer.sign(&claims);
        let as_comments = log.head.comments;
        let reader = Reader::new(Arc::clone(node), guard, place, signer.clone(), claims, purpose, as_comments);
        let reader = reader.since(self.since).within(span.clone());
        let mut response = Response::new(ResumeBody::read(reader));
        resumed_head(response.headers_mut(), id, &token);
        if !node.store_reaches(id) {
            // It comes from this node's own memory.
            degraded_head(response.headers_mut(), "store");
        }
        response.extensions_mut().insert(Recorded);
        Ok(Some(response))
    }

    /// What the response is for, where snapshots and steps have their say.
    async fn purpose(
        &self,
        node: &Arc<Node>,
        log: &LiveLog,
        summary: &Summary,
        claims: &Cursor,
        misses: bool,
    ) -> Result<Purpose, ResumeError> {
        let seen_end = claims.ended;
        let fits = node.settings.step_rule.as_ref().is_none_or(|rule| rule(&claims.step, &summary.step));
        let over = summary.end.is_some();
        let purpose = if self.mode == Mode::Replay { Purpose::Replay } else { Purpose::Live };
        if fits && !seen_end && !(over && misses) {
            return Ok(purpose);
        }
        let snapshot = match &summary.snapshot {
            Some(snapshot) => Some(Arc::clone(snapshot)),
            None if log.recorded => None,
            None => match Arc::clone(&node.store).snapshot(log.id).await {
                Ok(snapshot) => snapshot.map(Arc::new),
                Err(_) => return Err(ResumeError::StoreUnavailable),
            },
        };
        let whole = snapshot.filter(|snapshot| over && snapshot.status.is_some());
        match whole {
            whole if seen_end && over => Ok(Purpose::SeenEnd(self.mode, whole)),
            Some(snapshot) => Ok(Purpose::Snapshot(snapshot)),
            None if fits => Ok(purpose),
            None => {
                node.telemetry.resume_incompatible(log.id, &claims.step, &summary.step);
                Err(ResumeError::StepIncompatible)
            }
        }
    }
}

/// Takes a place in the log; in one that was just opened in the store, before it is fed, so that its source is held
/// back from the start. `None` where the log was given up meanwhile.
fn seat(
    node: &Arc<Node>,
    log: &Arc<LiveLog>,
    opened: Option<Box<Opened>>,
    cursor: u64,
) -> Result<Option<Place>, ResumeError> {
    let max = node.settings.max_stream_readers;
    if opened.is_some() && node.is_full() {
        return Err(ResumeError::TooManyReaders);
    }
    let place = log.attach(cursor, false, max).ok_or(ResumeError::TooManyReaders)?;
    let Some(opened) = opened else {
        return Ok(Some(place).filter(|_| !log.is_abandoned()));
    };
    match node.followed(log) {
        Ok(()) => {
            follow::feed(node, log, *opened);
            Ok(Some(place))
        }
        // Another request has begun to follow the stream meanwhile.
        Err(there) => {
            let place = there.attach(cursor, false, max).ok_or(ResumeError::TooManyReaders)?;
            Ok(Some(place).filter(|_| !there.is_abandoned()))
        }
    }
}

/// A log in which nothing is left but its end, for a stream of which only the snapshot is.
fn remains(node: &Arc<Node>, claims: &Cursor, snapshot: Snapshot) -> LiveLog {
    let now = node.now();
    let comments = node.settings.control_events == ControlEvents::Comments;
    let head = StreamHead { node: claims.node, started_at: 0, correlation_id: None, comments };
    let totals = Totals { trimmed: snapshot.seq, ..Totals::default() };
    let (last, end) = (snapshot.seq, snapshot.status);
    let tail = Tail { last, writer: claims.node, totals, step: snapshot.step.clone(), at: now, end };
    let limits = node.settings.limits();
    let begin = Stretch { first: last + 1, step_before: snapshot.step.clone(), bytes_before: 0, events: Vec::new() };
    let log = LiveLog::follow(claims.request_id, head, begin, &tail, limits, Arc::clone(&node.usage));
    log.set_snapshot(Arc::new(snapshot));
    if let Some(status) = end {
        log.finish(status, now);
    }
    log
}
