//! What a server answers, and what that means for a client that starts or comes back.

use super::{error::BoxError, transport::Body};
use bytes::Bytes;
use http::{
    HeaderMap, Response, StatusCode,
    header::{CONTENT_TYPE, DATE, RETRY_AFTER},
};
use http_body::Body as _;
use serde::Deserialize;
use std::{
    future::poll_fn,
    pin::Pin,
    time::{Duration, SystemTime},
};

/// Most that is read of an answer that is no stream. A problem document is much smaller.
const MAX_PROBLEM_BYTES: usize = 16 * 1024;
/// Longest `code` that is shown.
const MAX_CODE_CHARS: usize = 64;

/// What a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A new stream.
    Start,
    /// The rest of a stream, by its token.
    Resume,
    /// The rest of a plain stream, by the last id, as browsers do it.
    Reconnect,
}

/// An answer, as far as it is read.
pub(super) enum Answer {
    Stream { head: Head, body: Body },
    Status(Refusal),
    NotEvents { content_type: String },
}

/// What the head of a stream says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) token: Option<String>,
    pub(super) stream: Option<String>,
    /// How far the server's clock is ahead, in milliseconds.
    pub(super) skew: i64,
}

/// An answer other than 200.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// `Retry-After`.
    pub(super) after: Option<Duration>,
    /// The problem document's `code`.
    pub(super) code: Option<String>,
}

/// What an answer other than a stream means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There is nothing, or nothing more.
    Over,
    /// The same request may well succeed a little later.
    Again,
    /// Nobody knows whether the request has had its effect, and it must not have it twice.
    Lost,
    Unauthorized,
    Gone,
    Refused,
}

impl Refusal {
    /// What this means for a request of a kind. One that is `repeatable` does no harm when it is sent again.
    pub(super) fn verdict(&self, kind: Kind, repeatable: bool) -> Verdict {
        match (self.status.as_u16(), kind) {
            (204, _) => Verdict::Over,
            (401, Kind::Resume) => Verdict::Unauthorized,
            (410 | 426, Kind::Resume) => Verdict::Gone,
            (429 | 503, _) => Verdict::Again,
            (409, Kind::Start) if self.code.as_deref() == Some("in_progress") => Verdict::Again,
            (500, Kind::Resume | Kind::Reconnect) => Verdict::Again,
            (408 | 425 | 502 | 504, Kind::Start) if !repeatable => Verdict::Lost,
            (408 | 425 | 502 | 504, _) => Verdict::Again,
            _ => Verdict::Refused,
        }
    }
}

/// Reads an answer's head, and its body where it is no stream.
pub(super) async fn read(response: Response<Body>) -> Answer {
    let (parts, body) = response.into_parts();
    let headers = &parts.headers;
    if parts.status != StatusCode::OK {
        let code = if parts.status == StatusCode::NO_CONTENT { None } else { problem(body).await };
        return Answer::Status(Refusal { status: parts.status, after: retry_after(headers, SystemTime::now()), code });
    }
    let content_type = text(headers, CONTENT_TYPE.as_str()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("text/event-stream") {
        return Answer::NotEvents { content_type: essence.chars().take(MAX_CODE_CHARS).collect() };
    }
    let head = Head {
        token: text(headers, "x-resume-token").map(str::to_owned),
        stream: text(headers, "x-resume-stream").map(str::to_owned),
        skew: skew(headers, SystemTime::now()),
    };
    Answer::Stream { head, body }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Seconds, or a date (RFC 9110, section 10.2.3). A date is as the server's clock has it, where it says what that is.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = text(headers, RETRY_AFTER.as_str())?.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let now = date(headers).unwrap_or(now);
    Some(httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default())
}

fn date(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(text(headers, DATE.as_str())?).ok()
}

/// How far the server's clock is ahead, in milliseconds. What is within a second is the header's rounding.
fn skew(headers: &HeaderMap, now: SystemTime) -> i64 {
    let Some(there) = date(headers) else { return 0 };
    let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    let skew = match there.duration_since(now) {
        Ok(ahead) => millis(ahead),
        Err(behind) => -millis(behind.duration()),
    };
    if (-1000..=1000).contains(&skew) { 0 } else { skew }
}

/// The member `code` of a problem document, if it is one that can be shown.
async fn problem(body: Body) -> Option<String> {
    #[derive(Deserialize)]
    struct Problem {
        code: String,
    }
    let bytes = beginning(body).await.ok()?;
    let Problem { code } = serde_json::from_slice(&bytes).ok()?;
    let shown = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    (code.len() <= MAX_CODE_CHARS && code.bytes().all(shown)).then_some(code)
}

async fn beginning(mut body: Body) -> Result<Vec<u8>, BoxError> {
    let mut bytes = Vec::new();
    while let Some(data) = data(&mut body).await? {
        bytes.extend_from_slice(data.get(..MAX_PROBLEM_BYTES - bytes.len()).unwrap_or(&data));
        if bytes.len() >= MAX_PROBLEM_BYTES {
            break;
        }
    }
    Ok(bytes)
}

async fn data(body: &mut Body) -> Result<Option<Bytes>, BoxError> {
    loop {
        let Some(frame) = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await else { return Ok(None) };
        if let Ok(data) = frame?.into_data() {
            return Ok(Some(data));
        }
    }
}

#[cfg(test)]
mod tests;
