//! The body of every response that leaves the layer.

use crate::{
    reader::{CUT_DELAY, Cut, Reader},
    source::BoxError,
};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::time::{Instant, Sleep, sleep_until};

pin_project_lite::pin_project! {
    /// The body of a response that has gone through the layer.
    ///
    /// Of a response that the layer left alone it is the handler's own, untouched: same frames, same trailers, same
    /// size. Of a stream it is what a reader gives: an error then is an abrupt end, after which the client resumes.
    pub struct ResumeBody<B> {
        #[pin]
        inner: Inner<B>,
    }
}

pin_project_lite::pin_project! {
    #[project = InnerProj]
    enum Inner<B> {
        Passed { #[pin] body: B },
        Read { reader: Box<Reader> },
        Whole { data: Bytes },
        /// Said, and then cut short.
        Cut { data: Option<Bytes>, after: Option<Pin<Box<Sleep>>> },
    }
}

impl<B> ResumeBody<B> {
    pub(crate) const fn passed(body: B) -> Self {
        Self { inner: Inner::Passed { body } }
    }

    pub(crate) fn read(reader: Reader) -> Self {
        Self { inner: Inner::Read { reader: Box::new(reader) } }
    }

    pub(crate) const fn whole(data: Bytes) -> Self {
        Self { inner: Inner::Whole { data } }
    }

    pub(crate) const fn cut(data: Bytes) -> Self {
        Self { inner: Inner::Cut { data: Some(data), after: None } }
    }
}

impl<B> fmt::Debug for ResumeBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.inner {
            Inner::Passed { .. } => "passed",
            Inner::Read { .. } => "read",
            Inner::Whole { .. } => "whole",
            Inner::Cut { .. } => "cut",
        };
        f.debug_tuple("ResumeBody").field(&kind).finish()
    }
}

impl<B> Body for ResumeBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.project().inner.project() {
            InnerProj::Passed { body } => body.poll_frame(cx).map_err(Into::into),
            InnerProj::Read { reader } => {
                reader.poll_bytes(cx).map(|bytes| bytes.map(|bytes| bytes.map(Frame::data).map_err(Into::into)))
            }
            InnerProj::Whole { data } if data.is_empty() => Poll::Ready(None),
            InnerProj::Whole { data } => Poll::Ready(Some(Ok(Frame::data(std::mem::take(data))))),
            InnerProj::Cut { data, after } => {
                if let Some(data) = data.take() {
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                let sleep = after.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + CUT_DELAY)));
                ready!(sleep.as_mut().poll(cx));
                Poll::Ready(Some(Err(Cut.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Inner::Passed { body } => body.is_end_stream(),
            Inner::Read { reader } => reader.is_done(),
            Inner::Whole { data } => data.is_empty(),
            Inner::Cut { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Inner::Passed { body } => body.size_hint(),
            Inner::Whole { data } => SizeHint::with_exact(data.len() as u64),
            Inner::Read { .. } | Inner::Cut { .. } => SizeHint::default(),
        }
    }
}
