//! What names stand for: streams that handlers have named, and requests that bring a key.
//!
//! A name is a digest; see [`Namer`](crate::token::Namer). The store knows what it stands for, for all nodes. Beside that
//! each node knows what it has given itself: it settles what happens on one node without a round trip, also
//! while the store is away.

mod hold;

pub(crate) use hold::{Kept, Stand, hold, keep};

use crate::{NodeId, RequestId, node::Node, store::Name};
use bytes::Bytes;
use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The first byte of a value. What another release has written otherwise is not read.
const VERSION: u8 = 1;
const IS_STREAM: u8 = 1;
const HAS_PRINT: u8 = 1 << 1;
const BYTES: usize = 2 + 16 + 8 + 8 + 16;

/// A digest of what a request with a key asks for.
pub(crate) type Print = [u8; 16];

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meaning {
    /// The stream, or what will be one if the handler answers with a stream.
    pub(crate) request_id: RequestId,
    /// The node that runs the handler.
    pub(crate) node: NodeId,
    /// When the request came, in milliseconds since the epoch.
    pub(crate) since: u64,
    /// Whether the handler has answered with a stream.
    pub(crate) is_stream: bool,
    /// What was asked for, where the application tells requests apart.
    pub(crate) print: Option<Print>,
}

impl Meaning {
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(BYTES);
        let flags = if self.is_stream { IS_STREAM } else { 0 } | if self.print.is_some() { HAS_PRINT } else { 0 };
        out.extend_from_slice(&[VERSION, flags]);
        out.extend_from_slice(self.request_id.as_bytes());
        out.extend_from_slice(self.node.as_bytes());
        out.extend_from_slice(&self.since.to_be_bytes());
        out.extend_from_slice(&self.print.unwrap_or_default());
        out.into()
    }

    /// `None` for what is not of this form.
    pub(crate) fn decode(value: &[u8]) -> Option<Self> {
        let (&[version, flags], rest) = value.split_first_chunk()?;
        let (request_id, rest) = rest.split_first_chunk()?;
        let (node, rest) = rest.split_first_chunk()?;
        let (since, rest) = rest.split_first_chunk()?;
        let print: Print = rest.try_into().ok()?;
        (version == VERSION && flags & !(IS_STREAM | HAS_PRINT) == 0).then_some(Self {
            request_id: RequestId::from_bytes(*request_id),
            node: NodeId::from_bytes(*node),
            since: u64::from_be_bytes(*since),
            is_stream: flags & IS_STREAM != 0,
            print: (flags & HAS_PRINT != 0).then_some(print),
        })
    }

    /// Whether the other one is younger: of several streams of one name, the newest has it.
    pub(crate) fn yields_to(&self, other: &Self) -> bool {
        (self.since, self.request_id) < (other.since, other.request_id)
    }

    /// Whether a name goes over to it from another one. A stream that comes by its name finds an older one there,
    /// whatever the two nodes' clocks say, and is the younger one from then on.
    fn succeeds(&mut self, other: &Self, is_new: bool) -> bool {
        if is_new {
            self.since = self.since.max(other.since.saturating_add(1));
        }
        other.yields_to(self)
    }
}

/// The names that this node has given, or is about to.
#[derive(Debug, Default)]
pub(crate) struct Names(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    meanings: HashMap<Name, Meaning>,
    /// The requests with a key whose handlers have not answered yet.
    claims: HashSet<RequestId>,
    /// The names of streams that the store has not heard of yet: they are newer than what it knows.
    untold: HashSet<Name>,
}

impl Names {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, name: Name) -> Option<Meaning> {
        self.lock().meanings.get(&name).copied()
    }

    /// What a name stands for, where the store has not heard of it yet.
    pub(crate) fn untold(&self, name: Name) -> Option<Meaning> {
        let state = self.lock();
        state.meanings.get(&name).copied().filter(|_| state.untold.contains(&name))
    }

    /// Whether a request with a key is under way here.
    pub(crate) fn is_claimed_by(&self, id: RequestId) -> bool {
        self.lock().claims.contains(&id)
    }
}

/// Names that this node gives, until it is dropped.
#[derive(Debug)]
pub(crate) struct Given {
    node: Arc<Node>,
    id: RequestId,
    names: Vec<Name>,
}

impl Given {
    /// Claims all of these names for a request, each for what it is to stand for, unless one of them is taken: then that
    /// one, and what it stands for.
    pub(crate) fn claim(node: &Arc<Node>, id: RequestId, wanted: &[(Name, Meaning)]) -> Result<Self, (Name, Meaning)> {
        let mut state = node.names.lock();
        for (name, _) in wanted {
            if let Some(taken) = state.meanings.get(name) {
                return Err((*name, *taken));
            }
        }
        state.meanings.extend(wanted.iter().copied());
        state.claims.insert(id);
        drop(state);
        Ok(Self { node: Arc::clone(node), id, names: wanted.iter().map(|(name, _)| *name).collect() })
    }

    /// Gives a stream these names, whatever they stood for. It is younger than any of that, also within one tick of the
    /// clock.
    pub(crate) fn name(node: &Arc<Node>, names: Vec<Name>, meaning: &mut Meaning) -> Self {
        let mut state = node.names.lock();
        let before = names.iter().filter_map(|name| state.meanings.get(name)).map(|older| older.since).max();
        meaning.since = meaning.since.max(before.map_or(0, |before| before.saturating_add(1)));
        let meaning = *meaning;
        state.meanings.extend(names.iter().map(|name| (*name, meaning)));
        state.untold.extend(&names);
        drop(state);
        Self { node: Arc::clone(node), id: meaning.request_id, names }
    }

    /// The handler has answered with a stream.
    pub(crate) fn answered(&self) {
        let mut state = self.node.names.lock();
        for name in &self.names {
            if let Some(meaning) = state.meanings.get_mut(name).filter(|meaning| meaning.request_id == self.id) {
                meaning.is_stream = true;
            }
        }
        state.claims.remove(&self.id);
    }

    /// The store knows that this name stands for it.
    pub(crate) fn told(&self, name: Name) {
        let mut state = self.node.names.lock();
        if state.meanings.get(&name).is_some_and(|meaning| meaning.request_id == self.id) {
            state.untold.remove(&name);
        }
    }

    /// Another one has this name now.
    pub(crate) fn lose(&self, name: Name) {
        let mut state = self.node.names.lock();
        if let Entry::Occupied(there) = state.meanings.entry(name)
            && there.get().request_id == self.id
        {
            there.remove();
            state.untold.remove(&name);
        }
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        for name in &self.names {
            self.lose(*name);
        }
        self.node.names.lock().claims.remove(&self.id);
    }
}

#[cfg(test)]
mod tests;
