//! What an application may tell the layer: of its events, of who asks, and how errors look.

use crate::{EventView, RequestId, ResumeError, Step};
use bytes::Bytes;
use http::{Response, StatusCode, request};
use std::sync::Arc;

/// What an application says of one event.
///
/// ```
/// use tower_resume::{Class, EventView};
///
/// fn classify(event: &EventView<'_>) -> Class {
///     match event.name() {
///         "result" => Class::new().step("DONE").result(),
///         _ => Class::new(),
///     }
/// }
/// # let _ = classify;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Class {
    pub(crate) step: Option<Step>,
    pub(crate) priority: u8,
    pub(crate) result: bool,
    pub(crate) failed: bool,
}

impl Class {
    /// An ordinary event of the step that is in force already.
    pub const fn new() -> Self {
        Self { step: None, priority: 0, result: false, failed: false }
    }

    /// The step that begins with this event. It holds until another one is named.
    pub fn step(mut self, step: impl Into<Step>) -> Self {
        self.step = Some(step.into());
        self
    }

    /// How precious the event is; 0, the default, is the most ordinary. With
    /// [`Eviction::Priority`](crate::Eviction::Priority) the least precious is let go first.
    pub const fn priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }

    /// This terminal event is the stream's whole result: its data becomes the snapshot, which
    /// stands in for all events once the stream is over (unless a fold says otherwise).
    pub const fn result(mut self) -> Self {
        self.result = true;
        self
    }

    /// The stream has failed by the application's own word: it ends with the status `error`, not `complete`.
    pub const fn failed(mut self) -> Self {
        self.failed = true;
        self
    }
}

/// Tells the layer what an event is. Called once an event, in order, on the stream's own task: be quick.
pub trait Classify: Send + Sync + 'static {
    /// What `event` is.
    fn classify(&self, event: &EventView<'_>) -> Class;
}

impl<F: Fn(&EventView<'_>) -> Class + Send + Sync + 'static> Classify for F {
    fn classify(&self, event: &EventView<'_>) -> Class {
        self(event)
    }
}

/// Folds a stream's events into what can stand in for them, so that a client gets the whole even where
/// events were let go.
pub trait SnapshotFold: Send + 'static {
    /// Takes the next event in. Every event is shown once, in order, but for those that are too large to keep.
    fn event(&mut self, event: &EventView<'_>);

    /// The data of the `complete` event (once the stream is over) or of the `state` event (while it runs).
    /// `None`: there is nothing to show yet. Line ends in it become the `\n` of separate `data` lines.
    fn snapshot(&self) -> Option<Bytes>;
}

/// Who asks: a stable subject such as a user id, never a bearer string, which rotates.
///
/// It is part of every token's signature, so that nobody's token is good in another's hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal(pub(crate) Arc<str>);

impl Principal {
    /// The subject of this name.
    pub fn new(subject: impl Into<Arc<str>>) -> Self {
        Self(subject.into())
    }
}

/// What an authorisation hook answers.
#[derive(Debug)]
#[non_exhaustive]
pub enum Authorization {
    /// Go on, as whom the principal rule names (or nobody in particular).
    Allow,
    /// Go on, as this principal.
    AllowAs(Principal),
    /// No: with this response.
    Refuse(Box<Response<Bytes>>),
}

/// A handler finds it in its request's extensions: the name of the stream that the layer makes of its answer.
///
/// ```
/// use tower_resume::ResumeStream;
///
/// fn handler<B>(request: &http::Request<B>) -> Option<String> {
///     request.extensions().get::<ResumeStream>().map(|stream| stream.request_id.to_string())
/// }
/// # let _ = handler::<()>;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResumeStream {
    /// The stream's id: in every token of the stream, and in `X-Resume-Stream`.
    pub request_id: RequestId,
}

impl ResumeStream {
    pub(crate) const fn new(request_id: RequestId) -> Self {
        Self { request_id }
    }
}

pub(crate) type MakeFold = Arc<dyn Fn(RequestId) -> Box<dyn SnapshotFold> + Send + Sync>;
pub(crate) type PrincipalFn = Arc<dyn Fn(&request::Parts) -> Option<Principal> + Send + Sync>;
pub(crate) type AuthorizeFn = Arc<dyn Fn(&request::Parts) -> Authorization + Send + Sync>;
pub(crate) type StepRuleFn = Arc<dyn Fn(&Step, &Step) -> bool + Send + Sync>;
pub(crate) type RenderErrorFn = Arc<dyn Fn(ResumeError, StatusCode) -> Response<Bytes> + Send + Sync>;
