"""One test for each code, with each of the iterators: what the error says, and what it does not."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from faces import Face
from server import CLOSE, END, RESET, Script, Server, answer, event, fresh, nothing, problem, stream

from tower_resume import FileStorage, ResumableError, aresumable, resumable


@contextmanager
def nobody() -> Iterator[str]:
    """An address at which nobody listens, nor will meanwhile: its port is taken."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "/stream",
        "ftp://host/x",
        "http://",
        "http://user:secret@/x?key=secret",
        "http://a b/",
        "http://x:99999/",
    ],
)
def test_bad_url_at_once(url: str) -> None:
    for make in (resumable, aresumable):
        with pytest.raises(ResumableError) as raised:
            make(url)
        assert raised.value.code == "bad_url"
        assert "secret" not in f"{raised.value} {raised.value!r} {raised.value.__cause__}"
    with pytest.raises(ResumableError, match="bad_url"):
        resumable("http://127.0.0.1/", resume_url=url)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"idle_timeout": -1}, "idle_timeout"),
        ({"retry_max": float("nan")}, "retry_max"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"max_event_bytes": 0}, "max_event_bytes"),
        ({"resume_from": "here"}, "resume_from"),
        ({"control_event": ""}, "control_event"),
        ({"idempotency_key": ""}, "idempotency_key"),
        ({"idempotency_key": "a\nb"}, "idempotency_key"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        resumable("http://127.0.0.1/", **options)  # type: ignore[arg-type]


def test_an_unknown_option_is_named() -> None:
    with pytest.raises(TypeError, match="retries"):
        resumable("http://127.0.0.1/", retries=3)  # type: ignore[call-arg]


def test_not_event_stream(face: Face) -> None:
    with Server([answer("200 OK", "<html>", Content_Type="text/html")]) as server:
        outcome = face(server.url)
    assert outcome.code == "not_event_stream"
    assert "text/html" in str(outcome.error)
    assert outcome.state == "failed"


def test_not_event_stream_on_resumes(face: Face) -> None:
    portal = answer("200 OK", "<html>", Content_Type="text/html")
    with Server([fresh(event(1), CLOSE), portal]) as server:
        outcome = face(server.url)
    assert outcome.code == "not_event_stream"
    assert len(server.requests) == 5


@pytest.mark.parametrize("first", [nothing(RESET), answer("502 Bad Gateway")], ids=["lost", "502"])
def test_start_failed_after_one_post(face: Face, first: Script) -> None:
    with Server([first]) as server:
        outcome = face(server.url, method="POST", content=b"x")
    assert outcome.code == "start_failed"
    assert "idempotency_key" in str(outcome.error)
    assert len(server.requests) == 1


def test_start_failed_where_nobody_listens(face: Face) -> None:
    with nobody() as url:
        outcome = face(url, method="POST", content=b"x")
    assert outcome.code == "start_failed"
    assert "ConnectError" in str(outcome.error)
    assert "carried out" not in str(outcome.error)


def test_start_failed_on_a_header_that_cannot_be_sent(face: Face) -> None:
    with Server([fresh(END)]) as server:
        outcome = face(server.url, headers={"X-Bad": "a\nb"})
    assert outcome.code == "start_failed"
    assert not server.requests


def test_not_resumable(face: Face) -> None:
    with Server([stream("data: 1\n\n", END, at=None, headers={"X-Resume-Degraded": "capacity"})]) as server:
        outcome = face(server.url, method="POST", content=b"x")
    assert [e.data for e in outcome.seen] == ["1"]  # type: ignore[union-attr]
    assert outcome.code == "not_resumable"
    assert "capacity" in str(outcome.error)
    assert len(server.requests) == 1


@pytest.mark.parametrize("second", [fresh(event(1), END), stream("data: 1\n\n", END, at=None)], ids=["layer", "plain"])
def test_not_resumable_where_a_resume_begins_anew(face: Face, second: Script) -> None:
    with Server([fresh(event(1), CLOSE), second]) as server:
        outcome = face(server.url)
    assert outcome.code == "not_resumable"
    assert len(outcome.seen) == 1


def test_unauthorized(face: Face) -> None:
    with Server([fresh(event(1), CLOSE), problem("401 Unauthorized", "token_expired")]) as server:
        outcome = face(server.url)
    assert isinstance(outcome.error, ResumableError)
    assert (outcome.error.code, outcome.error.status, outcome.error.problem) == ("unauthorized", 401, "token_expired")
    assert outcome.error.needs_new_start


def test_unauthorized_at_the_start_is_about_the_caller(face: Face) -> None:
    with Server([answer("401 Unauthorized")]) as server:
        outcome = face(server.url, restart=True)
    assert outcome.error is not None
    assert (outcome.code, outcome.error.needs_new_start) == ("unauthorized", False)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", ["426 Upgrade Required", "410 Gone"])
def test_gone(face: Face, status: str) -> None:
    with Server([fresh(event(1), CLOSE), problem(status, "stream_expired")]) as server:
        outcome = face(server.url)
    assert isinstance(outcome.error, ResumableError)
    assert (outcome.error.code, outcome.error.problem) == ("gone", "stream_expired")
    assert outcome.error.needs_new_start


@pytest.mark.parametrize(
    ("before", "status", "hint"),
    [
        (False, "404 Not Found", "is the URL right?"),
        (False, "302 Found", "follow_redirects"),
        (False, "409 Conflict", "HTTP 409"),
        (True, "404 Not Found", "is resume_url right?"),
        (True, "405 Method Not Allowed", "is resume_url right?"),
        (True, "400 Bad Request", "HTTP 400"),
        (True, "422 Unprocessable", "HTTP 422"),
    ],
)
def test_refused(face: Face, before: bool, status: str, hint: str) -> None:
    scripts = [fresh(event(1), CLOSE)] if before else []
    with Server([*scripts, answer(status)]) as server:
        outcome = face(server.url)
    assert isinstance(outcome.error, ResumableError)
    assert (outcome.error.code, outcome.error.status) == ("refused", int(status[:3]))
    assert hint in str(outcome.error)
    assert not outcome.error.needs_new_start
    assert len(server.requests) == len(scripts) + 1


def test_gave_up(face: Face) -> None:
    with nobody() as url:
        outcome = face(url, max_attempts=3)
    assert outcome.code == "gave_up"
    assert "3 attempts" in str(outcome.error)
    assert "ConnectError" in str(outcome.error)


def test_gave_up_counts_what_brings_nothing(face: Face) -> None:
    with Server([fresh(event(1), CLOSE), fresh_again(), answer("503 Busy")]) as server:
        outcome = face(server.url, max_attempts=4)
    assert (outcome.code, outcome.error.status if outcome.error else None) == ("gave_up", 503)
    assert len(server.requests) == 5


def fresh_again() -> Script:
    """A resume that brings its greeting and no more."""
    script = fresh(CLOSE)
    script.parts = (str(script.parts[0]).replace('"phase": "open"', '"phase": "replay", "from": 1'), CLOSE)
    return script


def test_too_large(face: Face) -> None:
    with Server([fresh(event(1), "data: " + "x" * 5000)]) as server:
        outcome = face(server.url, max_event_bytes=1000)
    assert len(outcome.seen) == 1
    assert outcome.code == "too_large"
    assert "1000" in str(outcome.error)


@pytest.mark.parametrize("body", ["[" * 100_000, "{", "[]", '{"code": 5}', '{"code": "a\\nb"}', "\xff"])
def test_a_garbled_problem_is_no_problem(face: Face, body: str) -> None:
    with Server([answer("400 Bad Request", body, Content_Type="application/problem+json")]) as server:
        outcome = face(server.url)
    assert outcome.error is not None
    assert (outcome.code, outcome.error.problem) == ("refused", None)


def test_an_error_comes_once_and_then_the_iteration_is_over(tmp_path: object) -> None:
    with Server([answer("404 Not Found")]) as server, resumable(server.url, storage=FileStorage(str(tmp_path))) as it:
        with pytest.raises(ResumableError):
            next(it)
        assert list(it) == []
