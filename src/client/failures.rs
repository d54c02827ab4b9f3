//! What went wrong, in words that say what to look at.

use super::{
    answer::Kind,
    error::{BoxError, Error, ErrorKind},
    options::{Options, shown},
};
use http::StatusCode;

pub(super) fn start_lost() -> Error {
    Error::new(
        ErrorKind::StartFailed,
        "the request was lost on its way and is not sent again, since nobody knows whether it has run: with an \
         idempotency key it would be, if the server takes one",
    )
}

pub(super) fn no_tls() -> Error {
    Error::new(
        ErrorKind::BadUrl,
        "https needs TLS: name `reqwest` among your dependencies with one of its features `rustls` and `native-tls`",
    )
}

pub(super) fn not_resumable() -> Error {
    Error::new(
        ErrorKind::NotResumable,
        "the connection was lost before the stream said its end, and the server has given nothing to resume by: is it \
         behind a `ResumeLayer` with a secret?",
    )
}

pub(super) fn another_stream(options: &Options) -> Error {
    let at = shown(options.resume_url());
    Error::new(
        ErrorKind::NotResumable,
        format!(
            "{at} did not go on with the stream, but answered with another one: is it behind the same `ResumeLayer`?"
        ),
    )
}

pub(super) fn expired() -> Error {
    Error::new(
        ErrorKind::Unauthorized,
        "the server was out of reach until the token was past its time: start a new stream",
    )
}

pub(super) fn unauthorized(status: StatusCode, code: Option<String>) -> Error {
    Error::new(ErrorKind::Unauthorized, "the token is past its time, or not good for this caller: start a new stream")
        .with_status(status, code)
}

pub(super) fn gone(status: StatusCode, code: Option<String>) -> Error {
    Error::new(ErrorKind::Gone, "the stream cannot be resumed any more: start a new one").with_status(status, code)
}

pub(super) fn too_large(max: usize) -> Error {
    Error::new(ErrorKind::TooLarge, format!("an event of more than {max} bytes came: see `max_event_bytes`"))
}

pub(super) fn gave_up(attempts: u32, why: BoxError) -> Error {
    Error::new(
        ErrorKind::GaveUp,
        format!("{attempts} attempts in a row have brought nothing; the last one's error: {why}"),
    )
    .with_source(why)
}

/// What the last attempt's error is, where the server is busy.
pub(super) fn busy(status: StatusCode, code: Option<String>) -> Error {
    Error::new(ErrorKind::Refused, "the server cannot answer just now").with_status(status, code)
}

pub(super) fn not_events(options: &Options, kind: Kind, content_type: &str) -> Error {
    let given = if content_type.is_empty() { "no content type" } else { content_type };
    let at = shown(url(options, kind));
    Error::new(ErrorKind::NotEventStream, format!("text/event-stream expected of {at}, {given} given"))
        .with_status(StatusCode::OK, None)
}

pub(super) fn refused(options: &Options, kind: Kind, status: StatusCode, code: Option<String>) -> Error {
    let at = shown(url(options, kind));
    let hint = match (kind, status.as_u16()) {
        (Kind::Resume, 404 | 405) => ": is `resume_url` the path that resumes streams?",
        (_, 404) => ": is the path right?",
        (_, 405) => ": is the method right?",
        (_, 401 | 403) => ": does the caller have the right to?",
        (_, 300..=399) => ": it sends elsewhere, to where a token is not sent along; use that URL",
        _ => "",
    };
    Error::new(ErrorKind::Refused, format!("{at} refused{hint}")).with_status(status, code)
}

/// Why cancelling was refused.
pub(super) fn not_cancelled(options: &Options, status: StatusCode, code: Option<String>) -> Error {
    let at = shown(options.resume_url());
    let hint = match status.as_u16() {
        401 => ": the token is past its time, or not good for this caller",
        403 => ": a stream is cancelled by whoever has started it",
        404 | 405 => ": is `resume_url` the path that resumes streams?",
        _ => "",
    };
    Error::new(ErrorKind::Refused, format!("{at} did not cancel the stream{hint}")).with_status(status, code)
}

const fn url(options: &Options, kind: Kind) -> &reqwest::Url {
    match (kind, &options.resume_url) {
        (Kind::Resume, Some(url)) => url,
        _ => &options.url,
    }
}
