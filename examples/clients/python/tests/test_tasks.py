"""Cancelled tasks, and what other tasks can do to a stream that one task iterates."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import httpx
import pytest
from server import (
    END,
    HOLD,
    PATIENCE,
    RESET,
    Server,
    answer,
    end,
    event,
    events,
    fresh,
    nothing,
    problem,
    resumed,
    token,
)

from tower_resume import AsyncResumable, End, Event, ResumableError, StreamEvent, aresumable

QUICK: dict[str, Any] = {"retry_base": 0.01, "retry_max": 0.05, "idle_timeout": 20.0}


@pytest.fixture(params=["asyncio", "trio"])
def run(request: pytest.FixtureRequest) -> Callable[[Callable[[], Awaitable[None]]], None]:
    def go(test: Callable[[], Awaitable[None]]) -> None:
        async def bounded() -> None:
            with anyio.fail_after(PATIENCE):
                await test()

        anyio.run(bounded, backend=request.param)

    return go


Run = Callable[[Callable[[], Awaitable[None]]], None]


async def all_of(stream: AsyncResumable, into: list[StreamEvent]) -> None:
    async for got in stream:
        into.append(got)  # noqa: PERF401 - what came is wanted also where the task is cancelled


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - the server under it is threads
        await anyio.sleep(0.002)


def test_close_ends_a_task_that_waits_for_an_event(run: Run) -> None:
    async def test() -> None:
        stream = aresumable(server.url)
        seen: list[StreamEvent] = []
        async with anyio.create_task_group() as group:
            group.start_soon(all_of, stream, seen)
            await until(lambda: server.held.is_set() and bool(seen))
            await stream.close()
            await until(server.left.is_set)
        assert [type(e) for e in seen] == [Event]
        assert stream.state == "closed"

    with Server([fresh(event(1), HOLD)]) as server:
        run(test)


@pytest.mark.parametrize(
    "script", [nothing(HOLD), problem("503 Busy", "x", Retry_After="600")], ids=["head", "back-off"]
)
def test_close_ends_a_task_that_waits_for_an_answer(run: Run, script: Any) -> None:
    async def test() -> None:
        stream = aresumable(server.url)
        seen: list[StreamEvent] = []
        async with anyio.create_task_group() as group:
            group.start_soon(all_of, stream, seen)
            await until(lambda: server.held.is_set() or stream.state == "waiting")
            await stream.aclose()
        assert seen == []

    with Server([script]) as server:
        run(test)


def test_a_cancelled_task_leaves_nothing_open(run: Run) -> None:
    async def test() -> None:
        stream = aresumable(server.url)
        async with anyio.create_task_group() as group:
            group.start_soon(all_of, stream, [])
            await until(server.held.is_set)
            group.cancel_scope.cancel()
        # Not closed by anybody: it is the cancelled read that has let go of the connection.
        await until(server.left.is_set)
        await stream.close()

    with Server([fresh(event(1), HOLD)]) as server:
        run(test)


def test_a_cancelled_task_in_a_with_statement_leaves_nothing_open(run: Run) -> None:
    async def test() -> None:
        async def follow() -> None:
            async with aresumable(server.url, client=client) as stream:
                await all_of(stream, [])

        async with httpx.AsyncClient() as client:
            async with anyio.create_task_group() as group:
                group.start_soon(follow)
                await until(server.held.is_set)
                group.cancel_scope.cancel()
            await until(server.left.is_set)
            assert not client.is_closed

    with Server([fresh(event(1), HOLD)]) as server:
        run(test)


def test_an_event_awaited_with_a_time_out_is_not_lost() -> None:
    async def test() -> None:
        async with aresumable(server.url, **QUICK) as stream:
            assert isinstance(await anext(stream), Event)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(anext(stream), 0.1)
            assert [type(e) async for e in stream] == [Event, End]

    with Server([fresh(event(1), HOLD), resumed(1, event(2), end(2), END)]) as server:
        asyncio.run(test())
        assert server.requests[1].token == token(1)


@pytest.mark.parametrize("waits", [True, False], ids=["while it waits", "between events"])
def test_disconnect_comes_back(run: Run, waits: bool) -> None:
    async def test() -> None:
        async with aresumable(server.url, **QUICK) as stream:
            await stream.disconnect()
            assert isinstance(await anext(stream), Event)
            rest: list[StreamEvent] = []
            if waits:
                async with anyio.create_task_group() as group:
                    group.start_soon(all_of, stream, rest)
                    await until(server.held.is_set)
                    await anyio.lowlevel.checkpoint()
                    await stream.disconnect()
            else:
                await stream.disconnect()
                await until(server.left.is_set)
                await all_of(stream, rest)
        assert [type(e) for e in rest] == [Event, End]

    with Server([fresh(event(1), HOLD), resumed(1, event(2), end(2), END)]) as server:
        run(test)
        assert server.left.wait(PATIENCE)


def test_one_task_iterates(run: Run) -> None:
    async def test() -> None:
        async with aresumable(server.url) as stream, anyio.create_task_group() as group:
            group.start_soon(all_of, stream, [])
            await until(server.held.is_set)
            with pytest.raises(RuntimeError, match="another task"):
                await anext(stream)
            await stream.close()

    with Server([fresh(HOLD)]) as server:
        run(test)


@pytest.mark.parametrize(
    ("answers", "result"),
    [
        ([answer("204 No Content")], "ended"),
        ([answer("202 Accepted")], "asked"),
        ([nothing(RESET), answer("503 Busy"), answer("204 No Content")], "ended"),
    ],
)
def test_cancel(run: Run, answers: list[Any], result: str) -> None:
    async def headers() -> dict[str, str]:
        await anyio.lowlevel.checkpoint()
        return {"Authorization": "Bearer b"}

    async def test() -> None:
        async with aresumable(server.url, method="POST", json={}, headers=headers, **QUICK) as stream:
            await anext(stream)
            assert await stream.cancel() == result
        request = server.requests[-1]
        assert (request.method, request.token, request.body) == ("DELETE", token(1), b"")
        assert {r.headers["authorization"] for r in server.requests} == {"Bearer b"}

    with Server([fresh(event(1), HOLD), *answers]) as server:
        run(test)


def test_cancel_refused_and_aborted(run: Run) -> None:
    async def test() -> None:
        async with aresumable(server.url, **QUICK) as stream:
            with pytest.raises(ResumableError, match="not_resumable"):
                await stream.cancel()
            await anext(stream)
            with pytest.raises(ResumableError, match="refused") as refused:
                await stream.cancel()
            assert (refused.value.status, refused.value.problem) == (403, "not_allowed")

            async def cancel() -> None:
                with pytest.raises(ResumableError, match="aborted"):
                    await stream.cancel()

            async with anyio.create_task_group() as group:
                group.start_soon(cancel)
                await until(lambda: len(server.requests) == 3)
                await stream.close()
            await cancel()

    busy = problem("503 Busy", "x", Retry_After="600")
    with Server([fresh(event(1), HOLD), problem("403 Forbidden", "not_allowed"), busy]) as server:
        run(test)


def test_an_abandoned_iterator_closes_its_connection() -> None:
    async def test() -> None:
        async for _ in aresumable(server.url):
            break
        gc.collect()
        await until(server.left.is_set)

    with Server([fresh(events(1, 3), HOLD)]) as server:
        asyncio.run(asyncio.wait_for(test(), PATIENCE))


def test_a_slow_consumer_stops_the_reading(run: Run) -> None:
    size = 1 << 16

    async def test() -> None:
        async with aresumable(server.url) as stream:
            assert isinstance(await anext(stream), Event)
            last = -1
            while server.sent != last:  # until the buffers of both sockets are full
                last = server.sent
                await anyio.sleep(0.05)
            assert last < 300 * size
            assert len([None async for e in stream if isinstance(e, Event)]) == 399

    with Server([fresh(*[event(seq, "x" * size) for seq in range(1, 401)], end(400), END)]) as server:
        run(test)


def test_after_an_error_and_after_the_end_there_is_no_more(run: Run) -> None:
    async def test() -> None:
        async with aresumable(server.url, **QUICK) as stream:
            with pytest.raises(ResumableError, match="refused"):
                await anext(stream)
            assert [e async for e in stream] == []

    with Server([answer("404 Not Found"), nothing(RESET)]) as server:
        run(test)
        assert len(server.requests) == 1
