"""The two functions that a program calls, and their options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypedDict

from ._async import AsyncResumable
from ._async import Headers as AsyncHeaders
from ._http import BodyArguments, full_url
from ._settings import (
    DEFAULT_IDLE_TIMEOUT,
    DEFAULT_MAX_EVENT_BYTES,
    DEFAULT_RETRY_BASE,
    DEFAULT_RETRY_MAX,
    ResumeFrom,
    Settings,
)
from ._sync import Headers, Resumable

if TYPE_CHECKING:
    import httpx
    from typing_extensions import Unpack

    from ._http import Auth
    from ._state import State
    from ._storage import AsyncStorage, Storage


class Options(TypedDict, total=False):
    """What `resumable` and `aresumable` have in common. Times are in seconds."""

    method: str
    """Of the first request. Default: `GET`."""
    params: Mapping[str, Any]
    """Query parameters, added to the URL."""
    json: Any
    """The first request's body, as with httpx; likewise `content` and `data`."""
    content: str | bytes
    data: Mapping[str, Any]
    resume_url: str
    """Where to resume and cancel. Default: the URL itself."""
    resume_method: str
    """Default: `GET`."""
    idempotency_key: str | bool
    """Sent as `Idempotency-Key`, so that a POST whose answer was lost can be sent again. `True`: a random one."""
    storage_key: str
    """The name under which the storage keeps this stream. Default: made of method and URL, without the body."""
    resume_from: ResumeFrom
    """What a new client with a stored cursor gets: what was `missed` (default), or all again from the `start`."""
    restart: bool
    """On `unauthorized` and `gone`, yield `Restart` and begin a new stream, in place of the error. Default: no."""
    control: bool
    """Yield control events, too, as `Control`. Default: no."""
    control_event: str
    """The name of the server's control events. Default: `resume`."""
    idle_timeout: float
    """A connection that brings nothing for so long is lost; 0 turns it off. Default: 30.

    It counts for answers, too, but for that to a start that is not sent again: it may take as long as it takes.
    """
    retry_base: float
    """The first back-off is up to so long, until the server says otherwise (`retry:`). Default: 1."""
    retry_max: float
    """The longest back-off; only `Retry-After` goes beyond it. Default: 30."""
    max_attempts: int | None
    """Give up when so many requests in a row have brought nothing. Default: never, but for the token's time."""
    max_event_bytes: int
    """A larger event is an error. Default: 16 MiB."""
    auth: Auth
    """As with httpx; sent with every request."""
    on_state: Callable[[State], None]
    """Called on every change of state."""


def resumable(
    url: str | httpx.URL,
    *,
    client: httpx.Client | None = None,
    headers: Headers | None = None,
    storage: Storage | None = None,
    **options: Unpack[Options],
) -> Resumable:
    """A stream of events that comes back by itself, for a `for` loop. Best used in a `with` statement.

    `client`: one of your own, with its proxies, TLS and pool; it is not closed. `headers`: a mapping, or a function
    that is asked before each request, for bearer tokens that expire. `storage`: where the cursor is kept, so that
    another process can go on. For the rest see `Options`.

    Nothing is sent before the first event is asked for. Raises `ResumableError`: `bad_url` here, all others while
    iterating; `ValueError` for options that make no sense.
    """
    settings = _settings(url, options, client, stores=storage is not None)
    return Resumable(
        settings,
        client=client,
        headers=headers,
        auth=options.get("auth"),
        body=_body(options),
        storage=storage,
        on_state=options.get("on_state"),
    )


def aresumable(
    url: str | httpx.URL,
    *,
    client: httpx.AsyncClient | None = None,
    headers: AsyncHeaders | None = None,
    storage: Storage | AsyncStorage | None = None,
    **options: Unpack[Options],
) -> AsyncResumable:
    """The same for `async for`, with asyncio or trio. Best used in an `async with` statement.

    `headers` can be a coroutine function, and the storage's methods can be such, too.
    """
    settings = _settings(url, options, client, stores=storage is not None)
    return AsyncResumable(
        settings,
        client=client,
        headers=headers,
        auth=options.get("auth"),
        body=_body(options),
        storage=storage,
        on_state=options.get("on_state"),
    )


def _settings(
    url: str | httpx.URL, options: Options, client: httpx.Client | httpx.AsyncClient | None, *, stores: bool
) -> Settings:
    unknown = options.keys() - Options.__annotations__.keys()
    if unknown:
        raise TypeError(f"unknown options: {', '.join(sorted(unknown))}")
    base_url = None if client is None else client.base_url
    whole = full_url(url, options.get("params"), base_url)
    resume_url = options.get("resume_url")
    method = options.get("method", "GET").upper()
    return Settings(
        url=whole,
        method=method,
        resume_url=None if resume_url is None else full_url(resume_url, None, base_url),
        resume_method=options.get("resume_method", "GET").upper(),
        idempotency_key=options.get("idempotency_key", False),
        storage_key=options.get("storage_key", f"{method} {whole}") if stores else None,
        resume_from=options.get("resume_from", "missed"),
        restart=options.get("restart", False),
        control=options.get("control", False),
        control_event=options.get("control_event", "resume"),
        idle_timeout=options.get("idle_timeout", DEFAULT_IDLE_TIMEOUT),
        retry_base=options.get("retry_base", DEFAULT_RETRY_BASE),
        retry_max=options.get("retry_max", DEFAULT_RETRY_MAX),
        max_attempts=options.get("max_attempts"),
        max_event_bytes=options.get("max_event_bytes", DEFAULT_MAX_EVENT_BYTES),
    )


def _body(options: Options) -> BodyArguments:
    body: BodyArguments = {}
    if "json" in options:
        body["json"] = options["json"]
    if "content" in options:
        body["content"] = options["content"]
    if "data" in options:
        body["data"] = options["data"]
    return body
