"""The sync and the async iterator behind one face, so that a test of behaviour is written once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import anyio

from tower_resume import AsyncResumable, Resumable, ResumableError, State, Stats, StreamEvent, aresumable, resumable

QUICK = {"retry_base": 0.01, "retry_max": 0.05, "idle_timeout": 20.0}


@dataclass
class Outcome:
    seen: list[StreamEvent] = field(default_factory=list)
    error: ResumableError | None = None
    state: State = "idle"
    stats: Stats = field(default_factory=Stats)

    @property
    def code(self) -> str | None:
        return self.error.code if self.error else None


Stream: TypeAlias = Resumable | AsyncResumable
Notice: TypeAlias = Callable[[Any], object]
Face: TypeAlias = Callable[..., Outcome]


def ignored(event: Any) -> None:
    """What a test does when it takes an event: nothing."""


def sync_face(url: str, *, take: int | None = None, notice: Notice = ignored, **options: Any) -> Outcome:
    """Iterates to the end, or takes `take` events and leaves."""
    outcome = Outcome()
    try:
        with resumable(url, **(QUICK | options)) as stream:
            try:
                if take != 0:
                    for event in stream:
                        outcome.seen.append(event)
                        notice(event)
                        if len(outcome.seen) == take:
                            break
            finally:
                outcome.state, outcome.stats = stream.state, stream.stats
    except ResumableError as error:
        outcome.error = error
    return outcome


async def _collect(url: str, take: int | None, notice: Notice, options: dict[str, Any]) -> Outcome:
    outcome = Outcome()
    try:
        async with aresumable(url, **(QUICK | options)) as stream:
            try:
                if take != 0:
                    async for event in stream:
                        outcome.seen.append(event)
                        notice(event)
                        if len(outcome.seen) == take:
                            break
            finally:
                outcome.state, outcome.stats = stream.state, stream.stats
    except ResumableError as error:
        outcome.error = error
    return outcome


def asyncio_face(url: str, *, take: int | None = None, notice: Notice = ignored, **options: Any) -> Outcome:
    return anyio.run(_collect, url, take, notice, options, backend="asyncio")


def trio_face(url: str, *, take: int | None = None, notice: Notice = ignored, **options: Any) -> Outcome:
    return anyio.run(_collect, url, take, notice, options, backend="trio")
