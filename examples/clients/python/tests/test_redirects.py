"""A token goes to the origin that it is of, and to no other."""

from __future__ import annotations

import httpx
import pytest
from faces import QUICK, Face, Outcome, sync_face
from server import CLOSE, END, Server, answer, control, end, event, fresh, resumed

from tower_resume import Event, ResumableError, resumable


def following(face: Face, url: str) -> Outcome:
    """By a client that follows redirects."""
    make = httpx.Client if face is sync_face else httpx.AsyncClient
    return face(url, client=make(follow_redirects=True))


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See", "307 Temporary", "308 Permanent"])
def test_a_resume_follows_redirects_within_its_origin(face: Face, status: str) -> None:
    moved = [answer(status, Location="/there/is"), answer(status, Location="another?x")]
    with Server([fresh(event(1), CLOSE), *moved, resumed(1, event(2), end(2), END)]) as server:
        outcome = following(face, server.url)
    assert outcome.error is None
    assert [seen.seq for seen in outcome.seen if isinstance(seen, Event)] == [1, 2]
    assert [request.path for request in server.requests] == ["/stream", "/stream", "/there/is", "/there/another?x"]
    assert [request.token is not None for request in server.requests] == [False, True, True, True]


def test_no_token_goes_to_another_origin(face: Face) -> None:
    with (
        Server([resumed(1, event(2), end(2), END)]) as elsewhere,
        Server([fresh(event(1), CLOSE), answer("307 Temporary", Location=elsewhere.url)]) as server,
    ):
        outcome = following(face, server.url)
    assert outcome.error is not None
    assert (outcome.code, outcome.error.status) == ("refused", 307)
    assert "resume_url" in str(outcome.error)
    assert elsewhere.requests == []


def test_no_cancel_goes_to_another_origin() -> None:
    with (
        Server([answer("204 No")]) as elsewhere,
        Server(
            [fresh(event(1), control("live", seq=1), CLOSE), answer("308 Permanent", Location=elsewhere.url)]
        ) as server,
        httpx.Client(follow_redirects=True) as client,
        resumable(server.url, client=client, **QUICK) as stream,  # type: ignore[arg-type]
    ):
        next(stream)
        with pytest.raises(ResumableError, match="refused to cancel"):
            stream.cancel()
    assert elsewhere.requests == []


def test_a_start_goes_where_the_client_lets_it(face: Face) -> None:
    with (
        Server([fresh(event(1), end(1), END)]) as elsewhere,
        Server([answer("307 Temporary", Location=elsewhere.url)]) as server,
    ):
        assert following(face, server.url).error is None
    assert len(elsewhere.requests) == 1


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("location", ["/stream", "http://", "ftp://127.0.0.1/"])
def test_redirects_that_lead_nowhere_are_no_surprise(face: Face, before: bool, location: str) -> None:
    scripts = [fresh(event(1), CLOSE)] if before else []
    with Server([*scripts, answer("302 Found", Location=location)]) as server:
        make = httpx.Client if face is sync_face else httpx.AsyncClient
        outcome = face(server.url, client=make(follow_redirects=True), max_attempts=3)
    assert outcome.code in ("refused", "start_failed", "gave_up")
    assert len(server.requests) < 70
