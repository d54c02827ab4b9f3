"""The decisions, with a clock and a random number of the test's own, and no IO at all."""

from __future__ import annotations

import json

import pytest
from server import control, end, event, events, token

from tower_resume import End, Event, ResumableError, StreamEvent
from tower_resume._answers import Head
from tower_resume._core import MIN_RETRY, Core
from tower_resume._cursor import Cursor
from tower_resume._settings import Settings
from tower_resume._steps import Deliver, Finish, Load, Read, ReadProblem, Send, Step, Store, Wait

NOW = 1_000_000.0
TTL = 600.0


class Driven:
    """A core and its driver, in a test's hands."""

    def __init__(self, **options: object) -> None:
        self.now = NOW
        self.luck = 1.0
        settings = Settings(url="http://host/stream", **options)  # type: ignore[arg-type]
        self.core = Core(settings, clock=lambda: self.now, rng=lambda: self.luck)
        self.seen: list[StreamEvent] = []

    def step(self) -> Step:
        """The next step that is no delivery."""
        while isinstance(step := self.core.next_step(), Deliver):
            self.seen.append(step.event)
            self.core.asked()
        return step

    def send(self) -> Send:
        step = self.step()
        assert isinstance(step, Send)
        return step

    def wait(self) -> float:
        step = self.step()
        assert isinstance(step, Wait)
        return step.seconds

    def fail(self) -> ResumableError:
        step = self.step()
        assert isinstance(step, Finish)
        assert step.error is not None
        return step.error

    def opens(self, *texts: str, at: int = 0, **headers: str) -> None:
        self.core.responded(Head(200, {"content-type": "text/event-stream", "x-resume-token": token(at)} | headers))
        for text in texts:
            self.core.received(text.encode())

    def starts(self, *texts: str) -> None:
        self.send()
        self.opens(control("open", expires_at=round((self.now + TTL) * 1000)), *texts)
        assert isinstance(self.step(), Read)

    def answered(self, status: int, **headers: str) -> None:
        self.core.responded(Head(status, headers))
        assert isinstance(self.step(), ReadProblem)
        self.core.explained(b"")


def test_back_off_doubles_and_an_event_begins_anew() -> None:
    driven = Driven()
    driven.starts(event(1))
    driven.core.lost("reset")
    waits = [driven.wait()]
    for _ in range(7):
        driven.core.waited()
        driven.send()
        driven.core.lost("refused")
        waits.append(driven.wait())
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    driven.core.waited()
    driven.send()
    driven.opens(control("replay", at=1, from_=1, expires_at=round((NOW + TTL) * 1000)), event(2), at=1)
    assert isinstance(driven.step(), Read)
    driven.core.lost("reset")
    assert driven.wait() == 1.0


def test_full_jitter() -> None:
    driven = Driven(retry_base=8.0)
    driven.luck = 0.25
    driven.starts()
    driven.core.lost("reset")
    assert driven.wait() == 2.0


@pytest.mark.parametrize(("told", "seconds"), [("250", 0.25), ("0", MIN_RETRY), ("99999999999999", 30.0)])
def test_the_servers_retry_is_the_base(told: str, seconds: float) -> None:
    driven = Driven()
    driven.starts(f"retry: {told}\n\n")
    driven.core.lost("reset")
    assert driven.wait() == seconds


def test_retry_after_is_the_least_also_as_a_date_of_a_server_whose_clock_is_wrong() -> None:
    driven = Driven()
    driven.luck = 0.0
    driven.starts(event(1))
    driven.core.lost("reset")
    driven.wait()
    driven.core.waited()
    driven.send()
    driven.answered(503, **{"retry-after": "7"})
    assert driven.wait() == 7.0
    driven.core.waited()
    driven.send()
    wrong = {"date": "Thu, 01 Jan 1970 00:00:00 GMT", "retry-after": "Thu, 01 Jan 1970 00:00:09 GMT"}
    driven.answered(503, **wrong)
    assert driven.wait() == pytest.approx(9.0)


def test_the_tokens_time_ends_the_attempts() -> None:
    driven = Driven()
    driven.starts(event(1))
    driven.now += TTL / 2
    driven.core.received(event(2).encode())  # its token lives as long as the first one did
    assert isinstance(driven.step(), Read)
    driven.core.lost("reset")
    driven.now += TTL - 10
    attempts = 0
    while isinstance(step := driven.step(), Wait):
        driven.now += step.seconds
        driven.core.waited()
        driven.send()
        driven.core.lost("nobody there")
        attempts += 1
    assert driven.now == NOW + TTL / 2 + TTL
    assert isinstance(step, Finish)
    assert step.error is not None
    assert (step.error.code, step.error.needs_new_start) == ("unauthorized", True)
    assert "nobody there" in str(step.error)
    assert attempts == 4


def test_a_retry_after_beyond_the_tokens_time_is_not_waited_for() -> None:
    driven = Driven()
    driven.starts(event(1))
    driven.core.lost("reset")
    driven.wait()
    driven.core.waited()
    driven.send()
    driven.answered(503, **{"retry-after": str(int(TTL) + 1)})
    assert driven.fail().code == "unauthorized"


def test_a_clock_that_is_wrong_here_does_not_end_the_attempts() -> None:
    driven = Driven()
    driven.send()
    behind = NOW - 86_400  # the server's clock, or else ours is a day ahead
    date = "Tue, 11 Jan 1970 13:46:40 GMT"
    driven.opens(control("open", expires_at=round((behind + TTL) * 1000)), event(1), date=date)
    assert isinstance(driven.step(), Read)
    driven.core.lost("reset")
    driven.wait()
    driven.core.waited()
    driven.send()
    driven.core.lost("refused")
    assert driven.wait() == 2.0


def test_a_lost_connection_is_asked_for_once_even_if_the_token_seems_old() -> None:
    driven = Driven()
    driven.starts(event(1))
    driven.now += 10 * TTL
    driven.core.lost("the machine slept")
    assert driven.wait() == 0.0
    driven.core.waited()
    assert not driven.send().start
    driven.answered(401)
    assert driven.fail().code == "unauthorized"


def test_heartbeats_of_a_layer_are_progress_and_comments_of_others_are_not() -> None:
    for layer, code in ((True, None), (False, "gave_up")):
        driven = Driven(max_attempts=2)
        headers = {"content-type": "text/event-stream"} | ({"x-resume-token": token(0)} if layer else {})
        step: Step = driven.step()
        for _ in range(5):
            if not isinstance(step, Send):
                break
            driven.core.responded(Head(200, headers))
            driven.core.received((control("replay", from_=0) if layer else "").encode() + b": heartbeat\n\n")
            assert isinstance(driven.step(), Read)
            driven.core.lost("reset")
            step = driven.step()
            if isinstance(step, Wait):
                driven.core.waited()
                step = driven.step()
        error = step.error if isinstance(step, Finish) else None
        assert (error.code if error else None) == code


def test_what_was_seen_is_stored_before_the_next_event_is_handed_over() -> None:
    driven = Driven(storage_key="k", method="POST")
    assert isinstance(driven.core.next_step(), Load)
    driven.core.loaded(None)
    driven.send()
    driven.opens(control("open"), events(1, 2))
    first = driven.core.next_step()
    assert isinstance(first, Deliver)
    driven.core.asked()
    store = driven.core.next_step()
    assert isinstance(store, Store)
    assert store.text is not None
    kept = json.loads(store.text)
    assert (kept["token"], kept["seq"], kept["request_id"], kept["expires_at"]) == (
        token(1),
        1,
        "request-s",
        4_000_000_000_000,
    )
    second = driven.core.next_step()
    assert isinstance(second, Deliver)
    driven.core.close()
    assert driven.core.next_step() == Finish(None)


def test_an_end_is_the_end_whatever_comes_behind() -> None:
    driven = Driven()
    driven.send()
    driven.opens(control("open"), event(1), end(1), event(2))
    assert driven.step() == Finish(None)
    assert [type(e) for e in driven.seen] == [Event, End]
    driven.core.lost("reset")
    assert driven.step() == Finish(None)


def test_without_positions_a_token_is_used_only_where_it_stands() -> None:
    """Control events under a name that the client was not told."""
    driven = Driven()
    driven.send()
    driven.opens("event: flow\ndata: {}\n\ndata: 1\n\n")
    assert isinstance(driven.step(), Read)
    driven.core.lost("reset")
    assert driven.fail().code == "not_resumable"


def test_cursor_texts_come_back_as_they_were() -> None:
    cursor = Cursor()
    cursor.adopt(token(0), seq=0)
    cursor.place(0)
    cursor.count()
    cursor.expires(5_000, now=1.0)
    copy = Cursor.from_text(cursor.to_text(), now=1.0)
    assert copy is not None
    assert copy.to_text() == cursor.to_text()
    assert copy.explicit == 1
    assert (copy.expired(4.9), copy.expired(5.0)) == (False, True)


@pytest.mark.parametrize("bad", ["", "a b", "a" * 151, "tök", 5, None])
def test_what_is_no_token_is_not_adopted(bad: object) -> None:
    cursor = Cursor()
    assert not cursor.adopt(bad, seq=0)
    assert cursor.token is None
