//! How much is kept, and of how many streams and readers.

use super::ResumeLayer;
use crate::Eviction;
use std::num::NonZeroUsize;

/// # Limits
///
/// How much is kept, and of how many streams and readers.
impl<S, Start> ResumeLayer<S, Start> {
    /// The events of a stream that are kept. Defaults to 256. With long answers raise it, to 8,192 say: the
    /// bytes bound the memory.
    pub fn max_events(self, events: NonZeroUsize) -> Self {
        self.set(|settings| settings.max_events = events.get())
    }

    /// The bytes of a stream that are kept. Defaults to 1.5 MiB.
    pub fn max_bytes(self, bytes: NonZeroUsize) -> Self {
        self.set(|settings| settings.max_bytes = bytes.get())
    }

    /// The largest event, in bytes, that is kept. A larger one reaches the first client and is a gap
    /// to all others. Defaults to 1 MiB.
    pub fn max_event_bytes(self, bytes: NonZeroUsize) -> Self {
        self.set(|settings| settings.max_event_bytes = bytes.get())
    }

    /// What is let go of where a stream is over its limits. Defaults to [`Eviction::Fifo`].
    ///
    /// ```
    /// use tower_resume::{Class, EventView, Eviction, Keys, ResumeLayer, store::MemoryStore};
    ///
    /// # fn main() -> Result<(), tower_resume::KeyError> {
    /// # let keys = Keys::new("kZ0b3FzZ0mC5cW1gXq8r1h3o4yVtq2JxU7d9sPlA6eE=")?;
    /// let layer = ResumeLayer::new(MemoryStore::new(), keys).eviction(Eviction::Priority).classify_with(
    ///     |event: &EventView<'_>| match event.name() {
    ///         "stage" => Class::new().priority(1),
    ///         _ => Class::new(),
    ///     },
    /// );
    /// # let _ = layer; Ok(()) }
    /// ```
    pub fn eviction(self, eviction: Eviction) -> Self {
        self.set(|settings| settings.eviction = eviction)
    }

    /// Streams recorded at a time on this node. One more passes unrecorded, with `X-Resume-Degraded: capacity`.
    /// Defaults to 10,000.
    pub fn max_streams(self, streams: usize) -> Self {
        self.set(|settings| settings.max_streams = streams)
    }

    /// Streams of one principal recorded at a time on this node, where there is a
    /// [principal rule](Self::principal_with). One more passes unrecorded, with `X-Resume-Degraded: capacity`. Defaults
    /// to 1,000.
    pub fn max_principal_streams(self, streams: usize) -> Self {
        self.set(|settings| settings.max_principal_streams = streams)
    }

    /// Bytes that this node holds for streams: events, what waits to be sent, and what each stream takes besides. Over it,
    /// new streams pass unrecorded, and streams of other nodes that are not read here yet are answered 429.
    ///
    /// Streams that run are never cut. Each makes do with what it holds: it lets go of as much as it adds, and its
    /// handler is read no more than a batch (64 events or 64 KiB) ahead of its clients. What it lets go of comes from the
    /// store; what is not there yet, because the store is out, is a gap. So a node holds at most two batches a stream
    /// beyond this. Defaults to 512 MiB.
    pub fn max_node_bytes(self, bytes: usize) -> Self {
        self.set(|settings| settings.max_node_bytes = bytes)
    }

    /// Readers of one stream on this node, the first client included. Defaults to 1,024.
    pub fn max_stream_readers(self, readers: usize) -> Self {
        self.set(|settings| settings.max_stream_readers = readers)
    }

    /// Readers on this node. Defaults to 20,000.
    pub fn max_readers(self, readers: usize) -> Self {
        self.set(|settings| settings.max_readers = readers)
    }
}
