"""What both drivers need of httpx: requests, time-outs, and what its exceptions mean."""

from __future__ import annotations

import functools
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypedDict

import httpx

from ._answers import Head
from ._errors import ResumableError
from ._settings import Settings, shown
from ._steps import Send

HeaderValues: TypeAlias = Mapping[str, str] | Sequence[tuple[str, str]]
Auth: TypeAlias = httpx.Auth | tuple[str, str]

CONNECT_TIMEOUT = 10.0
"""Seconds, also for writing and for a place in the pool. A client of the caller's keeps its own."""

MAX_PORT = 65_535

PROBLEM_CHUNKS = 64
"""No more pieces are read of an answer that is no stream, however small they are."""

FAILURES = (httpx.RequestError, httpx.StreamError, OSError)
"""What a connection can fail with."""

# They speak of the caller's body, or say where to go on in a way that would outrank the token.
_START_ONLY = ("content-type", "content-length", "content-encoding", "transfer-encoding", "idempotency-key")
_CURSORS = ("last-event-id", "x-resume-token", "x-resume-from", "x-resume-mode")


class BodyArguments(TypedDict, total=False):
    """The body of the first request, by httpx's names."""

    json: Any
    content: str | bytes
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Prepared:
    """The arguments of `Client.build_request`."""

    method: str
    url: str
    headers: httpx.Headers
    body: BodyArguments


def prepare(send: Send, settings: Settings, headers: HeaderValues | None, body: BodyArguments) -> Prepared:
    merged = httpx.Headers(headers)
    merged["accept"] = "text/event-stream"
    merged["cache-control"] = "no-store"
    # A compressed stream comes late: encoders wait for more.
    merged.setdefault("accept-encoding", "identity")
    if send.start:
        # An id of a plain server may be any text.
        merged.update(httpx.Headers(send.headers, encoding="utf-8"))
        return Prepared(settings.method, settings.url, merged, body)
    _drop(merged, *_START_ONLY, *_CURSORS)
    merged.update(send.headers)
    return Prepared(settings.resume_method, settings.resume_url or settings.url, merged, {})


def prepare_cancel(settings: Settings, token: str, headers: HeaderValues | None) -> Prepared:
    merged = httpx.Headers(headers)
    _drop(merged, *_START_ONLY, *_CURSORS)
    merged["x-resume-token"] = token
    return Prepared("DELETE", settings.resume_url or settings.url, merged, {})


def _drop(headers: httpx.Headers, *names: str) -> None:
    for name in names:
        headers.pop(name, None)


@functools.cache
def tls() -> ssl.SSLContext:
    """httpx's own default, made once: reading all root certificates takes longer than a request."""
    return httpx.create_ssl_context()


def timeout_of(client: httpx.Client | httpx.AsyncClient, settings: Settings) -> httpx.Timeout:
    """The client's own, but for the time that a read may take."""
    own = client.timeout
    return httpx.Timeout(connect=own.connect, write=own.write, pool=own.pool, read=settings.idle_timeout or None)


def await_head(request: httpx.Request, send: Send, settings: Settings) -> None:
    """A start that is not sent again may take the server its time: an answer that comes too late is a lost one."""
    if send.start and not settings.repeatable:
        request.extensions["timeout"]["read"] = None


def await_body(request: httpx.Request, settings: Settings) -> None:
    """From here on silence is a loss, whatever the head was allowed. Requests that a redirect leads to share this."""
    request.extensions["timeout"]["read"] = settings.idle_timeout or None


def onward(client: httpx.Client | httpx.AsyncClient, response: httpx.Response, hops: int) -> httpx.Request | None:
    """What a redirect of a request with a token leads to, where the client follows any: a token goes to the origin that
    it is of, and to no other."""
    following = response.next_request
    if following is None or not client.follow_redirects or hops >= client.max_redirects:
        return None
    return following if _origin(following.url) == _origin(response.request.url) else None


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def head_of(response: httpx.Response) -> Head:
    return Head(response.status_code, dict(response.headers))


def why(error: Exception) -> str:
    """An exception for people to read."""
    if isinstance(error, httpx.ReadTimeout):
        return "nothing came for too long (idle time-out)"
    kind = type(error).__name__
    return f"{kind}: {error}" if str(error) else kind


def is_final(error: BaseException) -> bool:
    """Whether the request would fail in the same way every time: a bad header, a certificate that is not trusted."""
    if isinstance(error, (httpx.LocalProtocolError, httpx.UnsupportedProtocol, httpx.TooManyRedirects)):
        return True
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def is_sent(error: Exception) -> bool:
    """Whether the server may have got the request."""
    return not isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError))


def bad_url(error: Exception, url: str) -> ResumableError:
    return ResumableError("bad_url", f"{shown(url)}: {error}")


def full_url(url: str | httpx.URL, params: Mapping[str, Any] | None, base_url: httpx.URL | None) -> str:
    """The URL as text. Raises `bad_url` where HTTP cannot ask for it."""
    try:
        parsed = httpx.URL(url)
        if params:
            parsed = parsed.copy_merge_params(params)
    except (httpx.InvalidURL, UnicodeError) as error:
        raise bad_url(error, str(url)) from None
    relative = parsed.is_relative_url and base_url is not None and base_url.host
    if not relative and (parsed.scheme not in ("http", "https") or not parsed.host):
        raise ResumableError("bad_url", f"{shown(str(url))}: an http:// or https:// URL is needed")
    # httpx lets these through, and fails on them later in ways of its own.
    if (parsed.port or 0) > MAX_PORT or ("%" in parsed.host and ":" not in parsed.host):
        raise ResumableError("bad_url", f"{shown(str(url))}: no such host or port can be")
    return str(parsed)
