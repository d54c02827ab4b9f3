//! What clients see, and where their tokens are looked for.

use super::ResumeLayer;
use crate::{ControlEvents, EventIds, ResumeError};
use bytes::Bytes;
use http::{Response, StatusCode};
use std::sync::Arc;

/// # On the wire
///
/// What clients see, and where their tokens are looked for.
impl<S, Start> ResumeLayer<S, Start> {
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
