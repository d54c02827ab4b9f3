//! The stream's own course: ask, read, lose, wait, ask again.

mod loss;

use super::super::{
    answer::{self, Answer, Kind, Refusal, Verdict},
    backoff::Backoff,
    cursor::{self, Cursor, Taken},
    error::{BoxError, Error},
    failures,
    item::Item,
    options::{self, Key, Options},
    parser::{Block, Parser},
    shelf::Shelf,
    state::{State, Stats},
    transport::{Body, NoTls, Outgoing},
};
use super::idle::Idle;
use crate::RequestId;
use futures_util::{FutureExt as _, future::BoxFuture, ready};
use http::HeaderValue;
use std::{
    mem,
    ops::ControlFlow::{self, Break, Continue},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::time::{Instant, Sleep, timeout};

/// How many answers in a row that are no event streams are taken for passing ones: a proxy's page, say.
const STRANGE_ANSWERS: u32 = 3;

/// Goes on, or yields; `None` is the end.
type Flow = ControlFlow<Option<Result<Item, Error>>>;

pub(super) struct Run {
    options: Arc<Options>,
    on_state: Option<Box<dyn FnMut(State) + Send>>,
    shelf: Shelf,
    state: State,
    stats: Stats,
    phase: Phase,
    cursor: Cursor,
    backoff: Backoff,
    /// The key of the present start.
    key: Option<HeaderValue>,
    /// How many answers in a row were no event streams.
    strange: u32,
    /// Whether the consumer has not shown yet that it has seen the last item: by asking for the next one.
    unseen: bool,
    /// Whether the connection is to be cut.
    cut: bool,
}

enum Phase {
    Idle,
    Connecting(Kind, BoxFuture<'static, Result<Answer, BoxError>>),
    Open(Box<Open>),
    Waiting(Kind, Pin<Box<Sleep>>),
    Done,
}

/// A response that is being read.
struct Open {
    kind: Kind,
    body: Body,
    parser: Parser,
    idle: Idle,
    since: Instant,
    /// Whether it has brought something.
    fruitful: bool,
}

impl Run {
    pub(super) fn new(options: Options, on_state: Option<Box<dyn FnMut(State) + Send>>) -> Self {
        let shelf = Shelf::new(options.storage.clone(), options.storage_key());
        let backoff = Backoff::new(options.retry_base, options.retry_max, options.max_attempts);
        Self {
            options: Arc::new(options),
            on_state,
            shelf,
            state: State::Idle,
            stats: Stats::default(),
            phase: Phase::Idle,
            cursor: Cursor::default(),
            backoff,
            key: None,
            strange: 0,
            unseen: false,
            cut: false,
        }
    }

    pub(super) const fn options(&self) -> &Arc<Options> {
        &self.options
    }

    pub(super) const fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    pub(super) const fn stats(&self) -> Stats {
        self.stats
    }

    pub(super) const fn state(&self) -> State {
        self.state
    }

    pub(super) const fn disconnect(&mut self) {
        self.cut = matches!(self.phase, Phase::Open(_));
    }

    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Item, Error>>> {
        if mem::take(&mut self.unseen) {
            self.shelf.put(&self.cursor);
        }
        if mem::take(&mut self.cut)
            && let Break(item) = self.lost("it was cut on purpose".into())
        {
            return Poll::Ready(item);
        }
        loop {
            if let Break(item) = ready!(self.poll_step(cx)) {
                return Poll::Ready(item);
            }
        }
    }

    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Flow> {
        Poll::Ready(match &mut self.phase {
            Phase::Idle => self.first(),
            Phase::Connecting(kind, exchange) => {
                let (kind, answer) = (*kind, ready!(exchange.poll_unpin(cx)));
                self.answered(kind, answer)
            }
            Phase::Open(open) => match open.parser.next() {
                Some(block) => self.block(block),
                None => match ready!(open.poll_read(cx)) {
                    Ok(()) => Continue(()),
                    Err(why) => self.lost(why),
                },
            },
            Phase::Waiting(kind, sleep) => {
                let kind = *kind;
                ready!(sleep.poll_unpin(cx));
                self.stats.reconnects += 1;
                self.connect(kind)
            }
            Phase::Done => Break(None),
        })
    }

    /// Takes up the stream that was kept, or starts one.
    fn first(&mut self) -> Flow {
        match self.shelf.take_up(self.options.resume_from) {
            Some(cursor) => {
                self.cursor = cursor;
                self.connect(Kind::Resume)
            }
            None => {
                self.key = self.new_key();
                self.connect(Kind::Start)
            }
        }
    }

    fn new_key(&self) -> Option<HeaderValue> {
        match &self.options.key {
            Key::None => None,
            Key::Given(key) => Some(key.clone()),
            Key::Random => HeaderValue::from_str(&RequestId::random().to_string()).ok(),
        }
    }

    fn connect(&mut self, kind: Kind) -> Flow {
        let request = match kind {
            Kind::Start => self.options.start(self.key.clone()),
            Kind::Resume => {
                // The first attempt is made in any case: it is the server's clock that counts.
                if self.backoff.failed() > 0 && self.cursor.is_expired() {
                    return self.needs_start(failures::expired());
                }
                let Some(token) = self.cursor.token().and_then(options::secret) else {
                    return self.fail(failures::not_resumable());
                };
                self.options.resume(token, self.cursor.from())
            }
            Kind::Reconnect => self.options.reconnect(options::secret(self.cursor.last_id())),
        };
        self.phase = Phase::Connecting(kind, self.exchange(kind, request));
        self.enter(State::Connecting);
        Continue(())
    }

    fn exchange(&self, kind: Kind, request: Outgoing) -> BoxFuture<'static, Result<Answer, BoxError>> {
        let options = Arc::clone(&self.options);
        let patience = options.idle_timeout.filter(|_| kind != Kind::Start || options.is_repeatable());
        let late = || BoxError::from("no answer came in time");
        async move {
            let sent = async {
                let request = options::complete(request, options.more_headers.clone()).await?;
                options.transport.send(request).await
            };
            let response = match patience {
                Some(most) => timeout(most, sent).await.map_err(|_| late())??,
                None => sent.await?,
            };
            let read = answer::read(response);
            match options.idle_timeout {
                Some(most) => timeout(most, read).await.map_err(|_| late()),
                None => Ok(read.await),
            }
        }
        .boxed()
    }

    fn answered(&mut self, kind: Kind, answer: Result<Answer, BoxError>) -> Flow {
        let repeatable = self.options.is_repeatable();
        match answer {
            Ok(Answer::Stream { head, body }) => {
                self.strange = 0;
                self.cursor.begin(head.token.as_deref(), head.stream.as_deref(), head.skew);
                self.shelf.put(&self.cursor);
                self.phase = Phase::Open(Box::new(Open {
                    kind,
                    body,
                    parser: Parser::new(self.options.max_event_bytes),
                    idle: Idle::new(self.options.idle_timeout),
                    since: Instant::now(),
                    fruitful: false,
                }));
                self.enter(State::Open);
                Continue(())
            }
            Ok(Answer::Status(refusal)) => self.refused(kind, refusal),
            Ok(Answer::NotEvents { content_type }) => {
                self.strange += 1;
                let error = failures::not_events(&self.options, kind, &content_type);
                if kind == Kind::Start || self.strange > STRANGE_ANSWERS {
                    return self.fail(error);
                }
                self.failed(kind, None, error.into())
            }
            Err(why) if why.is::<NoTls>() => self.fail(failures::no_tls().with_source(why)),
            Err(why) if kind == Kind::Start && !repeatable => self.fail(failures::start_lost().with_source(why)),
            Err(why) => self.failed(kind, None, why),
        }
    }

    fn refused(&mut self, kind: Kind, refusal: Refusal) -> Flow {
        let Refusal { status, after, .. } = refusal;
        match refusal.verdict(kind, self.options.is_repeatable()) {
            Verdict::Over => self.over(),
            Verdict::Again => self.failed(kind, after, failures::busy(status, refusal.code).into()),
            Verdict::Lost => self.fail(failures::start_lost().with_status(status, refusal.code)),
            Verdict::Unauthorized => self.needs_start(failures::unauthorized(status, refusal.code)),
            Verdict::Gone => self.needs_start(failures::gone(status, refusal.code)),
            Verdict::Refused => self.fail(failures::refused(&self.options, kind, status, refusal.code)),
        }
    }

    fn block(&mut self, block: Block) -> Flow {
        let Phase::Open(open) = &mut self.phase else { return Continue(()) };
        if let Some(retry) = cursor::retry(&block) {
            self.backoff.set_base(retry);
        }
        let taken = self.cursor.take(block, &self.options.control_event, open.kind == Kind::Resume);
        match &taken {
            Taken::Item(item) => {
                open.fruitful = true;
                self.backoff.reset();
                match item {
                    Item::Gap(gap) => self.stats.missed += gap.to - gap.from + 1,
                    Item::Event(_) => self.stats.received += 1,
                    _ => {}
                }
            }
            Taken::Duplicate => self.stats.duplicates += 1,
            // All that came before has been seen, and there may be a new token.
            Taken::Control(_) => self.shelf.put(&self.cursor),
            _ => {}
        }
        match taken {
            Taken::Item(item) => {
                self.unseen = true;
                Break(Some(Ok(item)))
            }
            Taken::Nothing | Taken::Duplicate => Continue(()),
            // The response that says `wait` ends by itself, and has brought nothing: that is a loss like any other.
            Taken::Control(control) if self.options.control => Break(Some(Ok(Item::Control(control)))),
            Taken::Control(_) => Continue(()),
            Taken::End(end) => {
                let _over = self.over();
                Break(Some(Ok(Item::End(end))))
            }
            Taken::Foreign => self.fail(failures::another_stream(&self.options)),
            Taken::TooLarge => self.fail(failures::too_large(self.options.max_event_bytes)),
        }
    }
}

impl Open {
    /// Reads what there is into the parser. An error is the connection's end.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self.body.as_mut().poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.idle.pause();
                if let Ok(bytes) = frame.into_data() {
                    self.parser.push(bytes);
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Some(Err(why))) => Poll::Ready(Err(why)),
            Poll::Ready(None) => Poll::Ready(Err("the response ended before the stream did".into())),
            Poll::Pending => self.idle.poll(cx).map(|()| Err("the connection has fallen silent".into())),
        }
    }
}

#[cfg(test)]
mod tests;
