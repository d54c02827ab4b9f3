//! How much of a log one read brings.

/// The most chunks in one page: a page is one step of a reader, and many readers come at once after a deploy.
pub(crate) const PAGE_MAX_CHUNKS: usize = 64;

/// The bytes of events at which a page is full. A chunk that is larger by itself still comes, alone.
pub(crate) const PAGE_MAX_BYTES: usize = 256 * 1024;
