"""A token opens a stream: it is in no repr, no text and no log line of this package."""

from __future__ import annotations

import logging
import traceback

import pytest
from faces import Face
from server import CLOSE, END, RESET, Server, answer, control, end, event, fresh, nothing, problem, resumed

from tower_resume import FileStorage, MemoryStorage, ResumableError, aresumable, resumable
from tower_resume._core import Core
from tower_resume._settings import Settings
from tower_resume._steps import Send

MARK = "cy"  # base64 of "s-": all tokens of these tests begin so


def test_no_token_in_reprs_and_logs(face: Face, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="tower_resume")
    scripts = [
        fresh(event(1), CLOSE),
        nothing(RESET),
        answer("503 Busy"),
        answer("503 Busy"),
        resumed(1, event(2), control("gap", at=4, from_=3, to=4, reason="lost"), CLOSE),
        problem("401 Unauthorized", "token_expired"),
    ]
    with Server(scripts) as server:
        outcome = face(server.url + "?api_key=hidden", control=True)
    assert server.requests[-1].token is not None
    assert server.requests[-1].token.startswith(MARK)
    assert outcome.code == "unauthorized"
    assert any(record.levelno == logging.WARNING for record in caplog.records)
    told = [
        *map(repr, outcome.seen),
        *(record.getMessage() for record in caplog.records if record.name == "tower_resume"),
    ]
    assert outcome.error is not None
    told += [str(outcome.error), repr(outcome.error), *traceback.format_exception(outcome.error)]
    for text in told:
        assert MARK not in text
        assert "hidden" not in text


def test_no_token_in_the_reprs_of_what_holds_one() -> None:
    storage = MemoryStorage()
    storage.set("k", "cysecret")
    with Server([fresh(event(1), end(1), END)]) as server, resumable(server.url, storage=storage) as stream:
        next(stream)
        assert stream.token is not None
        assert stream.token.startswith(MARK)
        assert MARK not in f"{stream!r} {storage!r}"
        assert repr(stream) == "<Resumable open, seq 1, stream request-s>"
        for step in (Send(start=True, headers={"X-Resume-Token": stream.token}),):
            assert MARK not in repr(step)
    assert MARK not in repr(aresumable("http://127.0.0.1/", storage=FileStorage(".")))


def test_the_core_itself_says_nothing() -> None:
    core = Core(Settings(url="http://user:hidden@host/path?key=hidden", method="POST"))
    core.next_step()
    core.lost("broken")
    finish = core.next_step()
    error = getattr(finish, "error", None)
    assert isinstance(error, ResumableError)
    assert "http://host/path" in str(error)
    assert "hidden" not in str(error)
