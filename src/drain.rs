//! What is left of an intercepted request's body is read off, so that its connection can be used again.

use crate::settings::MAX_DRAINED_BODY;
use bytes::Buf as _;
use http_body::Body;
use std::{future::poll_fn, pin::pin, time::Duration};

/// How long that may take. A slow body is let go: its connection closes.
const MAX_TIME: Duration = Duration::from_secs(5);

/// Reads a body to its end or to a limit, in a task of its own: the answer does not wait for it.
pub(crate) fn drain<B>(body: B)
where
    B: Body + Send + 'static,
    B::Data: Send,
{
    if body.is_end_stream() {
        return;
    }
    drop(tokio::spawn(tokio::time::timeout(MAX_TIME, async move {
        let mut body = pin!(body);
        let mut left = MAX_DRAINED_BODY;
        while let Some(Ok(frame)) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            let read = frame.data_ref().map_or(0, |data| data.remaining());
            match left.checked_sub(read) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    })));
}
