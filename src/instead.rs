//! What a handler can ask of the layer in place of its own response: that its caller gets another stream, or that one ends.

use crate::{
    Attach, CancelStream, Principal, ResumeError, answers::refuse, attach, body::ResumeBody, cancel, node::Node,
    response::describes_a_body,
};
use http::{HeaderName, Response, Version, response::Parts};
use std::sync::Arc;

/// What is to be done instead.
pub(crate) enum Instead {
    Attach(Attach),
    Cancel(CancelStream),
}

impl Instead {
    /// What the extensions of a response ask for. Its status has to be one of success: a handler that refuses its caller
    /// is not overruled.
    pub(crate) fn wanted(head: &mut Parts) -> Option<Self> {
        let cancel = head.extensions.remove().map(Self::Cancel);
        let attach = head.extensions.remove().map(Self::Attach);
        cancel.or(attach).filter(|_| head.status.is_success())
    }

    /// Does it. What the handler has set of headers is kept, but for those that describe the body.
    pub(crate) async fn answer<B>(
        self,
        node: Arc<Node>,
        principal: Option<Principal>,
        version: Version,
        mut head: Parts,
    ) -> Response<ResumeBody<B>> {
        let done: Result<_, ResumeError> = match &self {
            Self::Attach(attach) => attach::find(&node, principal.as_ref(), attach).await,
            Self::Cancel(cancel) => cancel::by_name(&node, cancel).await,
        };
        let (reply, body) = done.unwrap_or_else(|error| refuse(&node, error, version)).into_parts();
        let untrue: Vec<HeaderName> = head.headers.keys().filter(|name| describes_a_body(name)).cloned().collect();
        for name in untrue {
            head.headers.remove(name);
        }
        head.headers.extend(reply.headers);
        head.extensions.extend(reply.extensions);
        head.status = reply.status;
        node.deploy.close_connection(version, &mut head.headers);
        Response::from_parts(head, body)
    }
}
