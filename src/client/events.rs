//! A stream of events, as its consumer has it.

mod idle;
mod run;

use super::{
    cancel::{self, Cancelled},
    error::Error,
    item::Item,
    options::Options,
    state::{State, Stats},
};
use futures_util::stream::{FusedStream, Stream};
use run::Run;
use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// A stream of events that comes back by itself when its connection is lost. Made by [`Request::send`](super::Request::send).
///
/// It is read by [`Events::next`], or as a [`Stream`]. After the end, or an error, there is nothing more.
///
/// It has no task of its own: it sends, reads and waits while it is polled. A consumer that is slow slows the
/// server's side down; what is read ahead is what one read of the connection brought. Dropping the future of `next` loses
/// nothing. Dropping the stream leaves it: the server goes on with it, and [`Request::storage`](super::Request::storage)
/// can take it up again.
pub struct Events(Inner);

enum Inner {
    Run(Box<Run>),
    /// What it was made of cannot be asked for.
    Wrong(Option<Error>),
}

impl Events {
    pub(super) fn new(options: Result<Options, Error>, on_state: Option<Box<dyn FnMut(State) + Send>>) -> Self {
        Self(match options {
            Ok(options) => Inner::Run(Box::new(Run::new(options, on_state))),
            Err(error) => Inner::Wrong(Some(error)),
        })
    }

    /// The next item; `None` once the stream is over.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the next call goes on where it was.
    pub async fn next(&mut self) -> Option<Result<Item, Error>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    const fn run(&self) -> Option<&Run> {
        match &self.0 {
            Inner::Run(run) => Some(run),
            Inner::Wrong(_) => None,
        }
    }

    /// The newest token: it stands for this client's place in the stream, and lets its holder read the stream, so it
    /// is a secret. `None` before the server has given one.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.run()?.cursor().token()
    }

    /// The last event that was yielded, or was told to be gone; 0 before the first.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.run().map_or(0, |run| run.cursor().seq())
    }

    /// The server's name for the stream. `None` before the server has given one.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.run()?.cursor().request_id()
    }

    /// What it has been through.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.run().map_or_else(Stats::default, Run::stats)
    }

    /// What it is busy with.
    #[must_use]
    pub fn state(&self) -> State {
        match &self.0 {
            Inner::Run(run) => run.state(),
            Inner::Wrong(Some(_)) => State::Idle,
            Inner::Wrong(None) => State::Failed,
        }
    }

    /// Stops the server's side of the stream, on whichever node it runs. The stream goes on to be read: its
    /// [`End`](super::Item::End) is still to come.
    ///
    /// # Errors
    ///
    /// If there is no token yet, if the token does not allow it, or if no attempt got through.
    pub fn cancel(&self) -> impl Future<Output = Result<Cancelled, Error>> + Send + use<> {
        let options = self.run().map(|run| Arc::clone(run.options()));
        cancel::cancel(options, self.token().map(str::to_owned))
    }

    /// Cuts the connection, as a network would. The stream comes back by itself. For tests and demonstrations.
    pub fn disconnect(&mut self) {
        if let Inner::Run(run) = &mut self.0 {
            run.disconnect();
        }
    }
}

impl Stream for Events {
    type Item = Result<Item, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match &mut self.0 {
            Inner::Run(run) => run.poll_next(cx),
            Inner::Wrong(error) => Poll::Ready(error.take().map(Err)),
        }
    }
}

impl FusedStream for Events {
    fn is_terminated(&self) -> bool {
        matches!(self.state(), State::Ended | State::Failed)
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("options", &self.run().map(Run::options))
            .field("state", &self.state())
            .field("seq", &self.seq())
            .field("request_id", &self.request_id())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
