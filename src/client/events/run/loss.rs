//! What a loss comes to: another attempt, a new start, or an error.

use super::{Flow, Phase, Run};
use crate::client::{
    answer::Kind,
    cursor::Cursor,
    error::{BoxError, Error},
    failures,
    item::Item,
    state::State,
};
use std::{
    mem,
    ops::ControlFlow::{Break, Continue},
    time::Duration,
};
use tokio::time::sleep;

impl Run {
    /// The connection is lost.
    pub(super) fn lost(&mut self, why: BoxError) -> Flow {
        let Phase::Open(open) = &self.phase else { return Continue(()) };
        // One that was open for long was no failure, though nothing came: streams can be quiet.
        let fruitful = open.fruitful || open.since.elapsed() >= self.options.retry_max;
        let kind = match (self.cursor.is_plain(), self.options.method.is_safe()) {
            (false, _) => Kind::Resume,
            (true, true) => Kind::Reconnect,
            (true, false) => return self.fail(failures::not_resumable().with_source(why)),
        };
        if fruitful {
            self.backoff.reset();
            tracing::debug!(error = %why, seq = self.cursor.seq(), "the connection was lost");
            return self.wait(kind, None);
        }
        self.failed(kind, None, why)
    }

    /// An attempt has brought nothing.
    pub(super) fn failed(&mut self, kind: Kind, after: Option<Duration>, why: BoxError) -> Flow {
        tracing::debug!(error = %why, seq = self.cursor.seq(), "an attempt has failed");
        if !self.backoff.fail() {
            return self.fail(failures::gave_up(self.backoff.failed(), why));
        }
        self.wait(kind, after)
    }

    fn wait(&mut self, kind: Kind, after: Option<Duration>) -> Flow {
        let mut wait = self.backoff.wait(after);
        if kind == Kind::Resume && self.backoff.failed() > 0 {
            // Beyond the token's time there is nothing to wait for.
            wait = wait.min(self.cursor.time_left().unwrap_or(wait));
        }
        self.phase = Phase::Waiting(kind, Box::pin(sleep(wait)));
        self.enter(State::Waiting);
        Continue(())
    }

    /// This stream is out of reach for good.
    pub(super) fn needs_start(&mut self, error: Error) -> Flow {
        self.shelf.clear();
        if !self.options.restart {
            return self.fail(error);
        }
        if !self.backoff.fail() {
            return self.fail(failures::gave_up(self.backoff.failed(), error.into()));
        }
        self.cursor = Cursor::default();
        self.key = self.new_key();
        let _waiting = self.wait(Kind::Start, None);
        Break(Some(Ok(Item::Restart)))
    }

    pub(super) fn over(&mut self) -> Flow {
        self.shelf.clear();
        self.phase = Phase::Done;
        self.enter(State::Ended);
        Break(None)
    }

    pub(super) fn fail(&mut self, error: Error) -> Flow {
        self.phase = Phase::Done;
        self.enter(State::Failed);
        Break(Some(Err(error)))
    }

    pub(super) fn enter(&mut self, state: State) {
        if mem::replace(&mut self.state, state) != state
            && let Some(on_state) = &mut self.on_state
        {
            on_state(state);
        }
    }
}
