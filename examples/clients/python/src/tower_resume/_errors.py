"""The one error of this package."""

from __future__ import annotations

from typing import Literal, TypeAlias

Code: TypeAlias = Literal[
    "bad_url",
    "not_event_stream",
    "start_failed",
    "not_resumable",
    "unauthorized",
    "gone",
    "refused",
    "gave_up",
    "too_large",
    "aborted",
]


class ResumableError(Exception):
    """Why a stream cannot be had, or not any more. `code` says which of the ten reasons it is.

    | code | what happened |
    | --- | --- |
    | `bad_url` | the URL is none that HTTP can ask for |
    | `not_event_stream` | the answer is a 200, but no event stream: a login page, say |
    | `start_failed` | the first request failed, and it is not known whether it was carried out; it was not repeated |
    | `not_resumable` | the connection was lost, and the server has no way to go on |
    | `unauthorized` | the server does not accept the token, or the caller |
    | `gone` | the stream is no longer there |
    | `refused` | any other answer; `status` and `problem` say which |
    | `gave_up` | `max_attempts` in a row brought nothing |
    | `too_large` | one event is larger than `max_event_bytes` |
    | `aborted` | `cancel()` was interrupted by `close()` |

    No token is ever part of its text.
    """

    def __init__(
        self,
        code: Code,
        text: str,
        *,
        status: int | None = None,
        problem: str | None = None,
        needs_new_start: bool = False,
    ) -> None:
        super().__init__(code, text)
        self.code: Code = code
        self.text = text
        self.status = status
        """The HTTP status of the answer, where there was one."""
        self.problem = problem
        """The `code` of the answer's `application/problem+json`, where there was one."""
        self.needs_new_start = needs_new_start
        """Whether this stream cannot be had any more, and a new one has to be started."""

    def __str__(self) -> str:
        return f"{self.code}: {self.text}"

    def __repr__(self) -> str:
        return f"ResumableError({self.code!r}, status={self.status!r}, problem={self.problem!r})"
