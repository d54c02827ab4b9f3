"""One response's stream: from blocks to what the consumer is told, with the cursor kept up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from ._control import control_of
from ._cursor import Cursor, natural
from ._events import Control, End, Event, Gap, Snapshot, StreamEvent
from ._parser import Block, Comment, Parser
from ._state import Stats


@dataclass(frozen=True, slots=True)
class WaitAsked:
    """The server has asked to come back later, and goes on all the same."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """This response does not go on with the stream that was asked for."""

    text: str


Outcome: TypeAlias = WaitAsked | Rejected | End


@dataclass(frozen=True, slots=True)
class Told:
    events: tuple[StreamEvent, ...] = ()
    progress: bool = False
    """Something has come that a connection without any use would not have brought."""
    outcome: Outcome | None = None


class Reading:
    def __init__(
        self,
        parser: Parser,
        cursor: Cursor,
        stats: Stats,
        *,
        resuming: bool,
        marked: bool,
        control: bool,
        control_event: str,
    ) -> None:
        self.parser = parser
        self._cursor = cursor
        self._stats = stats
        self._resuming = resuming
        self._known = marked or not resuming  # whether the response is known to be what was asked for
        self._control = control
        self._control_event = control_event
        self.asked_to_wait: str | None = None
        """Why the server asks to come back later; then it ends the response."""
        self._snapshot: tuple[int, str] | None = None

    def next(self, now: float) -> Told | None:
        """`None` asks for more bytes. Raises `TooLargeError`."""
        item = self.parser.pull()
        if item is None:
            return None
        if self.asked_to_wait is not None:
            # The server was about to end this response, and has not.
            return Told(outcome=WaitAsked())
        fields = control_of(item, self._control_event)
        if fields is not None:
            return self._phase(fields, item, now)
        if isinstance(item, Comment):
            # With a layer, a heartbeat: the connection has stood for a while. Other servers may begin with a comment.
            return Told(progress=self._cursor.token is not None)
        return self._block(item, now)

    def _block(self, block: Block, now: float) -> Told:
        cursor = self._cursor
        if not self._known:
            return Told(outcome=Rejected("the answer to a resume is a stream that the server cannot resume"))
        if self._snapshot is not None:
            seq, status = self._snapshot
            self._snapshot = None
            cursor.skip_to(seq)
            self._id(block, now)
            return Told((Snapshot(seq, status, block.event, block.data or ""),), progress=True)
        new = cursor.count()
        cursor.by_position = True
        self._id(block, now)
        if not new:
            self._stats.duplicates += 1
            return Told()
        if block.data is None:
            return Told()
        self._stats.received += 1
        return Told((Event(block.event, block.data, cursor.seq, block.id),), progress=True)

    def _phase(self, fields: Mapping[str, Any], item: Block | Comment, now: float) -> Told:
        cursor = self._cursor
        phase = str(fields["phase"])
        events: list[StreamEvent] = [Control(phase, fields)] if self._control else []
        progress = False
        outcome: Outcome | None = None
        match phase:
            case "open" if self._resuming:
                outcome = Rejected("the server began a new stream: does a proxy take X-Resume-Token away?")
            case "open":
                self._known = True
                cursor.place(0)
                self._greet(fields, now)
            case "replay":
                self._known = True
                start = natural(fields.get("from"))
                if start is not None:
                    # The server promises to go on at the cursor; were it not so, it must not go unseen.
                    if cursor.delivered is not None:
                        events += self._missing(cursor.delivered + 1, start, "lost")
                    cursor.place(start)
                self._greet(fields, now)
            case "gap":
                first, last = natural(fields.get("from")), natural(fields.get("to"))
                if first is not None and last is not None and last >= first:
                    events += self._missing(first, last, str(fields.get("reason", "lost")))
                    cursor.seq = max(cursor.seq or 0, last)
                    progress = True
            case "snapshot":
                seq = natural(fields.get("seq"))
                if seq is not None:
                    self._snapshot = seq, str(fields.get("status", ""))
            case "token":
                self._greet(fields, now)
            case "wait":
                self._greet(fields, now)
                self.asked_to_wait = str(fields.get("reason", ""))[:80]
            case "end":
                seq = natural(fields.get("seq"))
                if seq is not None and cursor.seq is not None:
                    events += self._missing((cursor.delivered or 0) + 1, seq, "lost")
                diagnostics = fields.get("diagnostics")
                outcome = End(str(fields.get("status", "")), seq, diagnostics if isinstance(diagnostics, dict) else {})
                progress = True
            case _:
                pass
        if isinstance(item, Block) and outcome is None:
            cursor.by_position = True
            self._id(item, now)
        return Told(tuple(events), progress, outcome)

    def _greet(self, fields: Mapping[str, Any], now: float) -> None:
        """A control event that names a token at the place where the client is now."""
        cursor = self._cursor
        if cursor.adopt(fields.get("token"), seq=cursor.seq):
            cursor.expires(fields.get("expires_at"), now)
        request_id = fields.get("request_id")
        if isinstance(request_id, str):
            cursor.request_id = request_id

    def _missing(self, first: int, last: int, reason: str) -> list[StreamEvent]:
        """A gap, without what the consumer has already."""
        first = max(first, (self._cursor.delivered or 0) + 1)
        if last < first:
            return []
        self._cursor.delivered = last
        self._stats.missed += last - first + 1
        return [Gap(first, last, reason)]

    def _id(self, block: Block, now: float) -> None:
        if block.has_id:
            self._cursor.id(block.id, now)
