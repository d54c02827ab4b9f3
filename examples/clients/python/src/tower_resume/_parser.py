"""From bytes to blocks, by the WHATWG's grammar (HTML, 9.2.6 "Interpreting an event stream").

It is pulled: `feed` takes bytes, `pull` makes at most one block of them. So nothing is parsed ahead of the consumer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_LINE_END = re.compile(rb"\r\n|\r|\n")
_BOM = b"\xef\xbb\xbf"
_MAX_RETRY_MS = 24 * 60 * 60 * 1000
_MAX_RETRY_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Block:
    """What a blank line has closed, where there was more than comments in it."""

    event: str
    data: str | None
    """`None`: it had no data, so it is no event for the consumer. It has a place in the stream all the same."""
    id: str
    """The last event id, also where an earlier block has set it."""
    has_id: bool


@dataclass(frozen=True, slots=True)
class Comment:
    """A line that begins with a colon, without that colon."""

    text: str


class TooLargeError(Exception):
    """A block is larger than allowed."""


class Parser:
    """One for each response."""

    def __init__(self, *, max_block_bytes: int, last_id: str = "") -> None:
        self.retry_ms: int | None = None
        """What the last `retry:` said."""
        self._max = max_block_bytes
        self._buffer = bytearray()
        self._done = 0  # all before it is parsed
        self._scanned = 0  # there is no line end between _done and it
        self._begun = False
        self._skip_lf = False
        self._last_id = last_id
        self._clear()

    def feed(self, data: bytes) -> None:
        del self._buffer[: self._done]
        self._scanned -= self._done
        self._done = 0
        self._buffer += data

    def pull(self) -> Block | Comment | None:
        """The next of what is there; `None` asks for more bytes."""
        if not self._begun and not self._begin():
            return None
        while (line := self._line()) is not None:
            if not line:
                block = self._close()
                if block is not None:
                    return block
            elif line.startswith(b":"):
                return Comment(line[1:].decode("utf-8", "replace"))
            else:
                self._size += len(line)
                self._check(self._size)
                self._field(line)
        return None

    def _begin(self) -> bool:
        """Takes one BOM away; `False` while it cannot be told whether there is one."""
        if self._buffer.startswith(_BOM):
            self._done = self._scanned = len(_BOM)
        elif _BOM.startswith(self._buffer):
            return False
        self._begun = True
        return True

    def _line(self) -> bytes | None:
        if self._skip_lf and self._done < len(self._buffer):
            # The second half of a CRLF whose CR has ended a line already.
            if self._buffer[self._done] == 0x0A:
                self._done += 1
                self._scanned = max(self._scanned, self._done)
            self._skip_lf = False
        end = _LINE_END.search(self._buffer, self._scanned)
        if end is None:
            self._scanned = len(self._buffer)
            self._check(self._size + self._scanned - self._done)
            return None
        line = bytes(self._buffer[self._done : end.start()])
        self._done = self._scanned = end.end()
        self._skip_lf = end.group() == b"\r"
        return line

    def _field(self, line: bytes) -> None:
        self._fields = True
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value.decode("utf-8", "replace"))
        elif name == b"event":
            self._event = value.decode("utf-8", "replace")
        elif name == b"id":
            if b"\0" not in value:
                self._last_id = value.decode("utf-8", "replace")
                self._has_id = True
        elif name == b"retry" and value.isdigit():
            short = len(value) <= _MAX_RETRY_DIGITS
            self.retry_ms = min(int(value), _MAX_RETRY_MS) if short else _MAX_RETRY_MS

    def _close(self) -> Block | None:
        block = None
        if self._fields:
            data = "\n".join(self._data) if self._data else None
            block = Block(self._event or "message", data, self._last_id, self._has_id)
        self._clear()
        return block

    def _clear(self) -> None:
        self._data: list[str] = []
        self._event = ""
        self._has_id = False
        self._fields = False
        self._size = 0

    def _check(self, size: int) -> None:
        if size > self._max:
            raise TooLargeError
