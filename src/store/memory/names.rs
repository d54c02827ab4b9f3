//! What names stand for, in this process.

use crate::store::{Expect, Name, StoreError, StoreErrorKind};
use bytes::Bytes;
use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};
use tokio::time::Instant;

/// The most names that are kept. A new one beyond is refused: dropping an old one would run a handler twice.
const NAMES_MAX: usize = 200_000;

/// What has expired is let go of by whoever comes next.
#[derive(Debug, Default)]
pub(super) struct Names {
    values: HashMap<Name, (Bytes, Instant)>,
    due: BTreeSet<(Instant, Name)>,
}

impl Names {
    pub(super) fn lookup(&mut self, name: Name, now: Instant) -> Option<Bytes> {
        self.sweep(now);
        self.values.get(&name).map(|(value, _)| value.clone())
    }

    pub(super) fn exchange(
        &mut self,
        name: Name,
        expect: &Expect,
        value: Option<Bytes>,
        ttl: Duration,
        now: Instant,
    ) -> Result<Option<Bytes>, StoreError> {
        self.sweep(now);
        let found = self.values.get(&name).map(|(value, _)| value);
        let is_there = found.is_some() && found == value.as_ref();
        if !is_there && !expect.holds(found) {
            return Ok(found.cloned());
        }
        if found.is_none() && value.is_some() && self.values.len() >= NAMES_MAX {
            return Err(StoreError::new(StoreErrorKind::Refused, "the memory store holds too many names"));
        }
        if let Some((_, due)) = self.values.remove(&name) {
            self.due.remove(&(due, name));
        }
        if let Some(value) = &value {
            let due = super::stream::later(now, ttl);
            self.values.insert(name, (value.clone(), due));
            self.due.insert((due, name));
        }
        Ok(value)
    }

    fn sweep(&mut self, now: Instant) {
        while self.due.first().is_some_and(|(due, _)| *due <= now) {
            let Some((_, name)) = self.due.pop_first() else { return };
            self.values.remove(&name);
        }
    }
}
