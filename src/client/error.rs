//! Why a stream of events fails.

use http::StatusCode;
use std::{borrow::Cow, error::Error as StdError, fmt};

/// What caused an error.
pub(super) type BoxError = Box<dyn StdError + Send + Sync>;

/// The kinds of [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The URL is none, or not one of `http` or `https`.
    BadUrl,
    /// A header or a body given to the request cannot be sent.
    BadRequest,
    /// The answer is no `text/event-stream`: a login page, say.
    NotEventStream,
    /// The request was lost on its way, and is not sent again, since nobody knows whether it has had its effect.
    StartFailed,
    /// The connection was lost, and the server does not resume.
    NotResumable,
    /// The token is past its time, or is not good for this caller.
    Unauthorized,
    /// The stream is not there any more.
    Gone,
    /// The server says no.
    Refused,
    /// As many attempts as allowed have failed.
    GaveUp,
    /// An event is larger than allowed.
    TooLarge,
}

impl ErrorKind {
    /// The word for it, the same in all clients.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::BadUrl => "bad_url",
            Self::BadRequest => "bad_request",
            Self::NotEventStream => "not_event_stream",
            Self::StartFailed => "start_failed",
            Self::NotResumable => "not_resumable",
            Self::Unauthorized => "unauthorized",
            Self::Gone => "gone",
            Self::Refused => "refused",
            Self::GaveUp => "gave_up",
            Self::TooLarge => "too_large",
        }
    }
}

/// Why a stream of events failed. Its text says what to look at, and never holds a token.
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    what: Cow<'static, str>,
    status: Option<StatusCode>,
    problem: Option<String>,
    source: Option<BoxError>,
}

impl Error {
    pub(super) fn new(kind: ErrorKind, what: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner { kind, what: what.into(), status: None, problem: None, source: None }))
    }

    pub(super) fn with_status(mut self, status: StatusCode, problem: Option<String>) -> Self {
        self.0.status = Some(status);
        self.0.problem = problem;
        self
    }

    pub(super) fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The kind, to act upon.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The kind as a word, the same in all clients.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.0.kind.code()
    }

    /// The status that the server answered with, where that is what the error is about.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.0.status
    }

    /// The member `code` of the server's problem document (RFC 9457), where it had one.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        self.0.problem.as_deref()
    }

    /// Whether this stream is out of reach for good, and only a new one helps: send the first request again.
    /// [`Request::restart`](super::Request::restart) does so by itself.
    #[must_use]
    pub fn needs_new_start(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Unauthorized | ErrorKind::Gone)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.what)?;
        match (self.0.status, &self.0.problem) {
            (Some(status), Some(problem)) => write!(f, " (status {}, {problem})", status.as_u16()),
            (Some(status), None) => write!(f, " (status {})", status.as_u16()),
            (None, _) => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, what, status, problem, source } = &*self.0;
        f.debug_struct("Error")
            .field("kind", kind)
            .field("what", what)
            .field("status", status)
            .field("problem", problem)
            .field("source", source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
