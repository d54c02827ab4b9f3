"""What a program can ask a stream, whichever driver it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._core import Core
    from ._state import State, Stats


class Known:
    """A stream, as far as its core knows it."""

    _core: Core

    @property
    def state(self) -> State:
        return self._core.state

    @property
    def seq(self) -> int | None:
        """The last position that was delivered."""
        return self._core.cursor.delivered

    @property
    def token(self) -> str | None:
        """What a client needs to resume here. Whoever has it can read the stream: do not log it."""
        return self._core.cursor.token

    @property
    def request_id(self) -> str | None:
        """The stream's name, for logs and support."""
        return self._core.cursor.request_id

    @property
    def stats(self) -> Stats:
        return self._core.stats

    @property
    def last_problem(self) -> str | None:
        """Why the last connection or attempt failed."""
        return self._core.last_problem

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.state}, seq {self.seq}, stream {self.request_id}>"
