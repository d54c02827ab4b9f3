from __future__ import annotations

import stat
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from faces import Face
from server import CLOSE, END, Server, end, event, events, fresh, problem, resumed, stream, token, tokens

from tower_resume import End, Event, FileStorage, MemoryStorage, aresumable, resumable
from tower_resume._cursor import Cursor


def test_a_new_client_goes_on_behind_what_was_seen(face: Face) -> None:
    storage = MemoryStorage()
    with Server([fresh(events(1, 5), END), resumed(2, events(3, 4), end(4), END)]) as server:
        # The third event was handed over, but the consumer has not asked for the fourth: it may not be done with it.
        first = face(server.url, take=3, storage=storage)
        second = face(server.url, storage=storage)
    assert [e.seq for e in first.seen if isinstance(e, Event)] == [1, 2, 3]
    assert [e.seq for e in second.seen if isinstance(e, Event)] == [3, 4]
    assert tokens(server.requests) == [None, token(2)]
    assert repr(storage) == "MemoryStorage(0 kept)"


def test_all_again_from_the_start(face: Face) -> None:
    storage = MemoryStorage()
    scripts = [fresh(events(1, 3), END), resumed(0, events(1, 2), CLOSE), resumed(2, events(3, 3), end(3), END)]
    with Server(scripts) as server:
        face(server.url, take=3, storage=storage)
        again = face(server.url, storage=storage, resume_from="start")
    assert [e.seq for e in again.seen if isinstance(e, Event)] == [1, 2, 3]
    _, second, third = server.requests
    assert (second.token, second.headers["x-resume-from"]) == (token(2), "0")
    assert (third.token, third.headers.get("x-resume-from")) == (token(2), None)


@pytest.mark.parametrize("refusal", ["401 Unauthorized", "426 Upgrade Required"])
def test_what_the_server_no_longer_knows_is_forgotten(face: Face, refusal: str) -> None:
    storage = MemoryStorage()
    with Server([fresh(events(1, 3), END), problem(refusal, "x"), fresh(end(0), END)]) as server:
        face(server.url, take=2, storage=storage)
        assert face(server.url, storage=storage).error is not None
        face(server.url, storage=storage)
    assert tokens(server.requests) == [None, token(1), None]


@pytest.mark.parametrize("stored", ["", "{", "[]", "[" * 100_000, '{"v":1,"token":"a b"}', '{"v":2,"token":"a"}'])
def test_what_is_no_cursor_is_not_used(face: Face, stored: str) -> None:
    storage = MemoryStorage()
    with Server([fresh(end(0), END)]) as server:
        storage.set(f"GET {server.url}", stored)
        assert face(server.url, storage=storage).error is None
    assert tokens(server.requests) == [None]


def test_an_expired_token_is_not_used(face: Face) -> None:
    storage = MemoryStorage()
    cursor = Cursor()
    cursor.adopt(token(1), seq=1)
    cursor.expires(1_000_000, now=0)
    with Server([fresh(event(1), end(1), END)]) as server:
        storage.set("mine", cursor.to_text())
        outcome = face(server.url, storage=storage, storage_key="mine")
    assert [e.seq for e in outcome.seen if isinstance(e, Event)] == [1]
    assert tokens(server.requests) == [None]


def test_a_token_is_kept_before_the_first_event(face: Face) -> None:
    storage = MemoryStorage()
    kept: list[str | None] = []
    with Server([]) as server:
        server.scripts.append(stream(*fresh().parts, lambda: None, event(1), END))
        face(server.url, take=1, storage=storage)
        kept.append(storage.get(f"GET {server.url}"))
    # It may have been read together with the event, which then was not seen yet.
    assert kept[0] is None or token(0) in kept[0]


def test_files(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "cursors"
    storage = FileStorage(folder)
    key = "POST http://host/a/../b?key=secret" * 50
    assert storage.get(key) is None
    storage.remove(key)
    storage.set(key, "one")
    storage.set(key, "two 🎈")
    assert FileStorage(folder).get(key) == "two 🎈"
    (file,) = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "secret" not in file.name
    file.write_bytes(b"\xff")
    assert storage.get(key) is None
    storage.remove(key)
    assert list(folder.iterdir()) == []


def test_a_file_carries_over_to_another_process(tmp_path: Path) -> None:
    with Server([fresh(events(1, 3), END), resumed(1, events(2, 3), end(3), END)]) as server:
        with resumable(server.url, storage=FileStorage(tmp_path)) as first:
            assert [next(first), next(first)][1] == Event("message", "data 2", 2, token(2))
        with resumable(server.url, storage=FileStorage(tmp_path)) as second:
            assert isinstance(list(second)[-1], End)
    assert list(tmp_path.iterdir()) == []


class Awaited:
    """A storage that has to be awaited."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.removed = 0

    async def get(self, key: str) -> str | None:
        await anyio.lowlevel.checkpoint()
        return self.values.get(key)

    async def set(self, key: str, value: str) -> None:
        await anyio.lowlevel.checkpoint()
        self.values[key] = value

    async def remove(self, key: str) -> None:
        await anyio.lowlevel.checkpoint()
        self.removed += 1
        del self.values[key]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_storage_that_is_awaited(backend: str) -> None:
    async def go() -> None:
        storage = Awaited()
        async with aresumable(server.url, storage=storage) as stream:
            async for event in stream:
                if isinstance(event, Event) and event.seq == 2:
                    assert token(1) in storage.values[f"GET {server.url}"]
        assert storage.removed == 1

    with Server([fresh(events(1, 2), end(2), END)]) as server:
        anyio.run(go, backend=backend)
