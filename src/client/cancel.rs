//! Stopping the server's side of a stream.

use super::{
    answer::{self, Answer, Kind, Verdict},
    backoff::Backoff,
    error::{BoxError, Error, ErrorKind},
    failures,
    options::{self, Options},
};
use http::StatusCode;
use std::{sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};

/// How often cancelling is tried where nothing else is said: somebody waits for it.
const ATTEMPTS: u32 = 4;
/// How long an answer may take where nothing else is said. The server gives the node that runs the stream 2 s.
const PATIENCE: Duration = Duration::from_secs(30);

/// What became of a cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cancelled {
    /// The stream has ended.
    Ended,
    /// The node that runs it was asked to, and has not answered yet.
    Asked,
}

/// What an attempt comes to.
enum Attempt {
    Done(Result<Cancelled, Error>),
    Again(Option<Duration>, BoxError),
}

pub(super) async fn cancel(options: Option<Arc<Options>>, token: Option<String>) -> Result<Cancelled, Error> {
    let token = token.as_deref().and_then(options::secret);
    let (Some(options), Some(token)) = (options, token) else {
        return Err(Error::new(ErrorKind::NotResumable, "there is no token to cancel the stream with"));
    };
    let most = options.max_attempts.unwrap_or(ATTEMPTS);
    let mut backoff = Backoff::new(options.retry_base, options.retry_max, Some(most));
    loop {
        let (after, why) = match attempt(&options, token.clone()).await {
            Attempt::Done(result) => return result,
            Attempt::Again(after, why) => (after, why),
        };
        if !backoff.fail() {
            return Err(failures::gave_up(backoff.failed(), why));
        }
        sleep(backoff.wait(after)).await;
    }
}

async fn attempt(options: &Options, token: http::HeaderValue) -> Attempt {
    let sent = async {
        let request = options::complete(options.cancel(token), options.more_headers.clone()).await?;
        Ok::<_, BoxError>(answer::read(options.transport.send(request).await?).await)
    };
    let answer = match timeout(options.idle_timeout.unwrap_or(PATIENCE), sent).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(why)) => return Attempt::Again(None, why),
        Err(_) => return Attempt::Again(None, "no answer came in time".into()),
    };
    let refusal = match answer {
        Answer::Status(refusal) => refusal,
        // An answer of 200 is none of the layer's.
        Answer::Stream { .. } | Answer::NotEvents { .. } => {
            return Attempt::Done(Err(failures::not_cancelled(options, StatusCode::OK, None)));
        }
    };
    Attempt::Done(match (refusal.status, refusal.verdict(Kind::Resume, true)) {
        (StatusCode::NO_CONTENT, _) => Ok(Cancelled::Ended),
        (StatusCode::ACCEPTED, _) => Ok(Cancelled::Asked),
        (status, Verdict::Again) => return Attempt::Again(refusal.after, failures::busy(status, refusal.code).into()),
        (status, _) => Err(failures::not_cancelled(options, status, refusal.code)),
    })
}
