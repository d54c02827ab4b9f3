//! Tokens, as a client sees them: opaque, and secret.

use std::fmt;

/// A longer one is none of the layer's.
const MAX_CHARS: usize = 150;
/// An id as short as this is none of the layer's, though it may be one of the application's.
const MIN_CHARS: usize = 40;

/// A token. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Token(String);

impl Token {
    /// A token that the server calls one.
    pub(super) fn given(text: &str) -> Option<Self> {
        let fits = !text.is_empty()
            && text.len() <= MAX_CHARS
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        fits.then(|| Self(text.to_owned()))
    }

    /// An event's id, if it is a token like this one. With `EventIds::Preserve` some ids are the application's own.
    pub(super) fn like(&self, id: &str) -> Option<Self> {
        let alike = id.len() >= MIN_CHARS && id.as_bytes().first() == self.0.as_bytes().first();
        alike.then(|| Self::given(id))?
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&Secret(&self.0), f)
    }
}

/// Shows whether there is something, and not what.
pub(super) struct Secret<'a>(pub(super) &'a str);

impl fmt::Debug for Secret<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "(none)" } else { "(hidden)" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_token_only_if_it_looks_like_the_ones_before() {
        let token = Token::given(&format!("r{}", "a".repeat(80))).unwrap();
        let id = |text: String| token.like(&text).is_some();
        assert!(id(format!("r{}", "b-_9".repeat(20))));
        assert!(!id("r7".into()));
        assert!(!id("00000000-0000-4000-8000-000000000000".into()));
        assert!(!id("0123456789abcdef".repeat(4)));
        assert!(!id(format!("r{} ", "a".repeat(80))));
        assert!(!id(format!("r{}", "a".repeat(150))));
    }

    #[test]
    fn what_no_header_can_carry_is_no_token() {
        for text in ["", "a\nb", "a b", "é", &"a".repeat(151)] {
            assert_eq!(Token::given(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_token_is_not_shown() {
        let token = Token::given("secret").unwrap();
        assert_eq!(format!("{token:?}"), "(hidden)");
    }
}
