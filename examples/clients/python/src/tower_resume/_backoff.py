"""How long to wait before the next attempt: full jitter, with what the server asks for as the least."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_RETRY_AFTER = 60 * 60.0
"""Seconds. A longer `Retry-After` counts as this."""

_MAX_DOUBLINGS = 32


class Backoff:
    """Counts the failures in a row; `arrived` begins anew."""

    def __init__(self, *, base: float, ceiling: float, random: Callable[[], float]) -> None:
        self._base = base
        self._ceiling = ceiling
        self._random = random
        self._failures = 0

    def arrived(self) -> None:
        self._failures = 0

    def set_base(self, seconds: float) -> None:
        """What the server's `retry:` says."""
        self._base = seconds

    def delay(self, at_least: float | None = None) -> float:
        """Seconds to wait after one more failure."""
        most = min(self._ceiling, self._base * 2.0 ** min(self._failures, _MAX_DOUBLINGS))
        self._failures += 1
        return max(self._random() * most, at_least or 0.0)


def retry_after(value: str | None, now: float) -> float | None:
    """Reads `Retry-After`, in seconds or as an HTTP date; `None` where there is none or it is neither."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        seconds = float(value)
    else:
        date = http_date(value)
        if date is None:
            return None
        seconds = date - now
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)


def http_date(value: str | None) -> float | None:
    """An HTTP date as seconds since the epoch."""
    if value is None:
        return None
    try:
        return parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return None
