//! The layer: its constructor, and its setters by what they are about, each with its default.

mod durability;
mod hooks;
mod limits;
mod times;
mod wire;

use crate::{
    Idempotency, Idempotent, Keys, Plain, Resume, ResumeEndpoint,
    node::Node,
    settings::Settings,
    store::{Erased, Store},
};
use std::{
    fmt,
    marker::PhantomData,
    sync::{Arc, OnceLock},
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
