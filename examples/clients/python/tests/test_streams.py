"""What a consumer gets, over real sockets, with each of the iterators."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from faces import Face, Outcome
from server import (
    CLOSE,
    END,
    HOLD,
    PATIENCE,
    RESET,
    ByToken,
    Part,
    Server,
    SlowToStart,
    answer,
    control,
    end,
    event,
    events,
    fresh,
    nothing,
    problem,
    resumed,
    stream,
    token,
    tokens,
)

from tower_resume import Control, End, Event, Gap, Restart, Snapshot, StreamEvent


def seqs(outcome: Outcome) -> list[int | None]:
    return [event.seq for event in outcome.seen if isinstance(event, Event)]


def test_a_whole_stream(face: Face) -> None:
    with Server([fresh(event(1, "a\nb", name="stage"), event(2), end(2), END)]) as server:
        outcome = face(server.url)
    assert outcome.seen == [
        Event("stage", "a\nb", 1, token(1)),
        Event("message", "data 2", 2, token(2)),
        End("complete", 2, {"resumes": 0}),
    ]
    assert (outcome.error, outcome.state) == (None, "ended")
    assert (outcome.stats.received, outcome.stats.reconnects) == (2, 0)
    assert server.requests[0].headers["accept"] == "text/event-stream"


@pytest.mark.parametrize("loss", [RESET, CLOSE, END], ids=["reset", "eof", "clean end"])
def test_a_lost_connection_is_resumed_at_the_last_event(face: Face, loss: Part) -> None:
    half = event(3)[:-1]
    # A reset also takes away what has arrived and was not read yet.
    taken = threading.Event()

    def notice(got: StreamEvent) -> None:
        if isinstance(got, Event) and got.seq == 2:
            taken.set()

    with Server([fresh(events(1, 2), half, taken, loss), resumed(2, events(3, 4), end(4), END)]) as server:
        outcome = face(
            server.url,
            notice=notice,
            method="POST",
            json={"brief": "x"},
            headers={"Authorization": "Bearer b"},
        )
    assert seqs(outcome) == [1, 2, 3, 4]
    assert outcome.stats.reconnects == 1
    first, second = server.requests
    assert (first.method, first.body) == ("POST", b'{"brief":"x"}')
    assert (second.method, second.token, second.body) == ("GET", token(2), b"")
    assert "content-type" not in second.headers
    assert second.headers["authorization"] == "Bearer b"
    assert "x-resume-from" not in second.headers


def test_silence_is_a_loss(face: Face) -> None:
    # Of a busy machine the time-out may be too short for the answer itself: then it is asked once more.
    with ByToken([fresh(event(1), HOLD), resumed(1, end(1), END)]) as server:
        outcome = face(server.url, idle_timeout=0.3)
        assert server.left.wait(PATIENCE)
    assert seqs(outcome) == [1]
    assert outcome.state == "ended"


def test_a_start_that_is_not_sent_again_may_take_its_time_and_the_stream_behind_it_may_not(face: Face) -> None:
    with SlowToStart([fresh(event(1), HOLD), resumed(1, end(1), END)]) as server:
        outcome = face(server.url, method="POST", idle_timeout=0.3)
        assert server.left.wait(PATIENCE)
    assert seqs(outcome) == [1]
    assert outcome.state == "ended"


def test_events_that_come_again_are_dropped(face: Face) -> None:
    with Server([fresh(events(1, 3), CLOSE), resumed(1, events(2, 4), end(4), END)]) as server:
        outcome = face(server.url)
    assert seqs(outcome) == [1, 2, 3, 4]
    assert outcome.stats.duplicates == 2


def test_a_block_without_data_has_a_place_but_is_no_event(face: Face) -> None:
    empty = f"event: ping\nid: {token(2)}\n\n"
    with Server([fresh(event(1), empty, CLOSE), resumed(2, event(3), end(3), END)]) as server:
        outcome = face(server.url)
    assert seqs(outcome) == [1, 3]
    assert Gap not in map(type, outcome.seen)
    assert tokens(server.requests) == [None, token(2)]


def test_gap_snapshot_and_end(face: Face) -> None:
    told = control("gap", at=4, from_=2, to=4, reason="trimmed"), control("snapshot", at=4, seq=6, status="complete")
    whole = f'event: complete\ndata: {{"a": 1}}\nid: {token(6)}\n\n'
    with Server([fresh(event(1), CLOSE), resumed(1, *told, whole, end(6), END)]) as server:
        outcome = face(server.url)
    assert outcome.seen[1:] == [
        Gap(2, 4, "trimmed"),
        Snapshot(6, "complete", "complete", '{"a": 1}'),
        End("complete", 6, {"resumes": 0}),
    ]
    assert outcome.stats.missed == 3


def test_a_gap_is_told_without_what_was_delivered(face: Face) -> None:
    gap = control("gap", at=4, from_=1, to=4, reason="trimmed")
    with Server([fresh(events(1, 2), CLOSE), resumed(0, gap, event(5), end(5), END)]) as server:
        outcome = face(server.url)
    assert outcome.seen[2:4] == [Gap(3, 4, "trimmed"), Event("message", "data 5", 5, token(5))]


def test_a_hole_that_the_server_does_not_tell_is_told(face: Face) -> None:
    with Server([fresh(event(1), CLOSE), resumed(3, event(4), end(6), END)]) as server:
        outcome = face(server.url)
    assert [e for e in outcome.seen if isinstance(e, Gap)] == [Gap(2, 3, "lost"), Gap(5, 6, "lost")]


@pytest.mark.parametrize("number", [2**53, 10**400])
def test_numbers_that_cannot_be_break_nothing(face: Face, number: int) -> None:
    senseless = [
        control("token", token=token(1), expires_at=number),
        control("gap", from_=2, to=number, reason="lost"),
        control("live", seq=number),
        control("end", seq=number, status="complete"),
    ]
    with Server([fresh(event(1), *senseless[:3], CLOSE), resumed(1, event(2), senseless[3], END)]) as server:
        outcome = face(server.url)
    assert outcome.error is None
    assert outcome.seen[:2] == [Event("message", f"data {seq}", seq, token(seq)) for seq in (1, 2)]
    assert outcome.seen[2:] == [End("complete", None, {})]


def test_ids_off_resumes_by_token_and_position(face: Face) -> None:
    def bare(phase: str, **fields: Any) -> str:
        return control(phase, **fields).partition("id: ")[0] + "\n"

    first = stream(bare("open"), "data: 1\n\ndata: 2\nid: own\n\n", CLOSE)
    second = stream(bare("replay", at=2, from_=2), "data: 3\n\n", bare("end", at=3, seq=3, status="complete"), END)
    with Server([first, second]) as server:
        outcome = face(server.url)
    assert seqs(outcome) == [1, 2, 3]
    assert (server.requests[1].token, server.requests[1].headers["x-resume-from"]) == (token(0), "2")


def test_ids_of_the_applications_own_are_no_tokens(face: Face) -> None:
    own = "data: 2\nid: order-2\n\n"
    scripts = [fresh(event(1), own, CLOSE), resumed(2, event(3), own, event(5), CLOSE), resumed(5, end(5), END)]
    with Server(scripts) as server:
        outcome = face(server.url)
    assert seqs(outcome) == [1, 2, 3, 4, 5]
    assert tokens(server.requests) == [None, token(1), token(5)]
    assert [r.headers.get("x-resume-from") for r in server.requests] == [None, "2", None]


def test_control_events_as_comments(face: Face) -> None:
    def comment(text: str) -> str:
        return ": resume " + text.splitlines()[1].removeprefix("data: ") + "\n\n"

    first = stream(comment(control("open")), ": heartbeat\n\n", event(1), CLOSE)
    second = stream(comment(control("replay", at=1, from_=1)), comment(end(1)), END, at=1)
    with Server([first, second]) as server:
        outcome = face(server.url)
    assert seqs(outcome) == [1]
    assert isinstance(outcome.seen[-1], End)


def test_control_events_can_be_had_under_another_name(face: Face) -> None:
    script = fresh(event(1), end(1), END)
    renamed = stream(*(p.replace("event: resume", "event: flow") for p in script.parts if isinstance(p, str)), END)
    with Server([renamed]) as server:
        outcome = face(server.url, control=True, control_event="flow")
    assert [e.phase for e in outcome.seen if isinstance(e, Control)] == ["open", "end"]


def test_a_refreshed_token_is_used(face: Face) -> None:
    refresh = control("token", at=1, token=token(1, "fresh"))
    refresh = refresh.replace(f"id: {token(1)}", f"id: {token(1, 'fresh')}")
    with Server([fresh(event(1), refresh, CLOSE), resumed(1, end(1), END)]) as server:
        face(server.url)
    assert server.requests[1].token == token(1, "fresh")


def test_headers_are_asked_for_again_each_time(face: Face) -> None:
    turns = iter("abcdef")
    with Server([fresh(event(1), CLOSE), resumed(1, end(1), END)]) as server:
        face(server.url, headers=lambda: {"Authorization": f"Bearer {next(turns)}"})
    assert [request.headers["authorization"] for request in server.requests] == ["Bearer a", "Bearer b"]


def test_resume_url_and_headers_that_name_a_cursor(face: Face) -> None:
    with Server([fresh(event(1), CLOSE), resumed(1, end(1), END)]) as server:
        resume_url = server.url.replace("/stream", "/resume")
        face(server.url, resume_url=resume_url, headers={"last-event-id": "stale", "x-resume-from": "0"})
    assert [request.path for request in server.requests] == ["/stream", "/resume"]
    assert "last-event-id" not in server.requests[1].headers
    assert "x-resume-from" not in server.requests[1].headers


def test_busy_is_waited_for_at_the_start_and_on_a_resume(face: Face) -> None:
    busy = [
        problem("503 Service Unavailable", "store_unavailable", Retry_After="0"),
        problem("429 Too Many Requests", "too_many_readers", Retry_After="0"),
    ]
    scripts = [*busy, problem("409 Conflict", "in_progress"), fresh(event(1), CLOSE)]
    scripts += [*busy, answer("502 Bad Gateway", "<html>"), resumed(1, end(1), END)]
    with Server(scripts) as server:
        outcome = face(server.url, method="POST", content=b"x")
    assert outcome.state == "ended"
    assert [request.method for request in server.requests] == ["POST"] * 4 + ["GET"] * 4


def test_wait_goes_to_back_off(face: Face) -> None:
    wait = control("wait", at=1, token=token(1), reason="store").replace("id:", "retry: 10\nid:")
    with Server([fresh(event(1), CLOSE), stream(wait, CLOSE, at=1), resumed(1, end(1), END)]) as server:
        outcome = face(server.url)
    assert outcome.state == "ended"
    assert tokens(server.requests) == [None, token(1), token(1)]


def test_a_server_that_asks_to_wait_and_goes_on_is_left(face: Face) -> None:
    wait = control("wait", at=1, token=token(1), reason="store").replace("id:", "retry: 10\nid:")
    scripts = [fresh(event(1), CLOSE), stream(wait, ": heartbeat\n\n", HOLD, at=1), resumed(1, end(1), END)]
    with Server(scripts) as server:
        outcome = face(server.url)
        assert server.left.wait(PATIENCE)
    assert outcome.state == "ended"


@pytest.mark.parametrize("before", [[], [fresh(event(1), CLOSE)]], ids=["at the start", "on a resume"])
def test_204_is_the_end(face: Face, before: list[object]) -> None:
    with Server([*before, answer("204 No Content")]) as server:  # type: ignore[list-item]
        outcome = face(server.url)
    assert (outcome.error, outcome.state) == (None, "ended")
    assert len(server.requests) == len(before) + 1


@pytest.mark.parametrize(
    ("refusal", "code"),
    [(problem("401 Unauthorized", "token_expired"), "unauthorized"), (problem("426 No", "stream_expired"), "gone")],
)
def test_restart_begins_anew(face: Face, refusal: object, code: str) -> None:
    again = stream(control("open", stream="t"), event(1, stream="t"), end(1), END)
    with Server([fresh(event(1), CLOSE), refusal, again]) as server:  # type: ignore[list-item]
        outcome = face(server.url, method="POST", content=b"x", restart=True)
    assert [type(event) for event in outcome.seen] == [Event, Restart, Event, End]
    assert outcome.seen[1] == Restart(code)
    assert [request.method for request in server.requests] == ["POST", "GET", "POST"]


def test_a_restart_that_brings_nothing_is_not_repeated(face: Face) -> None:
    refusal = problem("401 Unauthorized", "token_expired")
    with Server([fresh(event(1), CLOSE), refusal, fresh(CLOSE), refusal]) as server:
        outcome = face(server.url, restart=True)
    assert outcome.code == "unauthorized"
    assert len(server.requests) == 4


def test_an_idempotency_key_lets_a_post_be_repeated(face: Face) -> None:
    with Server([nothing(RESET), nothing(RESET), fresh(event(1), end(1), END)]) as server:
        outcome = face(server.url, method="POST", content=b"x", idempotency_key=True)
    assert outcome.state == "ended"
    keys = {request.headers["idempotency-key"] for request in server.requests}
    assert len(server.requests) == 3
    assert len(keys) == 1


def test_a_plain_server_is_followed_as_event_source_does(face: Face) -> None:
    scripts = [stream("id: 7\ndata: a\n\n", END, at=None), stream("data: b\n\n", CLOSE, at=None), answer("204 No")]
    with Server(scripts) as server:
        outcome = face(server.url)
    assert outcome.seen == [Event("message", "a", None, "7"), Event("message", "b", None, "7")]
    assert [request.headers.get("last-event-id") for request in server.requests] == [None, "7", "7"]


def test_ids_of_a_plain_server_are_sent_where_a_header_can_carry_them(face: Face) -> None:
    scripts = [
        stream(f"id: {last_id}\ndata: a\n\n", END, at=None) for last_id in ("é€", " 7 8\t", "7\x01", "\x7f", "\t")
    ]
    with Server([*scripts, answer("204 No")]) as server:
        outcome = face(server.url)
    assert outcome.error is None
    assert [seen.id for seen in outcome.seen if isinstance(seen, Event)] == ["é€", " 7 8\t", "7\x01", "\x7f", "\t"]
    sent = [request.headers.get("last-event-id") for request in server.requests]
    assert sent == [None, "é€", "7 8", None, None, None]


def test_a_captive_portal_is_forgiven_on_a_resume(face: Face) -> None:
    portal = answer("200 OK", "<html>log in", Content_Type="text/html")
    with Server([fresh(event(1), CLOSE), portal, portal, resumed(1, end(1), END)]) as server:
        outcome = face(server.url)
    assert outcome.state == "ended"


def test_a_refused_connection_is_tried_again(face: Face) -> None:
    with Server([nothing(CLOSE), fresh(event(1), CLOSE), nothing(CLOSE), resumed(1, end(1), END)]) as server:
        states: list[str] = []
        outcome = face(server.url, on_state=states.append)
    assert outcome.state == "ended"
    attempt = ["connecting", "waiting"]
    assert states == [*attempt, "connecting", "open", "waiting", *attempt, "connecting", "open", "ended"]


def test_a_large_event_in_small_pieces(face: Face) -> None:
    data = "\n".join("näh 🎈" * 40 for _ in range(2000))
    text = event(1, data).encode()
    pieces = [text[at : at + 8191].decode("latin-1").encode("latin-1") for at in range(0, len(text), 8191)]
    framed = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces]
    script = fresh(b"".join([]))
    script.chunked = False
    opening = control("open").encode()
    script.parts = (b"%x\r\n%b\r\n" % (len(opening), opening), *framed, b"0\r\n\r\n", CLOSE)
    with Server([script, answer("204 No Content")]) as server:
        outcome = face(server.url)
    assert outcome.seen == [Event("message", data, 1, token(1))]
