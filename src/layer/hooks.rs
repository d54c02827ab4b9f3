//! What the application knows of its events and of who asks.

use super::ResumeLayer;
use crate::{Authorization, Classify, Principal, RequestId, SnapshotFold, Step};
use http::request;
use std::sync::Arc;

/// # Hooks
///
/// What the application knows of its events and of who asks.
impl<S, Start> ResumeLayer<S, Start> {
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

    /// Whether a token of the first step fits a stream at the second. Defaults to: every one does. A client that was cut
    /// before its first event comes with [`Step::NONE`].
    pub fn step_rule(self, rule: impl Fn(&Step, &Step) -> bool + Send + Sync + 'static) -> Self {
        self.set(|settings| settings.step_rule = Some(Arc::new(rule)))
    }
}
