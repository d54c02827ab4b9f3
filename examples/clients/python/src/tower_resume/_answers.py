"""What an answer that is no stream means, at the start and on a resume."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from ._errors import Code, ResumableError

MAX_PROBLEM_BYTES = 16 * 1024
"""No more is read of an answer that is no stream."""

_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_NOT_STARTED = frozenset({429, 503})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CONFLICT = 409


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers of an answer; the headers' names in lower case."""

    status: int
    headers: Mapping[str, str]

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def is_stream(self) -> bool:
        return self.status == 200 and self.media_type == "text/event-stream"


def problem_code(head: Head, body: bytes) -> str | None:
    """The member `code` of an `application/problem+json`."""
    if head.media_type not in ("application/problem+json", "application/json"):
        return None
    try:
        problem = json.loads(body)
    except (ValueError, RecursionError):
        return None
    code = problem.get("code") if isinstance(problem, dict) else None
    return code if isinstance(code, str) and len(code) <= 64 and code.isprintable() else None


def at_start(head: Head, problem: str | None, *, repeatable: bool) -> ResumableError | None:
    """What to tell the consumer; `None`: come back later."""
    status = head.status
    if status in _NOT_STARTED or (status == _CONFLICT and problem == "in_progress"):
        return None
    if status in _TRANSIENT:
        if repeatable:
            return None
        return _error(
            "start_failed",
            "the request was answered with an error that may pass, but it may have been carried out: "
            "it is repeated only with an idempotency_key",
            status,
            problem,
        )
    if status == 200:
        return not_a_stream(head)
    if status == 401:
        return _error("unauthorized", "the server does not accept the caller: are the headers right?", status, problem)
    return _error("refused", f"the server refused the request{_hint(status)}", status, problem)


def at_resume(head: Head, problem: str | None) -> ResumableError | None:
    """What to tell the consumer; `None`: come back later."""
    status = head.status
    if status in _TRANSIENT:
        return None
    if status == 200:
        return not_a_stream(head)
    if lost := _lost(status, problem):
        return lost
    return _error("refused", f"the server refused to resume{_resume_hint(status)}", status, problem)


def at_cancel(head: Head, problem: str | None) -> bool | ResumableError | None:
    """Whether the stream has ended (or was only asked to), why not, or `None`: come back later."""
    status = head.status
    if status in _TRANSIENT:
        return None
    if status in (202, 204):
        return status == 204
    if lost := _lost(status, problem):
        return lost
    hint = ": this token may only read" if status == 403 else _resume_hint(status)
    return _error("refused", f"the server refused to cancel{hint}", status, problem)


def not_a_stream(head: Head) -> ResumableError:
    kind = head.media_type[:80] if head.media_type.isprintable() else ""
    return _error("not_event_stream", f"the answer is no text/event-stream but {kind or 'of no type'}", 200, None)


def _lost(status: int, problem: str | None) -> ResumableError | None:
    if status == 401:
        return _error(
            "unauthorized", "the token is no longer good, or the caller is not known", status, problem, over=True
        )
    if status in (410, 426):
        return _error("gone", "the stream is no longer there", status, problem, over=True)
    return None


def _resume_hint(status: int) -> str:
    if status in _REDIRECTS:
        return ": it redirects; give it the new URL as resume_url, as a token is not sent to another origin"
    return ": is resume_url right?" if status in (404, 405) else ""


def _hint(status: int) -> str:
    if status in _REDIRECTS:
        return ": it redirects; give it the new URL, or a client with follow_redirects=True"
    return ": is the URL right?" if status in (404, 405) else ""


def _error(code: Code, text: str, status: int, problem: str | None, *, over: bool = False) -> ResumableError:
    told = f"{status}, {problem}" if problem else f"{status}"
    return ResumableError(code, f"{text} (HTTP {told})", status=status, problem=problem, needs_new_start=over)
