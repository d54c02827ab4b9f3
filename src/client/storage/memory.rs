//! For as long as the program runs.

use super::Storage;
use std::{
    collections::HashMap,
    fmt, io,
    sync::{Arc, Mutex, PoisonError},
};

/// Keeps places for as long as the program runs. Its clones are one.
#[derive(Clone, Default)]
pub struct MemoryStorage(Arc<Mutex<HashMap<String, String>>>);

impl MemoryStorage {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<String, String>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Storage for MemoryStorage {
    fn get(&self, key: &str) -> io::Result<Option<String>> {
        Ok(self.with(|all| all.get(key).cloned()))
    }

    fn set(&self, key: &str, value: &str) -> io::Result<()> {
        self.with(|all| all.insert(key.to_owned(), value.to_owned()));
        Ok(())
    }

    fn remove(&self, key: &str) -> io::Result<()> {
        self.with(|all| all.remove(key));
        Ok(())
    }
}

/// Tokens are not shown.
impl fmt::Debug for MemoryStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MemoryStorage").field(&self.with(|all| all.len())).finish()
    }
}
