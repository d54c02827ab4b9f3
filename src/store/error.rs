//! What can go wrong with a store.

use std::{error::Error, fmt};

/// The kinds of [`StoreError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The store did not answer in time, or there is no connection. What was asked may have been done.
    Unavailable,
    /// The store answered that it will not: it is full, read-only, or the user may not.
    Refused,
    /// What the store holds is not what this crate writes.
    Corrupt,
}

/// A store that did not do what it was asked.
///
/// Its text never holds a payload, a token or an address.
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    what: &'static str,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl StoreError {
    /// An error of this kind, in these words: lower-case, with no full stop.
    #[must_use]
    pub const fn new(kind: StoreErrorKind, what: &'static str) -> Self {
        Self { kind, what, source: None }
    }

    /// The same error with what caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The kind, to act upon.
    #[must_use]
    pub const fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}
