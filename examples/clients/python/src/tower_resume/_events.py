"""What the iterators yield. All of them can be used in a `match` statement."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

EndStatus: TypeAlias = Literal["complete", "error", "interrupted", "cancelled"]


@dataclass(frozen=True, slots=True)
class Event:
    """An event of the stream's own, each exactly once and in order."""

    event: str
    """Its name; `message` where the server gave none."""
    data: str
    seq: int | None = None
    """Its position in the stream, from 1. `None` where the server has no `ResumeLayer`."""
    id: str = field(default="", repr=False)
    """The last event id. With a `ResumeLayer` that is the token, and so never part of a repr."""

    def json(self) -> Any:  # noqa: ANN401 - whatever the server sends
        """`data`, read as JSON. Raises `ValueError` where it is none."""
        return json.loads(self.data)


@dataclass(frozen=True, slots=True)
class Gap:
    """Events that this client will never get, from `first` to `last`, both inclusive."""

    first: int
    last: int
    reason: str
    """`trimmed`, `oversize` or `lost`."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The application's data that stands in for all events up to `seq`."""

    seq: int
    status: str
    event: str
    """`complete`: the whole result. `state`: the state at `seq`, and the stream goes on."""
    data: str

    def json(self) -> Any:  # noqa: ANN401 - whatever the server sends
        """`data`, read as JSON. Raises `ValueError` where it is none."""
        return json.loads(self.data)


@dataclass(frozen=True, slots=True)
class End:
    """The stream is over, and so is the iteration behind it."""

    status: str
    """`complete`, `error`, `interrupted` or `cancelled`."""
    seq: int | None = None
    """The last event's position."""
    diagnostics: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Restart:
    """The old stream cannot be had any more, and a new one begins: forget what you have. Only with `restart=True`."""

    code: str
    """Why: `unauthorized` or `gone`."""


@dataclass(frozen=True, slots=True)
class Control:
    """A control event as the server sent it (`open`, `replay`, `live`, `token`, `wait` …). Only with `control=True`."""

    phase: str
    fields: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The members of its JSON object; a token may be among them, so they are never part of a repr."""


StreamEvent: TypeAlias = Event | Gap | Snapshot | End | Restart | Control
"""All that an iterator can yield."""
