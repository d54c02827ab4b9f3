//! The handler's body, as the recorder sees it: bytes, an error, or the end. A panic counts as an error.

use crate::share::Share;
use bytes::{Buf as _, Bytes};
use http_body::Body;
use std::{
    error::Error,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
};

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// A body with its type hidden, so that one recorder serves all.
pub(crate) trait Source: Send {
    /// The next bytes; trailers are passed over.
    fn poll_bytes(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>>;
}

/// Frames of nothing that are passed over before others get their turn.
const EMPTY_FRAMES: usize = 32;

pin_project_lite::pin_project! {
    /// A [`Source`] over a body.
    pub(crate) struct BodySource<B> {
        #[pin]
        body: B,
        _share: Option<Share>,
    }
}

impl<B> BodySource<B> {
    /// While the body is read, its stream is one of its principal's.
    pub(crate) const fn new(body: B, share: Option<Share>) -> Self {
        Self { body, _share: share }
    }
}

impl<B> Source for BodySource<B>
where
    B: Body<Data = Bytes> + Send,
    B::Error: Into<BoxError>,
{
    fn poll_bytes(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>> {
        let mut body = self.project().body;
        for _ in 0..EMPTY_FRAMES {
            // A body that has panicked is not polled again: the recorder takes this error for the end.
            let Ok(polled) = catch_unwind(AssertUnwindSafe(|| body.as_mut().poll_frame(cx))) else {
                return Poll::Ready(Some(Err("the handler's body panicked".into())));
            };
            return Poll::Ready(match ready!(polled) {
                None => None,
                Some(Err(error)) => Some(Err(error.into())),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if data.has_remaining() => Some(Ok(data)),
                    Ok(_) | Err(_) => continue,
                },
            });
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
