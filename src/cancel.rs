//! A cancel: the handler of a stream is stopped, on whichever node runs it.
//!
//! Its client is told what is true: 204 where the stream is over, by this node's own log or by the store's; 202 where its
//! node was asked and the end has not come yet. Who does not hear now finds the word that is left in the store.

mod named;

pub use named::CancelStream;
pub(crate) use named::by_name;

use crate::{
    EndStatus, NodeId, RequestId, ResumeError,
    answers::{accepted, no_content, refuse},
    body::ResumeBody,
    live::Orders,
    node::Node,
    resume::{authorize, is_young, refusal},
    store::{Ask, StoreError, Tail},
    token::Cursor,
};
use http::{Response, request::Parts};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep, timeout_at};

/// How long a stream may take to end before its client is told that it was asked to.
const WITHIN: Duration = Duration::from_secs(2);
/// The first pause before the log is looked at again, and the longest.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
const LOOK_AGAIN_MAX: Duration = Duration::from_millis(200);

/// Answers a request to cancel, by the token that came with it.
pub(crate) async fn respond<B>(node: Arc<Node>, head: Parts, token: Vec<u8>) -> Response<ResumeBody<B>> {
    let version = head.version;
    let principal = match authorize(&node, &head) {
        Ok(principal) => principal,
        Err(refusal) => return (*refusal).map(ResumeBody::whole),
    };
    drop(head);
    let Some(keys) = &node.keys else { return refuse(&node, ResumeError::ResumeDisabled, version) };
    let verifier = keys.verifier(principal.as_ref().map(|principal| &*principal.0));
    let claims = match verifier.open(&token, node.now()) {
        Ok(verified) => verified.into_cursor(),
        Err(error) => return refuse(&node, refusal(&node, error), version),
    };
    if !claims.may_cancel {
        return refuse(&node, ResumeError::NotAllowed, version);
    }
    Cancel::by_token(&node, claims).answer().await.unwrap_or_else(|error| refuse(&node, error, version))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The stream is over, or gone.
    Ended,
    /// Its node was asked, and the end has not been seen yet.
    Asked,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Asked => "asked",
        }
    }
}

/// One attempt to stop a stream.
struct Cancel<'n> {
    node: &'n Arc<Node>,
    id: RequestId,
    writer: NodeId,
    is_young: bool,
    /// Whether the stream is known to be over.
    is_over: bool,
    deadline: Instant,
}

impl<'n> Cancel<'n> {
    fn by_token(node: &'n Arc<Node>, claims: Cursor) -> Self {
        let (is_young, is_over) = (is_young(node, &claims), claims.ended);
        Self { node, id: claims.request_id, writer: claims.node, is_young, is_over, deadline: Instant::now() + WITHIN }
    }

    /// What the client is told.
    async fn answer<B>(&self) -> Result<Response<ResumeBody<B>>, ResumeError> {
        self.node.telemetry.cancel_attempt(self.id);
        let outcome =
            if self.is_over { Outcome::Ended } else { self.run().await.map_err(|_| ResumeError::StoreUnavailable)? };
        self.node.telemetry.cancel_result(self.id, outcome.as_str());
        Ok(match outcome {
            Outcome::Ended => no_content(),
            Outcome::Asked => accepted(),
        })
    }

    /// An error says that nobody could be asked.
    async fn run(&self) -> Result<Outcome, StoreError> {
        let log = self.node.find(self.id);
        if let Some(log) = log.as_ref().filter(|log| log.recorded) {
            log.order(Orders { cancel: true, ..Orders::default() });
            let ended = timeout_at(self.deadline, log.ended()).await;
            return Ok(if ended.is_ok() { Outcome::Ended } else { Outcome::Asked });
        }
        match self.elsewhere().await {
            Err(_) if log.is_some_and(|log| log.is_over()) => Ok(Outcome::Ended),
            outcome => outcome,
        }
    }

    async fn elsewhere(&self) -> Result<Outcome, StoreError> {
        let tail = self.tail().await?;
        match &tail {
            Some(tail) if tail.end.is_some() => {
                // Where it was taken for dead, the node may still run the handler, for its own clients.
                if tail.writer != self.writer && self.lives().await.unwrap_or(false) {
                    let _ = self.ask().await;
                }
                return Ok(Outcome::Ended);
            }
            // The word first: it holds whatever becomes of the question.
            Some(_) => drop(Arc::clone(&self.node.store).cancel(self.id).await?),
            None => {}
        }
        loop {
            match self.ask().await {
                Ok(true) => return Ok(self.wait().await),
                // Nobody else will ever end it.
                Ok(false) => return self.fence().await,
                Err(_) if self.has_ended().await? => return Ok(Outcome::Ended),
                Err(_) if Instant::now() < self.deadline => sleep(LOOK_AGAIN).await,
                Err(_) if self.lives().await? => return Ok(Outcome::Asked),
                // The store may have lost both the log and the lease a moment ago, and get them back.
                Err(error) if tail.is_none() && self.is_young => return Err(error),
                Err(_) => return self.fence().await,
            }
        }
    }

    /// Waits for the end, which the node that was asked writes.
    async fn wait(&self) -> Outcome {
        let mut pause = LOOK_AGAIN;
        loop {
            if self.has_ended().await.unwrap_or(false) {
                return Outcome::Ended;
            }
            if Instant::now() + pause > self.deadline {
                return Outcome::Asked;
            }
            sleep(pause).await;
            pause = (pause * 2).min(LOOK_AGAIN_MAX);
        }
    }

    /// Ends the stream of a node that is dead, or knows nothing of it; one whose log is gone is over as it is.
    async fn fence(&self) -> Result<Outcome, StoreError> {
        let (now, ttl) = (self.node.now(), self.node.settings.ttl());
        Arc::clone(&self.node.store).fence(self.id, EndStatus::Cancelled, now, ttl).await?;
        Ok(Outcome::Ended)
    }

    async fn tail(&self) -> Result<Option<Tail>, StoreError> {
        Arc::clone(&self.node.store).tail(self.id).await
    }

    async fn has_ended(&self) -> Result<bool, StoreError> {
        Ok(self.tail().await?.is_some_and(|tail| tail.end.is_some()))
    }

    async fn ask(&self) -> Result<bool, StoreError> {
        Arc::clone(&self.node.store).ask(self.writer, self.id, Ask::Cancel).await
    }

    async fn lives(&self) -> Result<bool, StoreError> {
        Arc::clone(&self.node.store).lives(self.writer).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Keys, Step, endpoint::NoBody, settings::Settings, store::MemoryStore};
    use http::{Request, StatusCode};

    #[tokio::test]
    async fn a_token_that_only_reads_cancels_nothing() {
        let keys = Keys::new([7; 32]).unwrap();
        let settings = Settings { tokens_are_enough: true, ..Settings::default() };
        let node = Node::new(settings, Arc::new(MemoryStore::new()), Some(keys));
        for (may_cancel, ended) in [(false, false), (false, true), (true, false), (true, true)] {
            let claims = Cursor {
                request_id: RequestId::random(),
                node: node.store.node(),
                seq: 1,
                expires_at: node.now() + 1_000,
                step: Step::NONE,
                ended,
                may_cancel,
            };
            let token = node.keys.as_ref().unwrap().signer(None).sign(&claims).as_bytes().to_vec();
            let (head, ()) = Request::delete("/").body(()).unwrap().into_parts();
            let response: Response<ResumeBody<NoBody>> = respond(Arc::clone(&node), head, token).await;
            let expected = if may_cancel { StatusCode::NO_CONTENT } else { StatusCode::FORBIDDEN };
            assert_eq!(response.status(), expected, "ended: {ended}");
        }
    }
}
