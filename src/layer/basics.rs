//! The constructor, keys and scope, the resume endpoint, and the layer that starts once for each key.

use super::ResumeLayer;
use crate::{Idempotency, Idempotent, Keys, ResumeEndpoint, settings::Settings, store::Store};
use std::{marker::PhantomData, sync::Arc};

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
