//! The heads of responses: which ones are recorded, and what the layer's own say.

use crate::{
    RequestId,
    header::{X_RESUME_DEGRADED, X_RESUME_STREAM, X_RESUME_TOKEN},
    token::Token,
};
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{
        ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH,
        CONTENT_LOCATION, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED, TRAILER, TRANSFER_ENCODING,
    },
    response::Parts,
};

const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// What no longer holds of a body that has grown ids and control events.
const UNTRUE: [HeaderName; 8] = [
    CONTENT_LENGTH,
    ETAG,
    ACCEPT_RANGES,
    TRAILER,
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
];

/// What says nothing of a body that stands in another one's place, beside [`UNTRUE`].
const OF_A_BODY: [HeaderName; 8] = [
    CONTENT_TYPE,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_LOCATION,
    CONTENT_RANGE,
    CONTENT_DISPOSITION,
    LAST_MODIFIED,
    TRANSFER_ENCODING,
];

/// Whether a header is about the body that it came with.
pub(crate) fn describes_a_body(name: &HeaderName) -> bool {
    UNTRUE.contains(name) || OF_A_BODY.contains(name)
}

/// In the extensions of a response that a `ResumeLayer` has made: another one around it leaves it alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recorded;

/// What is to be done with a handler's response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It passes untouched.
    Pass,
    /// An event stream that somebody has encoded: it passes, too, but somebody should know.
    PassEncoded,
    /// An event stream.
    Record,
}

/// Tells what is to be done with a handler's response.
pub(crate) fn verdict(head: &Parts) -> Verdict {
    if head.status != StatusCode::OK || !is_event_stream(&head.headers) || head.extensions.get::<Recorded>().is_some() {
        return Verdict::Pass;
    }
    let encodings = head.headers.get_all(CONTENT_ENCODING).iter();
    if encodings.into_iter().all(|encoding| encoding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity")) {
        Verdict::Record
    } else {
        Verdict::PassEncoded
    }
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else { return false };
    let essence = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"text/event-stream")
}

/// Makes a recorded response's headers true, and adds the layer's own.
pub(crate) fn first_head(headers: &mut HeaderMap, id: RequestId, token: &Token, degraded: Option<&'static str>) {
    for name in UNTRUE {
        headers.remove(name);
    }
    no_transform(headers);
    stream_headers(headers, id, token);
    if let Some(reason) = degraded {
        headers.insert(X_RESUME_DEGRADED, HeaderValue::from_static(reason));
    }
}

/// Says that a stream goes on without the layer's help, and why.
pub(crate) fn degraded_head(headers: &mut HeaderMap, reason: &'static str) {
    headers.insert(X_RESUME_DEGRADED, HeaderValue::from_static(reason));
}

/// The head of a stream that the layer itself answers with.
pub(crate) fn resumed_head(headers: &mut HeaderMap, id: RequestId, token: &Token) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(NO_STORE));
    stream_headers(headers, id, token);
}

/// What a cache is told of everything that the layer answers itself.
pub(crate) const NO_STORE: &str = "no-store, no-transform";

/// The stream's id, the token at the client's cursor, and a word to buffering proxies.
pub(crate) fn stream_headers(headers: &mut HeaderMap, id: RequestId, token: &Token) {
    if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
        headers.insert(X_RESUME_STREAM, id);
    }
    if let Ok(token) = HeaderValue::from_bytes(token.as_bytes()) {
        headers.insert(X_RESUME_TOKEN, token);
    }
    headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
}

/// `no-transform` joins what the handler says to caches; where it says nothing, `no-cache` does too.
fn no_transform(headers: &mut HeaderMap) {
    let mut all = Vec::new();
    for value in headers.get_all(CACHE_CONTROL) {
        if !all.is_empty() {
            all.extend_from_slice(b", ");
        }
        all.extend_from_slice(value.as_bytes());
    }
    if all.trim_ascii().is_empty() {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
        return;
    }
    let has = all.split(|byte| *byte == b',').any(|one| one.trim_ascii().eq_ignore_ascii_case(b"no-transform"));
    if !has {
        all.extend_from_slice(b", no-transform");
        if let Ok(value) = HeaderValue::from_bytes(&all) {
            headers.insert(CACHE_CONTROL, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Response;

    fn head(status: u16, headers: &[(&'static str, &'static str)]) -> Parts {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        response.body(()).unwrap().into_parts().0
    }

    #[test]
    fn only_a_plain_event_stream_of_status_200_is_recorded() {
        let sse = ("content-type", "text/event-stream");
        let cases: [(u16, &[_], Verdict); 9] = [
            (200, &[sse], Verdict::Record),
            (200, &[("content-type", "Text/Event-Stream; charset=utf-8")], Verdict::Record),
            (200, &[sse, ("content-encoding", "identity")], Verdict::Record),
            (200, &[sse, ("content-encoding", "gzip")], Verdict::PassEncoded),
            (201, &[sse], Verdict::Pass),
            (206, &[sse], Verdict::Pass),
            (200, &[("content-type", "text/event-streams")], Verdict::Pass),
            (200, &[("content-type", "application/json")], Verdict::Pass),
            (200, &[], Verdict::Pass),
        ];
        for (status, headers, expected) in cases {
            assert_eq!(verdict(&head(status, headers)), expected, "{status} {headers:?}");
        }
        let mut recorded = head(200, &[sse]);
        recorded.extensions.insert(Recorded);
        assert_eq!(verdict(&recorded), Verdict::Pass);
    }

    #[test]
    fn no_transform_joins_what_the_handler_said() {
        let cases = [
            (&[][..], "no-cache, no-transform"),
            (&[("cache-control", "")][..], "no-cache, no-transform"),
            (&[("cache-control", "no-store")], "no-store, no-transform"),
            (&[("cache-control", "private"), ("cache-control", "max-age=1")], "private, max-age=1, no-transform"),
            (&[("cache-control", "No-Transform, private")], "No-Transform, private"),
        ];
        for (before, after) in cases {
            let mut headers = head(200, before).headers;
            no_transform(&mut headers);
            let value: Vec<_> = headers.get_all(CACHE_CONTROL).iter().map(|value| value.to_str().unwrap()).collect();
            assert_eq!(value.join(", "), after, "{before:?}");
        }
    }
}
