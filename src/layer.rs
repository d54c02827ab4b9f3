//! The layer: its constructor, and its setters by what they are about, each with its default.

// In the order of the documentation.
mod basics;
mod limits;
mod times;
mod durability;
mod hooks;
mod wire;

use crate::{Keys, Plain, Resume, node::Node, settings::Settings, store::Erased};
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
/// `Start` is [`Plain`], or [`Idempotent`](crate::Idempotent) once [`idempotency`](Self::idempotency) is set.
#[must_use]
pub struct ResumeLayer<S, Start = Plain> {
    settings: Settings,
    store: Arc<dyn Erased>,
    keys: Option<Keys>,
    node: Arc<OnceLock<Arc<Node>>>,
    kind: PhantomData<fn() -> (S, Start)>,
}

impl<S, Start> ResumeLayer<S, Start> {
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
