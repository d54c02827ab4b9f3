"""All decisions, and no IO: what to ask for, what an answer means, what the consumer gets, when to give up.

A driver (`_sync`, `_async`) asks for the `next_step`, does it, and says how it went. Nothing is read or parsed before
the consumer asks for it, so the cursor always stands where the consumer does.
"""

from __future__ import annotations

import logging
import random
import time
from collections import deque
from collections.abc import Callable

from ._answers import Head, at_resume, at_start, problem_code
from ._backoff import Backoff, http_date, retry_after
from ._cursor import Cursor
from ._errors import ResumableError
from ._events import Restart, StreamEvent
from ._parser import Parser, TooLargeError
from ._reading import Reading, Rejected, Told, WaitAsked
from ._settings import Settings, shown
from ._state import State, Stats
from ._steps import Deliver, Finish, Load, Read, ReadProblem, Send, Step, Store, Wait

MIN_RETRY = 0.01
"""Seconds. A server's `retry: 0` must not become a loop without a pause."""

MAX_NOT_STREAMS = 3
"""So many pages that are no event stream are forgiven in a row on resumes: a captive portal's, say."""

_log = logging.getLogger("tower_resume")
_LOUD_FROM = 3  # failures in a row, from which on they are warnings


class Core:
    def __init__(
        self,
        settings: Settings,
        *,
        on_state: Callable[[State], None] | None = None,
        clock: Callable[[], float] = time.time,
        rng: Callable[[], float] = random.random,
    ) -> None:
        self.settings = settings
        self.stats = Stats()
        self.state: State = "idle"
        self.cursor = Cursor()
        self.last_problem: str | None = None
        """Why the last connection or attempt failed."""
        self._on_state = on_state
        self._clock = clock
        self._offset = 0.0  # what the server's clock is ahead
        self._backoff = Backoff(base=settings.retry_base, ceiling=settings.retry_max, random=rng)
        self._key = settings.new_key()
        self._queue: deque[Step] = deque()
        self._do: Callable[[], Step] = self._begin
        self._reading: Reading | None = None
        self._head = Head(0, {})
        self._resuming = False
        self._had_stream = False
        self._attempts = 0  # requests since the last sign of progress
        self._not_streams = 0
        self._restarts = 0  # since the last sign of progress
        self._saved: str | None = None
        self._store_open = False

    # What a driver asks.

    def next_step(self) -> Step:
        return self._queue.popleft() if self._queue else self._do()

    def asked(self) -> None:
        """The consumer asks for the next event: it is done with the last one."""
        self._save()

    # What a driver says.

    def loaded(self, text: str | None) -> None:
        self._do = self._send
        cursor = None if text is None else Cursor.from_text(text, self._now())
        if cursor is None:
            return
        if cursor.expired(self._now()):
            self._queue.append(Store(None))
            return
        self._saved, self._store_open = text, True
        self.cursor = cursor
        if self.settings.resume_from == "start":
            cursor.seq = cursor.delivered = 0

    def responded(self, head: Head) -> None:
        date = http_date(head.headers.get("date"))
        if date is not None:
            self._offset = date - self._clock()
        self._head = head
        if head.is_stream:
            self._open()
        elif head.status == 204:
            self._over("ended")
        else:
            self._do = ReadProblem

    def explained(self, body: bytes) -> None:
        """What the answer's body says; empty where it could not be had."""
        problem = problem_code(self._head, body)
        if self._resuming:
            error = at_resume(self._head, problem)
            if error is not None and error.code == "not_event_stream" and self._not_streams < MAX_NOT_STREAMS:
                self._not_streams += 1
                error = None
        else:
            error = at_start(self._head, problem, repeatable=self.settings.repeatable)
        if error is not None:
            self._fail(error)
        else:
            after = retry_after(self._head.headers.get("retry-after"), self._now())
            self._come_back(f"HTTP {self._head.status}", after)

    def received(self, data: bytes) -> None:
        if self._reading is not None:
            self._reading.parser.feed(data)

    def lost(self, why: str, *, final: bool = False, sent: bool = True) -> None:
        """The request or its response failed or broke off.

        `final`: it would do so every time. `sent`: the server may have got the request.
        """
        if self._do in (self._over_step, self._wait):
            return
        if self._reading is not None and self._reading.asked_to_wait is not None:
            why = f"the server asks to wait ({self._reading.asked_to_wait})"
        if not self._had_stream and not self._can_resume and (final or not self.settings.repeatable):
            hint = "" if final or not sent else "; it may have been carried out"
            repeat = "" if final else f"; {self.settings.method} is repeated only with an idempotency_key"
            self._fail(ResumableError("start_failed", f"{shown(self.settings.url)}: {why}{hint}{repeat}"))
        else:
            self._come_back(why)

    def waited(self) -> None:
        self._do = self._send

    def close(self) -> None:
        """The consumer leaves. What it has seen is still written down."""
        self._queue = deque(step for step in self._queue if isinstance(step, Store))
        if self.state not in ("ended", "failed"):
            self._over("closed")

    # What to do when nothing is queued.

    def _begin(self) -> Step:
        self._do = self._send
        return Load() if self.settings.storage_key is not None else self._send()

    def _send(self) -> Step:
        cursor = self.cursor
        self._attempts += 1
        self._reading = None
        self._head = Head(0, {})
        self._set_state("connecting")
        self._resuming = self._can_resume
        headers: dict[str, str] = {}
        if self._resuming and cursor.token is not None:
            headers["X-Resume-Token"] = cursor.token
            if cursor.explicit is not None:
                headers["X-Resume-From"] = str(cursor.explicit)
        elif self._had_stream and (last_id := cursor.sendable_id):
            headers["Last-Event-ID"] = last_id
        elif self._key is not None:
            headers["Idempotency-Key"] = self._key
        return Send(start=not self._resuming, headers=headers)

    def _take(self) -> Step:
        """The next thing to tell the consumer, of what has been read."""
        reading = self._reading
        while reading is not None and not self._queue:
            try:
                told = reading.next(self._now())
            except TooLargeError:
                limit = self.settings.max_event_bytes
                self._fail(ResumableError("too_large", f"an event is larger than max_event_bytes, {limit}"))
                break
            if reading.parser.retry_ms is not None:
                self._backoff.set_base(max(reading.parser.retry_ms / 1000, MIN_RETRY))
            if told is None:
                self._save()
                self._queue.append(Read())
                break
            self._tell(told)
            if self._do != self._take:
                break
        return self.next_step()

    def _wait(self) -> Step:
        return Wait(self._delay)

    def _over_step(self) -> Step:
        error, self._error = self._error, None
        return Finish(error)

    # Decisions.

    @property
    def _can_resume(self) -> bool:
        return self.cursor.resumable

    def _open(self) -> None:
        cursor, headers = self.cursor, self._head.headers
        # On a resume the header's token stands where the request has asked to go on.
        cursor.adopt(headers.get("x-resume-token"), seq=cursor.seq if self._resuming else None)
        cursor.request_id = headers.get("x-resume-stream") or cursor.request_id
        if self._had_stream or self._resuming:
            self.stats.reconnects += 1
        self._had_stream = True
        degraded = headers.get("x-resume-degraded", "")
        self._degraded = degraded[:80] if degraded.isprintable() else ""
        self._store_open = self.settings.storage_key is not None
        self._reading = Reading(
            Parser(max_block_bytes=self.settings.max_event_bytes, last_id="" if self._resuming else cursor.last_id),
            cursor,
            self.stats,
            resuming=self._resuming,
            marked="x-resume-token" in headers,
            control=self.settings.control,
            control_event=self.settings.control_event,
        )
        self._do = self._take
        self._set_state("open")

    def _tell(self, told: Told) -> None:
        if told.progress:
            self._backoff.arrived()
            self._attempts = self._not_streams = self._restarts = 0
        for event in told.events:
            self._deliver(event)
        match told.outcome:
            case None:
                pass
            case WaitAsked():
                self.lost("it goes on")
            case Rejected(text):
                self._fail(ResumableError("not_resumable", text))
            case end:
                self._forget()
                self._deliver(end)
                self._over("ended")

    def _deliver(self, event: StreamEvent) -> None:
        self._queue.append(Deliver(event))

    def _come_back(self, why: str, at_least: float | None = None) -> None:
        self.last_problem = why
        was_open, self._reading = self._reading is not None, None
        cursor, settings = self.cursor, self.settings
        where = shown(settings.url)
        now = self._now()
        if self._had_stream and not self._can_resume and (cursor.token is not None or not settings.safe):
            degraded = self._degraded
            reason = f" (it says X-Resume-Degraded: {degraded})" if degraded else ""
            text = f"{where}: {why}; the server gave no token to go on with from here{reason}"
            self._fail(ResumableError("not_resumable", text))
            return
        if settings.max_attempts is not None and self._attempts >= settings.max_attempts:
            text = f"{where}: {self._attempts} attempts in a row brought nothing; the last: {why}"
            self._fail(ResumableError("gave_up", text, status=self._head.status or None))
            return
        delay = self._backoff.delay(at_least)
        if self._can_resume and cursor.expires_at is not None:
            left = cursor.expires_at - now
            # The server is the judge of its token: behind an open connection it is asked once in any case.
            if not was_open and left <= (at_least or 0.0):
                text = f"{where}: the token's time has passed before the server could be reached; the last: {why}"
                self._fail(ResumableError("unauthorized", text, needs_new_start=True))
                return
            delay = min(delay, max(left, 0.0))
        level = logging.WARNING if self._attempts >= _LOUD_FROM else logging.INFO
        _log.log(level, "%s: %s; attempt %d in %.2f s", where, why, self._attempts + 1, delay)
        self._delay = delay
        self._do = self._wait
        self._set_state("waiting")

    def _fail(self, error: ResumableError) -> None:
        self.last_problem = error.text
        if error.needs_new_start:
            self._forget()
            if self.settings.restart and self._restarts == 0:
                # A second one with nothing in between would go round in circles.
                self._restarts += 1
                self._start_anew(error)
                return
        self._error = error
        self._over("failed")

    def _start_anew(self, error: ResumableError) -> None:
        _log.info("%s: %s; a new stream begins", shown(self.settings.url), error.text)
        self.cursor = Cursor()
        self._reading = None
        self._had_stream = False
        self._key = self.settings.new_key()
        self._deliver(Restart(error.code))
        self._do = self._send

    def _over(self, state: State) -> None:
        if state == "ended":
            self._forget()
        self._reading = None
        self._do = self._over_step
        self._set_state(state)

    # The storage.

    def _save(self) -> None:
        if self._store_open and self.cursor.token is not None:
            text = self.cursor.to_text()
            if text != self._saved:
                self._saved = text
                self._queue.append(Store(text))

    def _forget(self) -> None:
        if self._saved is not None:
            self._queue.append(Store(None))
        self._saved, self._store_open = None, False

    # Small things.

    _error: ResumableError | None = None
    _delay = 0.0
    _degraded = ""

    def _now(self) -> float:
        """The server's time, as far as it is known: expiry is by the server's clock."""
        return self._clock() + self._offset

    def _set_state(self, state: State) -> None:
        if state != self.state:
            self.state = state
            if self._on_state is not None:
                self._on_state(state)
