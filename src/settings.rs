//! Everything that can be set, validated by type, with its default and why.

use crate::{
    Clock, Durability, Idempotency, StoreOut,
    durability::DEFAULT_STORE_PATIENCE,
    hooks::{AuthorizeFn, Classify, MakeFold, PrincipalFn, RenderErrorFn, StepRuleFn},
    live::Limits,
    store::Ttl,
};
use http::StatusCode;
use std::{fmt, sync::Arc, time::Duration};

/// The events of a stream that are kept. The bytes bound the memory: with long answers raise this one, to 8,192 say.
pub const DEFAULT_MAX_EVENTS: usize = 256;
/// The bytes of a stream that are kept: 1.5 MiB.
pub const DEFAULT_MAX_BYTES: usize = 1_572_864;
/// The largest event that is kept. A larger one reaches the first client and is a gap to all others.
pub const DEFAULT_MAX_EVENT_BYTES: usize = 1024 * 1024;
/// How long a token can be used.
pub const DEFAULT_TOKEN_TTL: Duration = Duration::from_secs(900);
/// How long a stream's log is kept after its last renewal.
pub const DEFAULT_STATE_TTL: Duration = Duration::from_secs(900);
/// How long a snapshot is kept after its stream's end.
pub const DEFAULT_SNAPSHOT_TTL: Duration = Duration::from_secs(60);
/// The silence after which a client gets a comment, so that proxies and people know that the stream lives.
pub const DEFAULT_HEARTBEAT: Duration = Duration::from_secs(10);
/// What `retry:` says, give or take a jitter that spreads a herd.
pub const DEFAULT_RETRY: Duration = Duration::from_millis(1000);
/// How long a stream runs on while nobody is connected.
pub const DEFAULT_DETACH_TIME: Duration = Duration::from_secs(900);
/// How long the furthest reader may take nothing before the stream runs on without it.
pub const DEFAULT_STALL_TIME: Duration = Duration::from_secs(30);
/// How long a request waits for the first one with its `Idempotency-Key` to be answered.
pub const DEFAULT_KEY_WAIT: Duration = Duration::from_secs(10);
/// Streams recorded at a time on a node. One more passes unrecorded: new work is refused, none is dropped.
pub const DEFAULT_MAX_STREAMS: usize = 10_000;
/// Streams of one principal recorded at a time on a node: a tenth of all, so that nobody takes it all.
pub const DEFAULT_MAX_PRINCIPAL_STREAMS: usize = 1_000;
/// Bytes held on a node for streams, over all of them.
pub const DEFAULT_MAX_NODE_BYTES: usize = 512 * 1024 * 1024;
/// Readers of one stream on a node, the first client included. One more gets 429.
pub const DEFAULT_MAX_STREAM_READERS: usize = 1_024;
/// Readers on a node, over all streams.
pub const DEFAULT_MAX_READERS: usize = 20_000;
/// What is read off an intercepted request's body, so that its connection can be used again.
pub(crate) const MAX_DRAINED_BODY: usize = 1024 * 1024;
/// The longest `X-Request-Id` that is taken over as a correlation id.
pub(crate) const MAX_CORRELATION_ID: usize = 128;

/// What ids the events carry on their way to the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventIds {
    /// Every event carries a token as its id; the handler's own ids are taken out. The default.
    #[default]
    Token,
    /// The handler's own ids stay; events without one get a token. A browser that was cut behind an event with an id of
    /// the handler's own brings that back, and so cannot resume by itself.
    Preserve,
    /// Nothing is added, control events included, and the handler's own stay. Clients resume by
    /// `X-Resume-Token` and `X-Resume-From`.
    Off,
}

/// How the layer's own events are sent.
///
/// As a response extension it holds for that one stream: a handler whose client fails on events that it does
/// not know answers with `ControlEvents::Comments` among its extensions.
///
/// ```
/// use axum::{Extension, response::{IntoResponse, Sse, sse::Event}};
/// use futures_util::stream;
/// use tower_resume::ControlEvents;
///
/// async fn chat() -> impl IntoResponse {
///     let answer = stream::iter([Ok::<_, std::io::Error>(Event::default().data("{}"))]);
///     (Extension(ControlEvents::Comments), Sse::new(answer))
/// }
/// # let _ = axum::Router::<()>::new().route("/chat", axum::routing::post(chat));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ControlEvents {
    /// As events named `resume` (or as set). The default.
    #[default]
    Events,
    /// As comments, `: resume {…}`, that no client is shown.
    Comments,
}

/// What a longer time is taken for: clocks cannot tell when it is over.
pub(crate) const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// What a handler does while nobody is connected to its stream, here or elsewhere. Set by
/// [`ResumeLayer::when_alone`](crate::ResumeLayer::when_alone).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenAlone {
    /// It runs at full speed to its end; what does not fit the stream's limits is let go. The default.
    #[default]
    Run,
    /// It is asked for no more than fits the stream's limits, so that nothing is let go while nobody is there, and goes on
    /// when somebody comes: at once on this node, within a second or so on another. How long a stream may be alone is
    /// the same ([`ResumeLayer::detach_time`](crate::ResumeLayer::detach_time)).
    Pause,
}

/// What is let go of where a stream is over its limits ([`ResumeLayer::max_events`](crate::ResumeLayer::max_events),
/// [`max_bytes`](crate::ResumeLayer::max_bytes)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Eviction {
    /// The oldest events go. The default, and the cheapest.
    #[default]
    Fifo,
    /// The oldest of the least precious go, by what [`Class::priority`](crate::Class::priority) says: never one for the
    /// sake of a less precious one, save to make room for the newest.
    ///
    /// A chunk in the store then holds events of one priority, and goes whole; so this costs least where priorities come in
    /// runs. What is gone is announced by a `gap` where it was.
    Priority,
}

#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) scope: String,
    pub(crate) max_events: usize,
    pub(crate) max_bytes: usize,
    pub(crate) max_event_bytes: usize,
    pub(crate) eviction: Eviction,
    pub(crate) token_ttl: Duration,
    pub(crate) state_ttl: Duration,
    pub(crate) snapshot_ttl: Duration,
    pub(crate) heartbeat: Duration,
    pub(crate) retry: Duration,
    pub(crate) detach_time: Duration,
    pub(crate) grace: Option<Duration>,
    pub(crate) stall_time: Duration,
    pub(crate) when_alone: WhenAlone,
    pub(crate) durability: Durability,
    pub(crate) store_out: StoreOut,
    pub(crate) store_patience: Duration,
    pub(crate) min_replicas: u32,
    pub(crate) max_streams: usize,
    pub(crate) max_principal_streams: usize,
    pub(crate) max_node_bytes: usize,
    pub(crate) max_stream_readers: usize,
    pub(crate) max_readers: usize,
    pub(crate) event_ids: EventIds,
    pub(crate) control_events: ControlEvents,
    pub(crate) control_name: String,
    pub(crate) query_param: Option<String>,
    pub(crate) gone_status: StatusCode,
    pub(crate) clock: Clock,
    pub(crate) classify: Option<Arc<dyn Classify>>,
    pub(crate) fold: Option<MakeFold>,
    pub(crate) principal: Option<PrincipalFn>,
    pub(crate) authorize: Option<AuthorizeFn>,
    pub(crate) step_rule: Option<StepRuleFn>,
    pub(crate) render_error: Option<RenderErrorFn>,
    pub(crate) tokens_are_enough: bool,
    pub(crate) idempotency: Option<Idempotency>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            scope: String::new(),
            max_events: DEFAULT_MAX_EVENTS,
            max_bytes: DEFAULT_MAX_BYTES,
            max_event_bytes: DEFAULT_MAX_EVENT_BYTES,
            eviction: Eviction::default(),
            token_ttl: DEFAULT_TOKEN_TTL,
            state_ttl: DEFAULT_STATE_TTL,
            snapshot_ttl: DEFAULT_SNAPSHOT_TTL,
            heartbeat: DEFAULT_HEARTBEAT,
            retry: DEFAULT_RETRY,
            detach_time: DEFAULT_DETACH_TIME,
            grace: None,
            stall_time: DEFAULT_STALL_TIME,
            when_alone: WhenAlone::default(),
            durability: Durability::default(),
            store_out: StoreOut::default(),
            store_patience: DEFAULT_STORE_PATIENCE,
            min_replicas: 0,
            max_streams: DEFAULT_MAX_STREAMS,
            max_principal_streams: DEFAULT_MAX_PRINCIPAL_STREAMS,
            max_node_bytes: DEFAULT_MAX_NODE_BYTES,
            max_stream_readers: DEFAULT_MAX_STREAM_READERS,
            max_readers: DEFAULT_MAX_READERS,
            event_ids: EventIds::default(),
            control_events: ControlEvents::default(),
            control_name: "resume".to_owned(),
            query_param: None,
            gone_status: StatusCode::UPGRADE_REQUIRED,
            clock: Clock::system(),
            classify: None,
            fold: None,
            principal: None,
            authorize: None,
            step_rule: None,
            render_error: None,
            tokens_are_enough: false,
            idempotency: None,
        }
    }
}

impl Settings {
    pub(crate) const fn limits(&self) -> Limits {
        Limits { events: self.max_events, bytes: self.max_bytes }
    }

    /// Whether an event waits for the store.
    pub(crate) fn is_stored(&self) -> bool {
        self.durability == Durability::Stored
    }

    /// How many copies have to hold an event before a client sees it.
    pub(crate) fn replicas(&self) -> u32 {
        if self.is_stored() { self.min_replicas } else { 0 }
    }

    /// The longest that a silent reader waits before it looks what the silence is about.
    pub(crate) fn silence(&self) -> Duration {
        if self.is_stored() { self.heartbeat.min(self.store_patience) } else { self.heartbeat }
    }

    pub(crate) const fn ttl(&self) -> Ttl {
        Ttl { log: self.state_ttl, snapshot: self.snapshot_ttl }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("scope", &self.scope)
            .field("max_events", &self.max_events)
            .field("max_bytes", &self.max_bytes)
            .field("event_ids", &self.event_ids)
            .field("control_events", &self.control_events)
            .finish_non_exhaustive()
    }
}
