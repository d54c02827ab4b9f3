//! Why a resume is refused, and how that is told.

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode, Version,
    header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, UPGRADE, WWW_AUTHENTICATE},
};
use serde::Serialize;
use std::fmt;

/// Why a resume is refused.
///
/// It never says why a signature failed, and names no stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResumeError {
    /// The resume endpoint was asked without a token.
    MissingToken,
    /// The token is not of the form that the layer gives out, or was sent twice.
    MalformedToken,
    /// `X-Resume-From` (or `from`) is not a seq that this stream can be resumed at.
    BadCursor,
    /// `X-Resume-Mode` (or `mode`) is none of `live`, `replay`, `status`.
    BadMode,
    /// The signature is not good: a changed token, another secret, scope or principal.
    InvalidSignature,
    /// The token is past its time.
    TokenExpired,
    /// The token allows to read the stream, but not to cancel it.
    NotAllowed,
    /// No secret is configured, so nothing can be resumed.
    ResumeDisabled,
    /// The stream is gone, and there is no snapshot of it.
    StreamExpired,
    /// The application's rule says that the token's step does not fit the stream's.
    StepIncompatible,
    /// The stream, or the node, has as many readers as it may.
    TooManyReaders,
    /// The store cannot be reached just now, or does not have the stream yet, and the stream is not on this node.
    StoreUnavailable,
    /// The `Idempotency-Key` is empty, too long, sent twice, or holds what a key cannot.
    BadIdempotencyKey,
    /// The first request with this `Idempotency-Key` has not been answered yet.
    InProgress,
    /// The `Idempotency-Key` was used before, for another request.
    KeyReused,
    /// The layer was called outside of a tokio runtime.
    NoRuntime,
}

impl ResumeError {
    /// The member `code` of the error's body.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::MissingToken => "missing_token",
            Self::MalformedToken => "malformed_token",
            Self::BadCursor => "bad_cursor",
            Self::BadMode => "bad_mode",
            Self::InvalidSignature => "invalid_signature",
            Self::TokenExpired => "token_expired",
            Self::NotAllowed => "not_allowed",
            Self::ResumeDisabled => "resume_disabled",
            Self::StreamExpired => "stream_expired",
            Self::StepIncompatible => "step_incompatible",
            Self::TooManyReaders => "too_many_readers",
            Self::StoreUnavailable => "store_unavailable",
            Self::BadIdempotencyKey => "bad_idempotency_key",
            Self::InProgress => "in_progress",
            Self::KeyReused => "key_reused",
            Self::NoRuntime => "no_runtime",
        }
    }

    /// The response's status; where [`ResumeError::is_gone`], the layer can be told to use another one.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::MissingToken | Self::MalformedToken | Self::BadCursor | Self::BadMode | Self::BadIdempotencyKey => {
                StatusCode::BAD_REQUEST
            }
            Self::InvalidSignature | Self::TokenExpired => StatusCode::UNAUTHORIZED,
            Self::NotAllowed => StatusCode::FORBIDDEN,
            Self::ResumeDisabled | Self::StreamExpired | Self::StepIncompatible => StatusCode::UPGRADE_REQUIRED,
            Self::TooManyReaders => StatusCode::TOO_MANY_REQUESTS,
            Self::StoreUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::InProgress => StatusCode::CONFLICT,
            Self::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::NoRuntime => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Whether this stream can never be resumed with this token: the client has to start anew.
    #[must_use]
    pub const fn is_gone(self) -> bool {
        matches!(self, Self::ResumeDisabled | Self::StreamExpired | Self::StepIncompatible)
    }

    /// Whether the same request may well succeed a little later.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::TooManyReaders | Self::StoreUnavailable | Self::InProgress)
    }

    /// A short, human-readable summary: the member `title` of RFC 9457.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::MissingToken => "A resume needs a token",
            Self::MalformedToken => "Not a token of this service",
            Self::BadCursor => "The stream cannot be resumed there",
            Self::BadMode => "There is no such mode",
            Self::InvalidSignature => "The token is not valid",
            Self::TokenExpired => "The token has expired",
            Self::NotAllowed => "The token does not allow that",
            Self::ResumeDisabled => "Resuming is not available",
            Self::StreamExpired => "The stream is gone",
            Self::StepIncompatible => "The stream has moved on to a step that does not fit",
            Self::TooManyReaders => "Too many readers",
            Self::StoreUnavailable => "The stream cannot be read just now",
            Self::BadIdempotencyKey => "Not an idempotency key",
            Self::InProgress => "The first request with this key is still being answered",
            Self::KeyReused => "The key was used before, for another request",
            Self::NoRuntime => "The service is not set up",
        }
    }

    /// What the client can do about it: the member `detail` of RFC 9457.
    #[must_use]
    pub const fn detail(self) -> &'static str {
        match self {
            Self::MissingToken => "send the newest token in X-Resume-Token, or as Last-Event-ID",
            Self::MalformedToken => "send the newest token once, exactly as it came",
            Self::BadCursor => "X-Resume-From is a decimal seq, at most the last event's; 0 is everything again",
            Self::BadMode => "the modes are live, replay and status",
            Self::InvalidSignature | Self::TokenExpired => "start a new stream",
            Self::NotAllowed => "this token is for reading; a stream is cancelled with a token of its first response",
            Self::ResumeDisabled => "no secret is configured, so streams of this service cannot be resumed",
            Self::StreamExpired | Self::StepIncompatible => "it cannot be resumed; start a new stream",
            Self::TooManyReaders | Self::StoreUnavailable => "come back a little later",
            Self::BadIdempotencyKey => "send Idempotency-Key once: 1 to 255 visible ASCII characters, such as a UUID",
            Self::InProgress => "come back a little later, with the same key",
            Self::KeyReused => "send another request with another key",
            Self::NoRuntime => "tower-resume was called outside of a tokio runtime",
        }
    }

    /// The error as a response: RFC 9457 by default, or as the application's hook renders it.
    pub(crate) fn respond(
        self,
        status: StatusCode,
        version: Version,
        render: Option<&(dyn Fn(Self, StatusCode) -> Response<Bytes> + Send + Sync)>,
    ) -> Response<Bytes> {
        let mut response = render.map_or_else(|| self.problem(status), |render| render(self, status));
        let headers = response.headers_mut();
        headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store, no-transform"));
        match status {
            StatusCode::UNAUTHORIZED => {
                headers.entry(WWW_AUTHENTICATE).or_insert(HeaderValue::from_static("Resume-Token"));
            }
            StatusCode::UPGRADE_REQUIRED if version == Version::HTTP_11 => {
                headers.insert(UPGRADE, HeaderValue::from_static("resume"));
                headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            }
            _ if self.is_transient() => {
                headers.entry(RETRY_AFTER).or_insert(HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }

    fn problem(self, status: StatusCode) -> Response<Bytes> {
        let problem = Problem {
            kind: "about:blank",
            title: self.title(),
            status: status.as_u16(),
            detail: self.detail(),
            code: self.code(),
            upgrade: self.is_gone().then_some("resume=unsupported"),
        };
        let mut response = Response::new(serde_json::to_vec(&problem).unwrap_or_default().into());
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}

impl fmt::Display for ResumeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title())
    }
}

impl std::error::Error for ResumeError {}

/// RFC 9457.
#[derive(Serialize)]
struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    detail: &'static str,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    upgrade: Option<&'static str>,
}
