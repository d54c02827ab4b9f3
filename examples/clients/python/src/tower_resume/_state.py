"""What can be seen of a stream from outside, beside its events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

State: TypeAlias = Literal["idle", "connecting", "open", "waiting", "ended", "failed", "closed"]


@dataclass(slots=True)
class Stats:
    received: int = 0
    """Events, each counted once."""
    duplicates: int = 0
    """Events that came again and were dropped."""
    reconnects: int = 0
    """Connections that went on with the stream."""
    missed: int = 0
    """Events in gaps."""
