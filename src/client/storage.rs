//! Where a client keeps its place in a stream, so that it goes on there when the program comes back.

mod file;
mod memory;

pub use file::FileStorage;
pub use memory::MemoryStorage;

use std::{io, sync::Arc};

/// Keeps small texts by key. What they say is the client's business.
///
/// A text holds a token, which lets its holder read the stream: keep it where only the program's user can read. It is
/// written after every event, while the stream is read, so writing should be quick.
///
/// An error costs the place, not the stream: it goes on, and the log has a warning.
pub trait Storage: Send + Sync + 'static {
    /// What was kept under this key, if anything.
    ///
    /// # Errors
    ///
    /// If it cannot be known.
    fn get(&self, key: &str) -> io::Result<Option<String>>;

    /// Keeps this in place of what was there.
    ///
    /// # Errors
    ///
    /// If it is not kept. What was there may be gone.
    fn set(&self, key: &str, value: &str) -> io::Result<()>;

    /// Forgets what was there. That nothing was is no error.
    ///
    /// # Errors
    ///
    /// If it may still be there.
    fn remove(&self, key: &str) -> io::Result<()>;
}

impl<S: Storage + ?Sized> Storage for Arc<S> {
    fn get(&self, key: &str) -> io::Result<Option<String>> {
        (**self).get(key)
    }

    fn set(&self, key: &str, value: &str) -> io::Result<()> {
        (**self).set(key, value)
    }

    fn remove(&self, key: &str) -> io::Result<()> {
        (**self).remove(key)
    }
}

#[cfg(test)]
mod tests;
