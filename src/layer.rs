//! The layer: its constructor, its setters, and their defaults.

use crate::{
    Authorization, Classify, Clock, ControlEvents, Durability, EventIds, Eviction, Idempotency, Idempotent, Keys,
    Plain, Principal, RequestId, Resume, ResumeEndpoint, ResumeError, SnapshotFold, Step, StoreOut, WhenAlone,
    node::Node,
    settings::{FOREVER, Settings},
    store::{Erased, Store},
};
use bytes::Bytes;
use http::{Response, StatusCode, request};
use std::{
    fmt,
    marker::PhantomData,
    num::NonZeroUsize,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tower_layer::Layer;

/// Makes the Server-Sent-Events responses of a service resumable.
///
/// Add it around a router or on a route. Outside of it (in axum: added after it) belongs what has to see every response, since
/// a resume is answered here and reaches nothing inside: authentication, CORS (with the headers of [`header`](crate::header)),
/// compression, request ids, tracing, timeouts of bodies. Inside belongs what spares handlers: timeouts of heads, limits of
/// concurrency, load shedding. What can be seen to be the other way round is warned of, once.
///
/// Clones of a layer, and all services that it makes, are one node: they share the store, the keys and the streams.
/// A setter makes a layer of its own, so set first and clone then.
///
/// ```
/// use axum::{Router, response::{Sse, sse::Event}, routing::post};
/// use futures_util::stream;
/// use tower_resume::{Keys, ResumeLayer, store::MemoryStore};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let keys = Keys::new("a secret of at least 32 bytes, of course")?;
/// let app: Router = Router::new()
///     .route("/stream", post(|| async { Sse::new(stream::iter([Ok::<_, std::io::Error>(Event::default().data("hi"))])) }))
///     .layer(ResumeLayer::new(MemoryStore::new(), keys));
/// # let _ = app;
/// # Ok(())
/// # }
/// ```
///
/// `Start` is [`Plain`], or [`Idempotent`] once [`idempotency`](Self::idempotency) is set.
#[must_use]
pub struct ResumeLayer<S, Start = Plain> {
    settings: Settings,
    store: Arc<dyn Erased>,
    keys: Option<Keys>,
    node: Arc<OnceLock<Arc<Node>>>,
    kind: PhantomData<fn() -> (S, Start)>,
}

impl<S: Store> ResumeLayer<S> {
    /// A layer over this store that signs with these keys.
    ///
    /// With `None` for keys (no secret is configured) streams pass as they are, with `X-Resume-Degraded: no-secret`.
    pub fn new(store: S, keys: impl Into<Option<Keys>>) -> Self {
        Self {
            settings: Settings::default(),
            store: Arc::new(store),
            keys: keys.into(),
            node: Arc::default(),
            kind: PhantomData,
        }
    }
}

impl<S, Start> ResumeLayer<S, Start> {
    /// A resume endpoint for this layer's streams, to mount on a path of its own. Set everything before: a setter makes
    /// another layer, of whose streams this endpoint knows nothing.
    #[must_use]
    pub fn endpoint(&self) -> ResumeEndpoint {
        ResumeEndpoint::new(self.node())
    }

    #[cfg(test)]
    pub(crate) const fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn node(&self) -> Arc<Node> {
        let make = || Node::new(self.settings.clone(), Arc::clone(&self.store), self.keys.clone());
        Arc::clone(self.node.get_or_init(make))
    }

    fn set(mut self, set: impl FnOnce(&mut Settings)) -> Self {
        set(&mut self.settings);
        self.node = Arc::default();
        self
    }

    /// The keys that tokens are signed with, in place of those that the layer was made with.
    pub fn keys(mut self, keys: Keys) -> Self {
        self.keys = Some(keys);
        self.set(|_| ())
    }

    /// Whether there are keys, so that streams can be resumed.
    #[must_use]
    pub const fn has_keys(&self) -> bool {
        self.keys.is_some()
    }

    /// The kind of the layer's store: `memory`, `redis`.
    #[must_use]
    pub fn store_kind(&self) -> &'static str {
        self.store.kind()
    }

    /// A label that is part of every token's signature: tokens of one scope are no good in another, even with the same
    /// secret. Defaults to none.
    pub fn scope(self, scope: impl Into<String>) -> Self {
        self.set(|settings| settings.scope = scope.into())
    }

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

    /// How long a token can be used. Defaults to 15 minutes.
    pub fn token_ttl(self, ttl: Duration) -> Self {
        self.set(|settings| settings.token_ttl = ttl.min(FOREVER))
    }

    /// How long a stream is kept after it ended. Defaults to 15 minutes.
    pub fn state_ttl(self, ttl: Duration) -> Self {
        self.set(|settings| settings.state_ttl = ttl.min(FOREVER))
    }

    /// How long a snapshot is kept after its stream ended. Defaults to 60 seconds.
    pub fn snapshot_ttl(self, ttl: Duration) -> Self {
        self.set(|settings| settings.snapshot_ttl = ttl.min(FOREVER))
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

    /// The silence after which a client is sent a comment. Defaults to 10 seconds.
    pub fn heartbeat(self, every: Duration) -> Self {
        self.set(|settings| settings.heartbeat = every.clamp(Duration::from_millis(10), FOREVER))
    }

    /// What clients are told to wait before they come back, give or take a quarter. Defaults to 1 second.
    pub fn retry(self, after: Duration) -> Self {
        self.set(|settings| settings.retry = after.min(FOREVER))
    }

    /// How long a stream runs on while nobody is connected, here or on another node; then it ends as `interrupted`. Defaults
    /// to 15 minutes. To have a handler stopped soon after its client has left, see [`grace`](Self::grace).
    pub fn detach_time(self, time: Duration) -> Self {
        self.set(|settings| settings.detach_time = time.min(FOREVER))
    }

    /// Stops a handler whose stream nobody has read, on any node, for this long: as if its client had cancelled it, the
    /// stream ends as `cancelled`. Off by default: a client that merely disconnects stops nothing.
    ///
    /// Give it well more than a client needs to come back: some ten seconds at least. Time in which nobody can tell who
    /// reads on other nodes does not count: while a shared store is away (and 10 seconds more), or while this node is
    /// [drained](Self::drain). A reader on another node counts for 30 seconds more, should that node die.
    pub fn grace(self, time: Duration) -> Self {
        self.set(|settings| settings.grace = Some(time.min(FOREVER)))
    }

    /// What a handler does while nobody is connected to its stream. Defaults to [`WhenAlone::Run`].
    pub fn when_alone(self, then: WhenAlone) -> Self {
        self.set(|settings| settings.when_alone = then)
    }

    /// How long the furthest reader may take nothing before the stream runs on without it, and it has to catch
    /// up. Defaults to 30 seconds.
    pub fn stall_time(self, time: Duration) -> Self {
        self.set(|settings| settings.stall_time = time.clamp(Duration::from_millis(1), FOREVER))
    }

    /// Whether an event goes out before the store has it. Defaults to [`Durability::Relaxed`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_resume::{Durability, Keys, ResumeLayer, StoreOut, store::MemoryStore};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = ResumeLayer::new(MemoryStore::new(), Keys::new([7; 32])?)
    ///     .durability(Durability::Stored)
    ///     .store_out(StoreOut::Relax)
    ///     .store_patience(Duration::from_secs(5));
    /// # let _ = layer;
    /// # Ok(())
    /// # }
    /// ```
    pub fn durability(self, durability: Durability) -> Self {
        self.set(|settings| settings.durability = durability)
    }

    /// How many replicas of Redis have to hold an event, too, before a client sees it, with [`Durability::Stored`].
    /// Defaults to 0.
    ///
    /// It is Redis' `WAIT`, whose own limit it has: a replica that lacks the event may still be promoted in place of
    /// one that has it. So it narrows the window in which the loss of the primary loses an event, and does not close
    /// it. While there are fewer replicas the store counts as out. Clients on other nodes, which read what the primary
    /// has, may see an event a moment before the replicas hold it. The memory store has no copies, and this does nothing.
    pub fn min_replicas(self, replicas: u32) -> Self {
        self.set(|settings| settings.min_replicas = replicas)
    }

    /// What becomes of a response that has waited for the store for too long, with [`Durability::Stored`]. Defaults to
    /// [`StoreOut::Cut`].
    pub fn store_out(self, then: StoreOut) -> Self {
        self.set(|settings| settings.store_out = then)
    }

    /// How long a response waits for the store, with [`Durability::Stored`], before [`StoreOut`] applies. Defaults to
    /// 10 seconds.
    pub fn store_patience(self, patience: Duration) -> Self {
        self.set(|settings| settings.store_patience = patience.clamp(Duration::from_millis(1), FOREVER))
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

    /// Which ids the events carry. Defaults to [`EventIds::Token`].
    pub fn event_ids(self, ids: EventIds) -> Self {
        self.set(|settings| settings.event_ids = ids)
    }

    /// How the layer's own events are sent. Defaults to [`ControlEvents::Events`].
    pub fn control_events(self, events: ControlEvents) -> Self {
        self.set(|settings| settings.control_events = events)
    }

    /// The name of the layer's own events, should the application have some called `resume`, the default.
    /// Line ends in it are dropped.
    pub fn control_name(self, name: impl Into<String>) -> Self {
        let mut name: String = name.into();
        name.retain(|char| !matches!(char, '\n' | '\r'));
        self.set(|settings| settings.control_name = name)
    }

    /// Takes tokens from this query parameter, too; `from` and `mode` then count beside it. For `EventSource` after a
    /// page was reloaded. Off by default: tokens in addresses end up in logs.
    pub fn query_param(self, name: impl Into<String>) -> Self {
        self.set(|settings| settings.query_param = Some(name.into()))
    }

    /// The status for what can never be resumed. Defaults to 426; 410 is the other sensible choice.
    pub fn gone_status(self, status: StatusCode) -> Self {
        self.set(|settings| settings.gone_status = status)
    }

    /// The clock by which tokens expire. Defaults to the system's.
    pub fn clock(self, clock: Clock) -> Self {
        self.set(|settings| settings.clock = clock)
    }

    /// What the events are: step, class, result. Defaults to nothing in particular.
    ///
    /// ```
    /// use tower_resume::{Class, EventView, Keys, ResumeLayer, store::MemoryStore};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = ResumeLayer::new(MemoryStore::new(), Keys::new([7; 32])?)
    ///     .classify_with(|event: &EventView<'_>| match event.name() {
    ///         "done" => Class::new().step("DONE").result(),
    ///         _ => Class::new(),
    ///     });
    /// # let _ = layer;
    /// # Ok(())
    /// # }
    /// ```
    pub fn classify_with(self, classify: impl Classify) -> Self {
        self.set(|settings| settings.classify = Some(Arc::new(classify)))
    }

    /// Folds each stream's events into a snapshot; called once a stream for a new fold. Defaults to none.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use tower_resume::{EventView, Keys, ResumeLayer, SnapshotFold, store::MemoryStore};
    ///
    /// /// The text so far.
    /// #[derive(Default)]
    /// struct Text(String);
    ///
    /// impl SnapshotFold for Text {
    ///     fn event(&mut self, event: &EventView<'_>) {
    ///         self.0.push_str(&String::from_utf8_lossy(&event.data()));
    ///     }
    ///
    ///     fn snapshot(&self) -> Option<Bytes> {
    ///         Some(self.0.clone().into())
    ///     }
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = ResumeLayer::new(MemoryStore::new(), Keys::new([7; 32])?).snapshot_with(|_| Text::default());
    /// # let _ = layer;
    /// # Ok(())
    /// # }
    /// ```
    pub fn snapshot_with<F: SnapshotFold>(self, make: impl Fn(RequestId) -> F + Send + Sync + 'static) -> Self {
        self.set(|settings| settings.fold = Some(Arc::new(move |id| Box::new(make(id)))))
    }

    /// Who asks, by a request's head: a stable subject that is part of every token's signature, so that a token is
    /// good for nobody else. Called for each request that may start a stream, and for each resume unless the
    /// authorisation hook names somebody.
    ///
    /// ```
    /// use tower_resume::{Keys, Principal, ResumeLayer, store::MemoryStore};
    ///
    /// /// Put into the request by the application's own authentication, in a layer outside of this one.
    /// #[derive(Clone)]
    /// struct UserId(String);
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = ResumeLayer::new(MemoryStore::new(), Keys::new([7; 32])?)
    ///     .principal_with(|head| head.extensions.get::<UserId>().map(|user| Principal::new(user.0.as_str())));
    /// # let _ = layer;
    /// # Ok(())
    /// # }
    /// ```
    pub fn principal_with(
        self,
        principal: impl Fn(&request::Parts) -> Option<Principal> + Send + Sync + 'static,
    ) -> Self {
        self.set(|settings| settings.principal = Some(Arc::new(principal)))
    }

    /// Sees a request's head before any resume, and may refuse it with a response of its own or name
    /// the principal. It is not asynchronous: do what has to wait in a layer outside of this one, and pass it on in the
    /// request's extensions. Defaults to none: a good token is enough.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use http::{Response, StatusCode};
    /// use tower_resume::{Authorization, Keys, Principal, ResumeLayer, store::MemoryStore};
    ///
    /// /// Put into the request by the application's own authentication, in a layer outside of this one.
    /// #[derive(Clone)]
    /// struct User {
    ///     id: String,
    ///     blocked: bool,
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = ResumeLayer::new(MemoryStore::new(), Keys::new([7; 32])?)
    ///     .principal_with(|head| head.extensions.get::<User>().map(|user| Principal::new(user.id.as_str())))
    ///     .authorize_with(|head| match head.extensions.get::<User>() {
    ///         Some(user) if user.blocked => {
    ///             let mut refusal = Response::new(Bytes::from("blocked"));
    ///             *refusal.status_mut() = StatusCode::FORBIDDEN;
    ///             Authorization::Refuse(Box::new(refusal))
    ///         }
    ///         _ => Authorization::Allow,
    ///     });
    /// # let _ = layer;
    /// # Ok(())
    /// # }
    /// ```
    pub fn authorize_with(self, authorize: impl Fn(&request::Parts) -> Authorization + Send + Sync + 'static) -> Self {
        self.set(|settings| settings.authorize = Some(Arc::new(authorize)))
    }

    /// Says that whoever holds a stream's token may read it: no warning for want of a principal rule.
    pub fn tokens_are_enough(self) -> Self {
        self.set(|settings| settings.tokens_are_enough = true)
    }

    /// Starts a stream once for each `Idempotency-Key`. Defaults to: the header is not looked at.
    ///
    /// The handler of such a request is called in a task of its own, so that it goes on where its client leaves before the
    /// first byte (task-locals of outer layers are not seen there; the `tracing` span is). So this makes a layer
    /// whose services ask more of what they wrap; axum's routers and routes, hyper's services and boxed ones have it.
    ///
    /// ```
    /// use axum::{Router, response::{Sse, sse::Event}, routing::post};
    /// use futures_util::stream;
    /// use tower_resume::{Idempotency, Keys, ResumeLayer, store::MemoryStore};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = ResumeLayer::new(MemoryStore::new(), Keys::new([7; 32])?)
    ///     .tokens_are_enough()
    ///     .idempotency(Idempotency::new().shared_keys());
    /// let app: Router = Router::new()
    ///     .route("/stream", post(|| async { Sse::new(stream::iter([Ok::<_, std::io::Error>(Event::default().data("hi"))])) }))
    ///     .layer(layer);
    /// # let _ = app;
    /// # Ok(())
    /// # }
    /// ```
    pub fn idempotency(self, idempotency: Idempotency) -> ResumeLayer<S, Idempotent> {
        let Self { mut settings, store, keys, .. } = self;
        settings.idempotency = Some(idempotency);
        ResumeLayer { settings, store, keys, node: Arc::default(), kind: PhantomData }
    }

    /// Whether a token of the first step fits a stream at the second. Defaults to: every one does. A client that was cut
    /// before its first event comes with [`Step::NONE`].
    pub fn step_rule(self, rule: impl Fn(&Step, &Step) -> bool + Send + Sync + 'static) -> Self {
        self.set(|settings| settings.step_rule = Some(Arc::new(rule)))
    }

    /// Renders errors in the application's own manner: the error and its status in, a response out. Headers that the
    /// protocol needs are added to it. Defaults to RFC 9457.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use http::Response;
    /// use tower_resume::{Keys, ResumeLayer, store::MemoryStore};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = ResumeLayer::new(MemoryStore::new(), Keys::new([7; 32])?).render_error_with(|error, status| {
    ///     let mut response = Response::new(Bytes::from(error.code()));
    ///     *response.status_mut() = status;
    ///     response
    /// });
    /// # let _ = layer;
    /// # Ok(())
    /// # }
    /// ```
    pub fn render_error_with(
        self,
        render: impl Fn(ResumeError, StatusCode) -> Response<Bytes> + Send + Sync + 'static,
    ) -> Self {
        self.set(|settings| settings.render_error = Some(Arc::new(render)))
    }
}

impl<S, Start> Clone for ResumeLayer<S, Start> {
    fn clone(&self) -> Self {
        Self {
            settings: self.settings.clone(),
            store: Arc::clone(&self.store),
            keys: self.keys.clone(),
            node: Arc::clone(&self.node),
            kind: PhantomData,
        }
    }
}

impl<S, Start> fmt::Debug for ResumeLayer<S, Start> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResumeLayer")
            .field("store", &self.store.kind())
            .field("settings", &self.settings)
            .field("keys", &self.keys)
            .finish()
    }
}

impl<Inner, S, Start> Layer<Inner> for ResumeLayer<S, Start> {
    type Service = Resume<Inner, S, Start>;

    fn layer(&self, inner: Inner) -> Self::Service {
        Resume::new(inner, self.node())
    }
}
