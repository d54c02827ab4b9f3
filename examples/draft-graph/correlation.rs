//! The id by which one request is known in logs, headers and diagnostics.

use axum::http::HeaderName;
use axum::http::request::Parts;
use tower_resume::ResumeStream;

/// The response header that tells a client its request's id.
pub(crate) const X_CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
/// The request header by which a client may bring an id of its own.
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id taken from a client: it is repeated in every answer and log line.
const MAX_CHARS: usize = 128;

/// The id of a request: the layer's where there is one, else the client's where it is sane, else a new random one.
pub(crate) fn correlation_id(parts: &Parts) -> String {
    if let Some(stream) = parts.extensions.get::<ResumeStream>() {
        return stream.request_id.to_string();
    }
    parts
        .headers
        .get(X_REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(|id| is_sane(id))
        .map_or_else(random, str::to_owned)
}

fn is_sane(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= MAX_CHARS
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'))
}

/// A version 4 UUID. It names, it grants nothing, so a fast generator will do.
fn random() -> String {
    let x = fastrand::u128(..);
    let version = (x & !(0xf << 76)) | (0x4 << 76);
    let x = (version & !(0x3 << 62)) | (0x2 << 62);
    let hex = format!("{x:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn parts(request_id: &str) -> Parts {
        let request = Request::builder().header(X_REQUEST_ID, request_id);
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_clients_id_goes_before_a_random_one() {
        assert_eq!(correlation_id(&parts("abc-1")), "abc-1");
        // The layer's id is for it alone to make: `resuming` tests that it comes through.
    }

    #[test]
    fn an_insane_id_is_replaced_by_a_uuid() {
        for insane in ["", "a b", "a\"b", "<script>", &"x".repeat(129)] {
            let id = correlation_id(&parts(insane));
            let lengths: Vec<usize> = id.split('-').map(str::len).collect();
            assert_eq!(lengths, [8, 4, 4, 4, 12], "{id}");
            assert_eq!(id.as_bytes()[14], b'4', "{id}");
            assert!(b"89ab".contains(&id.as_bytes()[19]), "{id}");
        }
    }
}
