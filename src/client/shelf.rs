//! One stream's place in a storage.

use super::{cursor::Cursor, options::ResumeFrom, storage::Storage};
use std::{io, sync::Arc};

/// Where one stream is kept, if anywhere.
pub(super) struct Shelf {
    storage: Option<Arc<dyn Storage>>,
    key: String,
    /// One warning a stream is enough.
    warned: bool,
}

impl Shelf {
    pub(super) fn new(storage: Option<Arc<dyn Storage>>, key: String) -> Self {
        Self { storage, key, warned: false }
    }

    /// What was kept, if it is still good.
    pub(super) fn take_up(&mut self, from: ResumeFrom) -> Option<Cursor> {
        let storage = self.storage.clone()?;
        let text = match storage.get(&self.key) {
            Ok(text) => text?,
            Err(error) => {
                self.warn(&error);
                return None;
            }
        };
        let cursor = Cursor::restore(&text, from == ResumeFrom::Start);
        if cursor.is_none() {
            self.clear();
        }
        cursor
    }

    pub(super) fn put(&mut self, cursor: &Cursor) {
        let Some(storage) = &self.storage else { return };
        let Some(text) = cursor.keep() else { return };
        if let Err(error) = storage.set(&self.key, &text) {
            self.warn(&error);
        }
    }

    pub(super) fn clear(&mut self) {
        let Some(storage) = &self.storage else { return };
        if let Err(error) = storage.remove(&self.key) {
            self.warn(&error);
        }
    }

    fn warn(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.warned, true) {
            tracing::warn!(%error, "the place in an event stream cannot be kept: a new start of the program begins anew");
        }
    }
}
