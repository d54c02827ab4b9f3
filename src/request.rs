//! Is a request a resume, and of what? Pure: a request's head in, an intent out.

use crate::{
    ResumeError,
    header::{LAST_EVENT_ID, X_RESUME_FROM, X_RESUME_MODE, X_RESUME_TOKEN},
    token::looks_like_token,
};
use http::{HeaderName, Method, header::HeaderMap, request::Parts};
use std::borrow::Cow;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Where a resume brings its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// `X-Resume-Token`.
    Token,
    /// `Last-Event-ID`, as a browser sends it by itself.
    LastEventId,
    /// The query parameter.
    Query,
}

impl Carrier {
    /// Whether the client may well be a browser's `EventSource`, which gives up for good on most statuses.
    pub(crate) const fn is_event_source(self) -> bool {
        matches!(self, Self::LastEventId | Self::Query)
    }
}

/// What a resume asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Live,
    Replay,
    Status,
}

impl Mode {
    fn parse(text: &[u8]) -> Result<Self, ResumeError> {
        match text {
            b"live" => Ok(Self::Live),
            b"replay" => Ok(Self::Replay),
            b"status" => Ok(Self::Status),
            _ => Err(ResumeError::BadMode),
        }
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Replay => "replay",
            Self::Status => "status",
        }
    }
}

/// A resume, as far as its head tells.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) carrier: Carrier,
    pub(crate) token: Vec<u8>,
    /// A `Last-Event-ID` of the layer's form beside a token from elsewhere: where it is valid and of the
    /// same stream, it gives the cursor.
    pub(crate) last_event_id: Option<Vec<u8>>,
    /// A token in the query beside a `Last-Event-ID`: a second hold on the same stream.
    pub(crate) query: Option<Vec<u8>>,
    /// What replaces the token's cursor. Not judged until it is known whether it counts.
    pub(crate) from: Option<Result<u64, ResumeError>>,
    pub(crate) mode: Result<Mode, ResumeError>,
}

/// What a request is for.
#[derive(Debug)]
pub(crate) enum Intent {
    /// Nothing of the layer's: it and its response pass untouched.
    Pass,
    /// A request like any other; its response may be a stream to record.
    Fresh,
    /// A resume.
    Resume(Ask),
    /// A resume that cannot be one.
    Refuse(ResumeError),
    /// A request to cancel the stream of this token.
    Cancel(Vec<u8>),
}

/// Where a request came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entrance {
    /// Around the application's own handlers.
    Layer,
    /// At the endpoint that is there for resuming only.
    Endpoint,
}

/// Tells what a request is for.
pub(crate) fn intent(head: &Parts, query_param: Option<&str>, entrance: Entrance, enabled: bool) -> Intent {
    if matches!(head.method, Method::HEAD | Method::OPTIONS | Method::CONNECT) {
        return Intent::Pass;
    }
    let mut tokens = head.headers.get_all(X_RESUME_TOKEN).iter();
    let token = tokens.next();
    if token.is_some() && !enabled {
        return Intent::Refuse(ResumeError::ResumeDisabled);
    }
    if tokens.next().is_some() {
        return Intent::Refuse(ResumeError::MalformedToken);
    }
    if let Some(token) = token.filter(|_| head.method == Method::DELETE) {
        return Intent::Cancel(token.as_bytes().to_vec());
    }
    let last_event_id = last_event_id(&head.headers);
    let pairs = Pairs(head.uri.query().unwrap_or_default());
    let query = query_param.and_then(|name| pairs.get(name)).filter(|token| !token.is_empty());
    if !enabled {
        let known = last_event_id.is_some() || query.is_some();
        return match entrance {
            Entrance::Layer => Intent::Fresh,
            Entrance::Endpoint if known => Intent::Refuse(ResumeError::ResumeDisabled),
            Entrance::Endpoint => Intent::Refuse(ResumeError::MissingToken),
        };
    }
    let query = query.map(|token| token.into_owned().into_bytes());
    let (carrier, token, last_event_id, query) = match (token, last_event_id, query) {
        (Some(token), beside, _) => (Carrier::Token, token.as_bytes().to_vec(), beside, None),
        (None, Some(token), query) => (Carrier::LastEventId, token, None, query),
        (None, None, Some(token)) => (Carrier::Query, token, None, None),
        (None, None, None) if entrance == Entrance::Layer => return Intent::Fresh,
        (None, None, None) => return Intent::Refuse(ResumeError::MissingToken),
    };
    // Query parameters of such common names are the application's, save where the cursor came by the query.
    let by_query = carrier == Carrier::Query;
    let from = match pairs.get("from").filter(|_| by_query) {
        Some(from) => Some(seq(from.as_bytes())),
        None => single(&head.headers, &X_RESUME_FROM).map(|from| from.ok_or(ResumeError::BadCursor).and_then(seq)),
    };
    let mode = match pairs.get("mode").filter(|_| by_query || entrance == Entrance::Endpoint) {
        Some(mode) => Mode::parse(mode.as_bytes()),
        None => match single(&head.headers, &X_RESUME_MODE) {
            None => Ok(Mode::Live),
            Some(mode) => mode.ok_or(ResumeError::BadMode).and_then(Mode::parse),
        },
    };
    Intent::Resume(Ask { carrier, token, last_event_id, query, from, mode })
}

/// The last `Last-Event-ID`, also within one comma list, where it is of the layer's form. Some clients send two: the one
/// that they were given at their start, and the newest. Some send an empty one: it counts as absent.
fn last_event_id(headers: &HeaderMap) -> Option<Vec<u8>> {
    let values = headers.get_all(LAST_EVENT_ID).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let last = values.map(<[u8]>::trim_ascii).rfind(|value| !value.is_empty())?;
    looks_like_token(last).then(|| last.to_vec())
}

/// A header that may come once: absent, or its value, or (`Some(None)`) there twice.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Option<&'a [u8]>> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    Some(values.next().is_none().then(|| first.as_bytes()))
}

/// A seq in decimal digits and nothing else.
fn seq(text: &[u8]) -> Result<u64, ResumeError> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(text).ok().filter(|_| digits);
    text.and_then(|text| text.parse().ok()).ok_or(ResumeError::BadCursor)
}

/// The pairs of a query.
struct Pairs<'a>(&'a str);

impl<'a> Pairs<'a> {
    /// The last value of this name, as the last `Last-Event-ID` counts.
    fn get(&self, name: &str) -> Option<Cow<'a, str>> {
        if self.0.is_empty() {
            return None;
        }
        form_urlencoded::parse(self.0.as_bytes()).filter(|(key, _)| key == name).last().map(|(_, value)| value)
    }
}

/// The client's own name for its request, where it has a sane one: short, and of characters that need no escape anywhere.
pub(crate) fn correlation_id(headers: &HeaderMap) -> Option<&str> {
    let id = headers.get(X_REQUEST_ID)?.to_str().ok()?;
    let sane =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'/' | b'+' | b'=');
    (!id.is_empty() && id.len() <= crate::settings::MAX_CORRELATION_ID && id.bytes().all(sane)).then_some(id)
}

#[cfg(test)]
mod tests;
