"""Where in the stream this client is, and the token that says so."""

from __future__ import annotations

import json
import re
from typing import Any

MAX_TOKEN_CHARS = 150
MAX_NUMBER = 2**53 - 1
"""A larger number is not exact in every JSON, and no seq or time comes near it."""
_TOKEN = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_TOKEN_CHARS}}}")
# Longer than a UUID or a SHA-256 in hex, shorter than any token: tells tokens from an application's own ids.
_TOKEN_ID = re.compile(rf"[A-Za-z0-9_-]{{65,{MAX_TOKEN_CHARS}}}")
_NO_HEADER = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_VERSION = 1


class Cursor:
    """Position and token. The token may lie behind the position: then the position goes along with it."""

    def __init__(self) -> None:
        self.token: str | None = None
        self.token_seq: int | None = None
        """The position that the token stands for, where it is known."""
        self.seq: int | None = None
        """The last position that this connection has come to."""
        self.delivered: int | None = None
        """The last position that the consumer has; an event up to it is a duplicate."""
        self.request_id: str | None = None
        self.expires_at: float | None = None
        """Seconds since the epoch, by the server's clock."""
        self.by_position = False
        """Whether the last event had no token as its id, so that the position has to be said."""
        self.last_id = ""
        """For servers without a `ResumeLayer`."""
        self._lifetime: float | None = None
        self._uncounted = 0  # events since the token, while the position is unknown

    def adopt(self, token: Any, *, seq: int | None) -> bool:  # noqa: ANN401 - comes from the network
        """Takes a token that the server has named as one, at the position `seq`."""
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            return False
        self.token = token
        self.token_seq = seq
        self._uncounted = 0
        return True

    def expires(self, at_ms: Any, now: float) -> None:  # noqa: ANN401 - comes from the network
        """`expires_at` of a control event. Later tokens, which come as plain ids, live as long."""
        at = natural(at_ms)
        if at:
            self.expires_at = at / 1000
            self._lifetime = max(self.expires_at - now, 0.0)

    def place(self, seq: int) -> None:
        """The next event is `seq + 1`."""
        self.seq = seq
        if self.delivered is None:
            self.delivered = seq

    def count(self) -> bool:
        """One more event is here. Whether it is new to the consumer."""
        if self.seq is None:
            self._uncounted += 1
            return True
        self.seq += 1
        new = self.delivered is None or self.seq > self.delivered
        if new:
            self.delivered = self.seq
        return new

    def skip_to(self, seq: int) -> None:
        """All up to `seq` is missing, or is stood in for."""
        self.seq = seq
        self.delivered = max(self.delivered or 0, seq)

    def id(self, value: str, now: float) -> None:
        """The `id` of the event that was just counted: the token, or an id of the application's own."""
        self.last_id = value
        if not _TOKEN_ID.fullmatch(value):
            return
        self.adopt(value, seq=self.seq)
        self.by_position = False
        if self._lifetime is not None:
            self.expires_at = now + self._lifetime

    @property
    def sendable_id(self) -> str | None:
        """The last id, where a header can carry it."""
        last_id = self.last_id.strip(" \t")
        return last_id if last_id and not _NO_HEADER.search(last_id) else None

    @property
    def resumable(self) -> bool:
        """Whether a token leads to this very position, by itself or with the position beside it."""
        return self.token is not None and self._uncounted == 0

    @property
    def explicit(self) -> int | None:
        """The position that has to go along with the token, because the token itself lies elsewhere, or may."""
        return self.seq if self.by_position or self.seq != self.token_seq else None

    def expired(self, now: float) -> bool:
        return self.expires_at is not None and now >= self.expires_at

    def to_text(self) -> str:
        """For the storage."""
        return json.dumps(
            {
                "v": _VERSION,
                "token": self.token,
                "token_seq": self.token_seq,
                "seq": self.seq,
                "request_id": self.request_id,
                "expires_at": None if self.expires_at is None else round(self.expires_at * 1000),
            }
        )

    @classmethod
    def from_text(cls, text: str, now: float) -> Cursor | None:
        """From the storage; `None` where it is nothing that this client has written."""
        try:
            saved = json.loads(text)
        except (ValueError, RecursionError):
            return None
        cursor = cls()
        if not isinstance(saved, dict) or saved.get("v") != _VERSION or not cursor.adopt(saved.get("token"), seq=None):
            return None
        cursor.token_seq = natural(saved.get("token_seq"))
        cursor.seq = cursor.delivered = natural(saved.get("seq"))
        request_id = saved.get("request_id")
        cursor.request_id = request_id if isinstance(request_id, str) else None
        cursor.expires(saved.get("expires_at"), now)
        return cursor


def natural(value: Any) -> int | None:  # noqa: ANN401 - comes from the network
    """A whole number from 0 on that can be, or `None`."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_NUMBER else None
