//! What a stream yields.

use super::token::Secret;
use crate::EndStatus;
use serde::{Deserialize, de::DeserializeOwned};
use std::fmt;

/// What a stream yields, in the order in which it came.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Item {
    /// An event of the application's.
    Event(Event),
    /// Events that this client will never get.
    Gap(Gap),
    /// What stands in for all events up to a seq.
    Snapshot(Snapshot),
    /// The stream is over. It is the last item.
    End(End),
    /// The stream could not be resumed and begins anew: what was received so far is void. Only with
    /// [`Request::restart`](super::Request::restart).
    Restart,
    /// One of the layer's own events that says how the stream is getting on. Only with
    /// [`Request::control`](super::Request::control).
    Control(Control),
}

/// One event, as a browser's `EventSource` would dispatch it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// The value of the field `event`; `message` where it has none.
    pub name: String,
    /// The values of its `data` fields, joined by line feeds.
    pub data: String,
    /// The id in force at this event; empty where there was none yet. On a stream of the layer it is a token, so a
    /// secret.
    pub id: String,
    /// The event's position in its stream: 1, 2, 3 … Where the server numbers nothing, it counts what came.
    pub seq: u64,
}

impl Event {
    /// The data read as JSON.
    ///
    /// # Errors
    ///
    /// If it is not JSON, or not of this type.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.data)
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("name", &self.name)
            .field("data", &self.data)
            .field("id", &Secret(&self.id))
            .field("seq", &self.seq)
            .finish()
    }
}

/// Events that this client will never get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gap {
    /// The first one's seq.
    pub from: u64,
    /// The last one's seq.
    pub to: u64,
    /// Why they are gone.
    pub reason: GapReason,
}

/// Why events are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum GapReason {
    /// The server keeps only the newest events of a stream, or the most precious.
    Trimmed,
    /// The event was too large to keep.
    Oversize,
    /// A node, or the store, went down before they were written.
    Lost,
    /// A reason that this release does not know.
    #[serde(other)]
    Other,
}

impl GapReason {
    /// The word that goes over the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trimmed => "trimmed",
            Self::Oversize => "oversize",
            Self::Lost => "lost",
            Self::Other => "other",
        }
    }
}

/// What stands in for all events up to a seq, those in the [`Gap`] before it among them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The last event that it stands in for.
    pub seq: u64,
    /// How the stream has ended; `None` while it runs.
    pub status: Option<EndStatus>,
    /// `complete` for the whole result of a stream that is over, `state` for one that goes on behind it.
    pub name: String,
    /// The application's data.
    pub data: String,
}

impl Snapshot {
    /// The data read as JSON.
    ///
    /// # Errors
    ///
    /// If it is not JSON, or not of this type.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.data)
    }
}

/// The stream is over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct End {
    /// How it ended.
    pub status: EndStatus,
    /// The last event's seq.
    pub seq: u64,
    /// What became of the stream on its way.
    pub diagnostics: Diagnostics,
}

/// What became of a stream on its way, by the server's count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Diagnostics {
    /// How many times somebody resumed it.
    pub resumes: u64,
    /// How many events were let go.
    pub trims: u64,
    /// How many events reached somebody by a replay.
    pub recovered_events: u64,
    /// The first request's `X-Request-Id`, else the stream's own id.
    pub correlation_id: String,
}

/// One of the layer's own events: `open`, `replay`, `live`, `token` or `wait`.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Control {
    /// What it is.
    pub phase: String,
    /// All that it says: a JSON object. It may hold a token, so it is a secret.
    pub json: String,
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("phase", &self.phase).finish_non_exhaustive()
    }
}
