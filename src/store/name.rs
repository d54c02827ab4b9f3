//! Names under which streams are found: of an application's own choice, or by a request's key.

use bytes::Bytes;
use std::fmt;

/// The longest value that a name may have, in bytes.
pub const NAME_MAX_BYTES: usize = 256;

/// A name, as the digest of what it was made of. It tells nothing of that.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name([u8; 32]);

impl Name {
    /// The name of this digest.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The digest.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "Name({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}

/// What a name has to stand for now, if it is to stand for something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    Nothing,
    /// This.
    Value(Bytes),
}

impl Expect {
    /// Whether `found` is what was expected.
    #[must_use]
    pub fn holds(&self, found: Option<&Bytes>) -> bool {
        match self {
            Self::Nothing => found.is_none(),
            Self::Value(value) => found == Some(value),
        }
    }
}
