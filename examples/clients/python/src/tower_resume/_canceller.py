"""What the answers to a cancel mean; a cancel can be repeated, so it is tried a few times."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Literal

from ._answers import Head, at_cancel, problem_code
from ._backoff import Backoff, retry_after
from ._errors import ResumableError

if TYPE_CHECKING:
    from ._core import Core

CANCEL_ATTEMPTS = 4


class Canceller:
    """After each attempt there is an `outcome`, or a `delay` until the next one."""

    def __init__(self, core: Core) -> None:
        token = core.cursor.token
        if token is None:
            raise ResumableError("not_resumable", "there is nothing to cancel: the server has named no token yet")
        self.token = token
        self.outcome: Literal["ended", "asked"] | None = None
        self.delay = 0.0
        self._backoff = Backoff(base=core.settings.retry_base, ceiling=core.settings.retry_max, random=random.random)
        self._attempts = 0

    def answered(self, head: Head, body: bytes) -> None:
        result = at_cancel(head, problem_code(head, body))
        if isinstance(result, ResumableError):
            raise result
        if result is None:
            self.failed(f"HTTP {head.status}", retry_after(head.headers.get("retry-after"), time.time()))
        else:
            self.outcome = "ended" if result else "asked"

    def failed(self, why: str, at_least: float | None = None) -> None:
        self._attempts += 1
        if self._attempts >= CANCEL_ATTEMPTS:
            raise ResumableError("gave_up", f"the stream could not be cancelled; the last of several attempts: {why}")
        self.delay = self._backoff.delay(at_least)
