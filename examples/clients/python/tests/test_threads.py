"""What other threads can do to a stream that one thread iterates, and what is left behind."""

from __future__ import annotations

import gc
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest
from server import (
    CLOSE,
    END,
    HOLD,
    PATIENCE,
    RESET,
    Server,
    answer,
    control,
    end,
    event,
    events,
    fresh,
    nothing,
    problem,
    resumed,
    token,
)

from tower_resume import End, Event, Resumable, ResumableError, StreamEvent, resumable

QUICK = {"retry_base": 0.01, "retry_max": 0.05, "idle_timeout": 20.0}


class Reader(threading.Thread):
    """Iterates a stream in a thread of its own."""

    def __init__(self, stream: Resumable) -> None:
        super().__init__(daemon=True)
        self.stream = stream
        self.seen: list[StreamEvent] = []
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.seen += list(self.stream)
        except BaseException as error:  # noqa: BLE001 - shown by `done`
            self.error = error

    def done(self) -> list[StreamEvent]:
        self.join(PATIENCE)
        assert not self.is_alive(), "the iterator still waits"
        if self.error is not None:
            raise self.error
        return self.seen


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_close_ends_a_reader_that_waits_for_an_event() -> None:
    with Server([fresh(event(1), HOLD)]) as server:
        stream = resumable(server.url)
        reader = Reader(stream)
        assert server.held.wait(PATIENCE)
        until(lambda: stream.seq == 1)
        stream.close()
        assert [type(e) for e in reader.done()] == [Event]
        assert server.left.wait(PATIENCE)
        assert stream.state == "closed"
        assert list(stream) == []


def test_close_ends_a_reader_that_waits_for_an_answer() -> None:
    with Server([nothing(HOLD)]) as server:
        stream = resumable(server.url)
        reader = Reader(stream)
        assert server.held.wait(PATIENCE)
        stream.close()
        assert reader.done() == []
        assert server.left.wait(PATIENCE)


def test_close_ends_a_reader_that_waits_for_its_next_attempt() -> None:
    with Server([problem("503 Busy", "x", Retry_After="600")]) as server:
        stream = resumable(server.url)
        reader = Reader(stream)
        until(lambda: stream.state == "waiting")
        stream.close()
        assert reader.done() == []


def test_close_over_tls(tls_server: tuple[str, ssl.SSLContext, threading.Event]) -> None:
    url, context, left = tls_server
    with httpx.Client(verify=context) as client:
        stream = resumable(url, client=client)
        reader = Reader(stream)
        until(lambda: stream.seq == 1)
        stream.close()
        assert [type(e) for e in reader.done()] == [Event]
        assert left.wait(PATIENCE)


def test_a_certificate_that_is_not_trusted_is_told_at_once(
    tls_server: tuple[str, ssl.SSLContext, threading.Event],
) -> None:
    with (
        pytest.raises(ResumableError, match=r"start_failed.*CERTIFICATE_VERIFY_FAILED"),
        resumable(tls_server[0]) as stream,
    ):
        next(stream)


def test_close_in_the_loop() -> None:
    with Server([fresh(events(1, 3), HOLD)]) as server:
        stream = resumable(server.url)
        seen = []
        for got in stream:
            seen.append(got)
            stream.close()
        assert len(seen) == 1
        assert server.left.wait(PATIENCE)


@pytest.mark.parametrize("waits", [True, False], ids=["while it waits", "between events"])
def test_disconnect_comes_back(waits: bool) -> None:
    with Server([fresh(event(1), HOLD), resumed(1, event(2), end(2), END)]) as server:
        with resumable(server.url, **QUICK) as stream:  # type: ignore[arg-type]
            stream.disconnect()
            assert isinstance(next(stream), Event)
            if waits:
                reader = Reader(stream)
                assert server.held.wait(PATIENCE)
                stream.disconnect()
                rest = reader.done()
            else:
                stream.disconnect()
                rest = list(stream)
        assert [type(e) for e in rest] == [Event, End]
        assert server.left.wait(PATIENCE)
        assert stream.stats.reconnects == 1


def test_one_thread_iterates() -> None:
    with Server([fresh(HOLD)]) as server, resumable(server.url) as stream:
        reader = Reader(stream)
        assert server.held.wait(PATIENCE)
        with pytest.raises(RuntimeError, match="another thread"):
            next(stream)
        stream.close()
        assert reader.done() == []


def test_ctrl_c_leaves_nothing_open_and_the_stream_goes_on() -> None:
    interrupted = iter([True])

    def press(state: str) -> None:
        if state == "open" and next(interrupted, False):
            raise KeyboardInterrupt

    with Server([fresh(HOLD), resumed(0, event(1), end(1), END)]) as server:
        stream = resumable(server.url, on_state=press, **QUICK)  # type: ignore[arg-type]
        with pytest.raises(KeyboardInterrupt):
            next(stream)
        assert server.left.wait(PATIENCE)
        assert [type(e) for e in stream] == [Event, End]


# Cancel.


@pytest.mark.parametrize(
    ("answers", "result"),
    [
        ([answer("204 No Content")], "ended"),
        ([answer("202 Accepted")], "asked"),
        ([nothing(RESET), answer("503 Busy"), answer("204 No Content")], "ended"),
    ],
)
def test_cancel(answers: list[object], result: str) -> None:
    with Server([fresh(event(1), HOLD), *answers]) as server:  # type: ignore[list-item]
        options = {"method": "POST", "json": {}, "headers": {"Authorization": "Bearer b"}}
        with resumable(server.url, **QUICK, **options) as stream:  # type: ignore[arg-type]
            next(stream)
            assert stream.cancel() == result
        request = server.requests[-1]
        assert (request.method, request.token, request.body) == ("DELETE", token(1), b"")
        assert request.headers["authorization"] == "Bearer b"
        assert len(server.requests) == len(answers) + 1


@pytest.mark.parametrize(
    ("refusal", "code", "status"),
    [
        (problem("403 Forbidden", "not_allowed"), "refused", 403),
        (answer("404 Not Found"), "refused", 404),
        (problem("401 Unauthorized", "token_expired"), "unauthorized", 401),
        (answer("410 Gone"), "gone", 410),
        (answer("503 Busy"), "gave_up", None),
    ],
)
def test_cancel_refused(refusal: object, code: str, status: int | None) -> None:
    with Server([fresh(event(1), HOLD), refusal]) as server, resumable(server.url, **QUICK) as stream:  # type: ignore[list-item, arg-type]
        next(stream)
        with pytest.raises(ResumableError) as raised:
            stream.cancel()
    assert (raised.value.code, raised.value.status) == (code, status)


def test_cancel_without_a_token_and_after_the_end() -> None:
    with Server([fresh(end(0), END)]) as server:
        with resumable(server.url) as stream:
            with pytest.raises(ResumableError, match="not_resumable"):
                stream.cancel()
            assert isinstance(next(stream), End)
            assert stream.cancel() == "ended"
        assert len(server.requests) == 1


def test_a_cancel_that_close_interrupts_is_aborted() -> None:
    with Server([fresh(event(1), HOLD), problem("503 Busy", "x", Retry_After="600")]) as server:
        stream = resumable(server.url)
        next(stream)
        raised: list[ResumableError] = []

        def cancel() -> None:
            try:
                stream.cancel()
            except ResumableError as error:
                raised.append(error)

        thread = threading.Thread(target=cancel, daemon=True)
        thread.start()
        until(lambda: len(server.requests) == 2)
        stream.close()
        thread.join(PATIENCE)
        assert [error.code for error in raised] == ["aborted"]
        with pytest.raises(ResumableError, match="aborted"):
            stream.cancel()


# What is left behind.


@contextmanager
def left_alone() -> Iterator[None]:
    yield
    gc.collect()


def test_an_abandoned_iterator_closes_its_connection() -> None:
    with Server([fresh(events(1, 3), HOLD)]) as server:
        with left_alone():
            for _ in resumable(server.url):
                break
        assert server.left.wait(PATIENCE)


def test_leaving_the_with_statement_closes_the_connection() -> None:
    with Server([fresh(events(1, 3), HOLD)]) as server, httpx.Client() as client:
        with pytest.raises(ZeroDivisionError), resumable(server.url, client=client) as stream:
            for _ in stream:
                raise ZeroDivisionError
        assert server.left.wait(PATIENCE)
        assert not client.is_closed


def test_a_slow_consumer_stops_the_reading() -> None:
    size = 1 << 16
    with Server([fresh(*[event(seq, "x" * size) for seq in range(1, 401)], end(400), END)]) as server:
        with resumable(server.url) as stream:
            assert isinstance(next(stream), Event)
            last = -1
            while server.sent != last:  # until the buffers of both sockets are full
                last = server.sent
                time.sleep(0.05)
            # 26 MB are to be sent. What the kernel holds is no more than a few of them.
            assert last < 300 * size
            assert len([None for e in stream if isinstance(e, Event)]) == 399


def test_the_clients_own_settings_are_kept() -> None:
    scripts = [fresh(event(1), CLOSE), resumed(1, control("live", at=1), end(1), END)]
    with (
        Server(scripts) as server,
        httpx.Client(base_url=server.url, headers={"X-App": "1"}, params={"p": "q"}) as client,
    ):
        stream = resumable("", client=client, auth=("me", "pw"), **QUICK)  # type: ignore[arg-type]
        assert [type(e) for e in stream] == [Event, End]
        assert [r.headers["x-app"] for r in server.requests] == ["1", "1"]
        assert all(r.headers["authorization"].startswith("Basic ") for r in server.requests)
        assert {r.path.partition("?")[2] for r in server.requests} == {"p=q"}
