//! Starting once for each key: what can be set, and what a key looks like.

use crate::{
    ResumeError,
    header::IDEMPOTENCY_KEY,
    settings::{DEFAULT_KEY_WAIT, FOREVER},
};
use http::{header::HeaderMap, request};
use std::{fmt, sync::Arc, time::Duration};

/// The longest key that is taken. A longer one is refused: it would cost time before anything is known of it.
const MAX_KEY_BYTES: usize = 255;

type FingerprintFn = Arc<dyn Fn(&request::Parts) -> Option<Vec<u8>> + Send + Sync>;

/// Starts a stream once for each `Idempotency-Key`, however often and on however many nodes it is asked for.
///
/// A request whose key was used before, by the same principal for the same method, path and query, joins the stream that
/// runs, or has lately ended: from its start, with `Idempotency-Replayed: true`, and with the right to cancel, as the
/// first client has it. The handler is not called. A handler that answers with anything but a recorded stream, or fails,
/// is called again for the next request. How long a stream counts is [`state_ttl`](crate::ResumeLayer::state_ttl).
///
/// A key counts where the request has a principal, by [`principal_with`](crate::ResumeLayer::principal_with) or
/// [`authorize_with`](crate::ResumeLayer::authorize_with), or where [`shared_keys`](Self::shared_keys) says that none is
/// needed. Else it is not looked at: two strangers with the same key must not meet in one stream. Where nothing names a
/// principal at all, a warning says so at the start. What the authorisation hook refuses never joins, and starts as it
/// would without a key.
///
/// The path is the one that the layer sees. Under a router that is nested in another one, that may be without the
/// outer one's part: put the layer around the whole.
///
/// # What is called twice
///
/// A node that is cut off from the store for longer than its lease (nine seconds) looks dead to the others, and so does a
/// process that is stopped: the next request with the key runs the handler again, elsewhere. A Redis that fails over to a
/// replica may have lost the newest claims; one that comes back empty has lost all of them until they are set
/// again, some two seconds later. While the store is away each node settles for itself
/// (or refuses, with [`refuse_without_store`](Self::refuse_without_store)). Where a second run costs money, keep
/// the key in the database of record, too.
///
/// ```
/// use tower_resume::{Idempotency, Keys, Principal, ResumeLayer, store::MemoryStore};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let layer = ResumeLayer::new(MemoryStore::new(), Keys::new([7; 32])?)
///     .principal_with(|head| head.headers.get("x-user")?.to_str().ok().map(Principal::new))
///     .idempotency(Idempotency::new());
/// # let _ = layer;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct Idempotency {
    pub(crate) shared_keys: bool,
    pub(crate) wait: Duration,
    pub(crate) fingerprint: Option<FingerprintFn>,
    pub(crate) runs_without_store: bool,
}

impl Idempotency {
    /// Keys that each principal has for itself.
    pub const fn new() -> Self {
        Self { shared_keys: false, wait: DEFAULT_KEY_WAIT, fingerprint: None, runs_without_store: true }
    }

    /// Says that whoever brings a key may join the stream that was started with it: for services without users, or whose
    /// keys nobody can guess. Requests with a principal still have their keys for themselves.
    pub const fn shared_keys(mut self) -> Self {
        self.shared_keys = true;
        self
    }

    /// How long a request waits for the first one with its key to be answered, before it is answered 409 `in_progress`.
    /// Defaults to 10 seconds.
    pub const fn wait(mut self, wait: Duration) -> Self {
        self.wait = if wait.as_secs() < FOREVER.as_secs() { wait } else { FOREVER };
        self
    }

    /// Tells requests with the same key apart, by what they ask for: one that differs from the first is answered 422
    /// `key_reused`. The layer does not read bodies, so this sees the head: a digest of the body, say, that a layer
    /// outside of this one has put into its extensions, or the client into `Content-Digest`. `None` fits everything.
    /// Defaults to none.
    ///
    /// ```
    /// use tower_resume::Idempotency;
    ///
    /// let idempotency = Idempotency::new()
    ///     .fingerprint_with(|head| Some(head.headers.get("content-digest")?.as_bytes().to_vec()));
    /// # let _ = idempotency;
    /// ```
    pub fn fingerprint_with(
        mut self,
        fingerprint: impl Fn(&request::Parts) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        self.fingerprint = Some(Arc::new(fingerprint));
        self
    }

    /// Answers 503 to a request with a key while the store is out of reach, unless this node itself runs what it
    /// asks for. By default the handler is called: once on each node, at worst.
    pub const fn refuse_without_store(mut self) -> Self {
        self.runs_without_store = false;
        self
    }
}

impl Default for Idempotency {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Idempotency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idempotency")
            .field("shared_keys", &self.shared_keys)
            .field("wait", &self.wait)
            .field("fingerprint", &self.fingerprint.is_some())
            .field("runs_without_store", &self.runs_without_store)
            .finish()
    }
}

/// The key that a request brings: a string as the header is specified (`"…"`, RFC 9651), or bare, as most clients send it.
pub(crate) fn key(headers: &HeaderMap) -> Option<Result<Vec<u8>, ResumeError>> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let value = values.next()?.as_bytes().trim_ascii();
    let only = values.next().is_none();
    let key = match value {
        [b'"', rest @ ..] => quoted(rest),
        bare => bare.iter().all(|byte| is_bare(*byte)).then(|| bare.to_vec()),
    };
    let key = key.filter(|key| only && (1..=MAX_KEY_BYTES).contains(&key.len()));
    Some(key.ok_or(ResumeError::BadIdempotencyKey))
}

/// Visible, and nothing that would make it a list, a string or a parameter.
const fn is_bare(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\')
}

/// The rest of a string behind its first quote, up to the last one, which has to end it all.
fn quoted(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut key = Vec::new();
    loop {
        rest = match rest {
            [b'"'] => return Some(key),
            [b'\\', byte @ (b'"' | b'\\'), rest @ ..] => {
                key.push(*byte);
                rest
            }
            [byte @ b' '..=b'~', rest @ ..] if !matches!(byte, b'"' | b'\\') => {
                key.push(*byte);
                rest
            }
            _ => return None,
        };
        if key.len() > MAX_KEY_BYTES {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn of(values: &[&[u8]]) -> Option<Result<Vec<u8>, ResumeError>> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IDEMPOTENCY_KEY, HeaderValue::from_bytes(value).unwrap());
        }
        key(&headers)
    }

    #[test]
    fn a_key_is_a_string_or_bare_and_both_are_the_same_key() {
        let uuid = "8e03978e-40d5-43dd-bc93-6894a57f9324";
        let longest = "k".repeat(MAX_KEY_BYTES);
        for (value, key) in [
            (uuid.to_owned(), uuid),
            (format!("\"{uuid}\""), uuid),
            (format!("  \"{uuid}\" "), uuid),
            (longest.clone(), &longest),
            (format!("\"{longest}\""), &longest),
            ("a+b/c==".to_owned(), "a+b/c=="),
            (r#""a, \"b\" \\ c""#.to_owned(), r#"a, "b" \ c"#),
        ] {
            assert_eq!(of(&[value.as_bytes()]), Some(Ok(key.as_bytes().to_vec())), "{value}");
        }
        assert_eq!(of(&[]), None);
    }

    proptest::proptest! {
        #[test]
        fn every_string_of_visible_characters_is_a_key_and_spelled_in_quotes_it_is_the_same(key in "[ -~]{1,255}") {
            let escaped = key.replace('\\', "\\\\").replace('"', "\\\"");
            let quoted = format!("\"{escaped}\"");
            proptest::prop_assert_eq!(of(&[quoted.as_bytes()]), Some(Ok(key.clone().into_bytes())));
            if key.bytes().all(is_bare) {
                proptest::prop_assert_eq!(of(&[key.as_bytes()]), Some(Ok(key.into_bytes())));
            }
        }

        #[test]
        fn whatever_comes_is_a_key_or_refused(value in "[\x20-\x7e\u{80}-\u{ff}]{0,300}") {
            let bytes: Vec<u8> = value.chars().map(|char| u8::try_from(char).unwrap_or(b' ')).collect();
            if let Some(Ok(key)) = of(&[&bytes]) {
                proptest::prop_assert!((1..=MAX_KEY_BYTES).contains(&key.len()) && key.iter().all(|byte| matches!(byte, b' '..=b'~')));
            }
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let long = "k".repeat(MAX_KEY_BYTES + 1);
        let long_quoted = format!("\"{long}\"");
        let bad: [&[&[u8]]; 14] = [
            &[b""],
            &[b"  "],
            &[b"\"\""],
            &[b"\""],
            &[b"\"a"],
            &[b"\"a\"b"],
            &[b"\"a\";p=1"],
            &[b"\"a\\b\""],
            &[b"a,b"],
            &[b"a b"],
            &[b"\xc3\xa4"],
            &[long.as_bytes()],
            &[long_quoted.as_bytes()],
            &[b"a", b"a"],
        ];
        for values in bad {
            assert_eq!(of(values), Some(Err(ResumeError::BadIdempotencyKey)), "{values:?}");
        }
    }
}
