"""The driver for asyncio and trio: does what the core asks for, with `httpx.AsyncClient`."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from types import TracebackType
from typing import TYPE_CHECKING, Literal, TypeVar

import anyio
import httpx

from . import _http
from ._answers import MAX_PROBLEM_BYTES
from ._canceller import Canceller
from ._core import Core
from ._errors import ResumableError
from ._events import StreamEvent
from ._http import Auth, BodyArguments, HeaderValues, Prepared
from ._known import Known
from ._state import State
from ._steps import Deliver, Finish, Load, Read, ReadProblem, Send, Store, Wait

if TYPE_CHECKING:
    from typing_extensions import Self

    from ._settings import Settings
    from ._storage import AsyncStorage, Storage

T = TypeVar("T")
Headers = HeaderValues | Callable[[], HeaderValues | Awaitable[HeaderValues]]


class AsyncResumable(Known, AsyncIterator[StreamEvent]):
    """A stream of events that comes back by itself. Made by `aresumable`.

    One task iterates. `close`, `disconnect` and `cancel` can be called from any task of the same loop.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        client: httpx.AsyncClient | None,
        headers: Headers | None,
        auth: Auth | None,
        body: BodyArguments,
        storage: Storage | AsyncStorage | None,
        on_state: Callable[[State], None] | None,
    ) -> None:
        self._settings = settings
        self._core = Core(settings, on_state=on_state)
        self._own_client = client is None
        self._client = client or httpx.AsyncClient(timeout=_http.CONNECT_TIMEOUT, verify=_http.tls())
        self._headers = headers
        self._auth = auth
        self._body = body
        self._storage = storage
        self._response: httpx.Response | None = None
        self._chunks: AsyncIterator[bytes] | None = None
        self._iterating = False
        self._scope: anyio.CancelScope | None = None  # around what the iterating task waits for
        self._left: anyio.Event | None = None  # set when the iterating task has seen that the stream is closed
        self._cancelling: set[anyio.CancelScope] = set()  # around what `cancel` waits for
        self._closed = False
        self._cut = False

    # Iteration.

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamEvent:
        if self._iterating:
            raise RuntimeError("another task iterates this stream already")
        self._iterating = True
        try:
            event = await self._advance()
        except BaseException:
            # A cancelled task leaves no connection behind. Asked again (after a time-out, say), the stream goes on.
            if not self._closed:
                await self._drop()
                self._core.lost("interrupted")
            raise
        finally:
            self._iterating = False
            if self._closed:
                await self._shut()
                if self._left is not None:
                    self._left.set()
        if event is None:
            await self._shut()
            raise StopAsyncIteration
        return event

    async def _advance(self) -> StreamEvent | None:
        core = self._core
        core.asked()
        while True:
            if self._closed:
                core.close()
            elif self._cut:
                self._cut = False
                await self._drop()
                core.lost("disconnected on purpose")
            match core.next_step():
                case Deliver(event):
                    return event
                case Read():
                    await self._unless_cut(self._read)
                case Send() as send:
                    await self._drop()
                    await self._unless_cut(lambda send=send: self._send(send))  # type: ignore[misc]
                case ReadProblem():
                    await self._unless_cut(self._read_problem)
                case Wait(seconds):
                    await self._drop()
                    await self._unless_cut(lambda seconds=seconds: self._wait(seconds))  # type: ignore[misc]
                case Load():
                    core.loaded(await self._load())
                case Store(text):
                    await self._store(text)
                case Finish(error):
                    await self._shut()
                    if error is not None:
                        raise error
                    return None

    async def _unless_cut(self, do: Callable[[], Awaitable[None]]) -> None:
        """What `close` and `disconnect` can interrupt."""
        with anyio.CancelScope() as self._scope:
            await do()
        self._scope = None

    async def _send(self, send: Send) -> None:
        prepared = _http.prepare(send, self._settings, await self._own_headers(), self._body)
        request = self._request(self._client, prepared)
        _http.await_head(request, send, self._settings)
        try:
            self._response = await self._ask(self._client, request, by_token=not send.start)
        except _http.FAILURES as error:
            self._core.lost(_http.why(error), final=_http.is_final(error), sent=_http.is_sent(error))
            return
        _http.await_body(request, self._settings)
        self._chunks = self._response.aiter_bytes()
        self._core.responded(_http.head_of(self._response))

    async def _ask(self, client: httpx.AsyncClient, request: httpx.Request, *, by_token: bool) -> httpx.Response:
        auth = self._auth or httpx.USE_CLIENT_DEFAULT
        if not by_token:
            return await client.send(request, stream=True, auth=auth)
        for hops in count():
            response = await client.send(request, stream=True, auth=auth, follow_redirects=False)
            following = _http.onward(client, response, hops)
            if following is None:
                break
            await response.aclose()
            request = following
        return response

    async def _read(self) -> None:
        try:
            data = None if self._chunks is None else await anext(self._chunks, None)
        except _http.FAILURES as error:
            self._core.lost(_http.why(error))
            return
        if data is None:
            self._core.lost("the response ended before the stream did")
        else:
            self._core.received(data)

    async def _read_problem(self) -> None:
        body = bytearray()
        with contextlib.suppress(*_http.FAILURES):
            for _ in range(_http.PROBLEM_CHUNKS):
                data = None if self._chunks is None else await anext(self._chunks, None)
                if data is None or len(body) > MAX_PROBLEM_BYTES:
                    break
                body += data
        self._core.explained(bytes(body))

    async def _wait(self, seconds: float) -> None:
        await anyio.sleep(seconds)
        self._core.waited()

    async def _load(self) -> str | None:
        return None if self._storage is None else await _settled(self._storage.get(self._key))

    async def _store(self, text: str | None) -> None:
        if self._storage is None:
            return
        if text is None:
            await _settled(self._storage.remove(self._key))
        else:
            await _settled(self._storage.set(self._key, text))

    # What the consumer can do beside iterating.

    async def cancel(self) -> Literal["ended", "asked"]:
        """Stops the stream at its source. `ended`: it is over; `asked`: its node was told, and has not answered yet.

        The iteration goes on, to the stream's `End`. Raises `ResumableError`: `refused` where the token may only read,
        `not_resumable` where no token was had yet.
        """
        if self._closed:
            raise ResumableError("aborted", "this stream was closed, and cannot be cancelled from here")
        if self.state == "ended":
            return "ended"
        canceller = Canceller(self._core)
        # A client of our own is closed as soon as the iteration is over.
        async with (
            httpx.AsyncClient(timeout=_http.CONNECT_TIMEOUT, verify=_http.tls())
            if self._own_client
            else contextlib.nullcontext(self._client) as client
        ):
            while canceller.outcome is None:
                with anyio.CancelScope() as scope:
                    self._cancelling.add(scope)
                    try:
                        await anyio.sleep(canceller.delay)
                        await self._ask_to_cancel(client, canceller)
                    finally:
                        self._cancelling.discard(scope)
                # `cancelled_caught` would miss a close that came when there was nothing left to interrupt.
                if self._closed:
                    raise ResumableError("aborted", "closed before the stream could be cancelled")
        return canceller.outcome

    async def _ask_to_cancel(self, client: httpx.AsyncClient, canceller: Canceller) -> None:
        prepared = _http.prepare_cancel(self._settings, canceller.token, await self._own_headers())
        request = self._request(client, prepared)
        try:
            async with contextlib.aclosing(await self._ask(client, request, by_token=True)) as response:
                body = await anext(response.aiter_bytes(MAX_PROBLEM_BYTES), b"")
                canceller.answered(_http.head_of(response), body)
        except _http.FAILURES as error:
            canceller.failed(_http.why(error))

    async def disconnect(self) -> None:
        """Cuts the connection on purpose, where there is one. The stream comes back by itself: for tests and demos."""
        if self._response is None:
            return
        self._cut = True
        if self._iterating:
            self._interrupt()
        else:
            await self._drop()

    async def close(self) -> None:
        """Leaves; the stream runs on at the server. A task that waits for an event is told that there is none."""
        self._closed = True
        for scope in self._cancelling:
            scope.cancel()
        if self._iterating:
            self._left = self._left or anyio.Event()
            self._interrupt()
            await self._left.wait()
        else:
            self._core.close()
            await self._shut()

    aclose = close

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # Inside.

    @property
    def _key(self) -> str:
        return self._settings.storage_key or ""

    async def _own_headers(self) -> HeaderValues | None:
        return await _settled(self._headers()) if callable(self._headers) else self._headers

    def _request(self, client: httpx.AsyncClient, prepared: Prepared) -> httpx.Request:
        return client.build_request(
            prepared.method,
            prepared.url,
            headers=prepared.headers,
            timeout=_http.timeout_of(client, self._settings),
            **prepared.body,
        )

    def _interrupt(self) -> None:
        if self._scope is not None:
            self._scope.cancel()

    async def _drop(self) -> None:
        response, self._response, self._chunks = self._response, None, None
        if response is not None:
            with anyio.CancelScope(shield=True), contextlib.suppress(*_http.FAILURES):
                await response.aclose()

    async def _shut(self) -> None:
        await self._drop()
        if self._own_client:
            with anyio.CancelScope(shield=True):
                await self._client.aclose()


async def _settled(value: T | Awaitable[T]) -> T:
    return await value if inspect.isawaitable(value) else value
