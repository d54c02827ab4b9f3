"""What the core asks a driver to do, one thing at a time. The driver tells how it went, and asks again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from ._errors import ResumableError
from ._events import StreamEvent


@dataclass(frozen=True, slots=True)
class Load:
    """Read the storage, then `loaded`."""


@dataclass(frozen=True, slots=True)
class Store:
    """Write the storage; `None` removes what is there."""

    text: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Send:
    """Drop the old response, send a request, then `responded` or `lost`."""

    start: bool
    """The caller's own request with its body; else a request to resume, without."""
    headers: dict[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Read:
    """Read some bytes of the response, then `received` or `lost`."""


@dataclass(frozen=True, slots=True)
class ReadProblem:
    """Read what little an answer that is no stream has to say, then `explained`."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Drop the response, wait, then `waited`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Deliver:
    """Hand this to the consumer; when it asks for more, `asked`."""

    event: StreamEvent


@dataclass(frozen=True, slots=True)
class Finish:
    """Drop the response; the iteration is over, with an error or without."""

    error: ResumableError | None


Step: TypeAlias = Load | Store | Send | Read | ReadProblem | Wait | Deliver | Finish
