"""The driver for threads: does what the core asks for, with `httpx.Client`."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from itertools import count, islice
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

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
    from ._storage import Storage

Headers = HeaderValues | Callable[[], HeaderValues]


class Resumable(Known, Iterator[StreamEvent]):
    """A stream of events that comes back by itself. Made by `resumable`.

    One thread iterates. `close`, `disconnect` and `cancel` can be called from any thread.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        client: httpx.Client | None,
        headers: Headers | None,
        auth: Auth | None,
        body: BodyArguments,
        storage: Storage | None,
        on_state: Callable[[State], None] | None,
    ) -> None:
        self._settings = settings
        self._core = Core(settings, on_state=on_state)
        self._own_client = client is None
        self._client = client or httpx.Client(timeout=_http.CONNECT_TIMEOUT, verify=_http.tls())
        self._headers = headers
        self._auth = auth
        self._body = body
        self._storage = storage
        self._response: httpx.Response | None = None
        self._chunks: Iterator[bytes] | None = None
        self._network: Any = None  # httpcore's stream of the connection that is in use
        self._iterating = threading.Lock()
        self._wake = threading.Event()
        self._closed = False
        self._cut = False

    # Iteration.

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> StreamEvent:
        if not self._iterating.acquire(blocking=False):
            raise RuntimeError("another thread iterates this stream already")
        try:
            event = self._advance()
        except BaseException:
            # Whatever comes here (Ctrl-C, say), no connection is left behind. Asked again, the stream goes on.
            if not self._closed:
                self._drop()
                self._core.lost("interrupted")
            raise
        finally:
            self._iterating.release()
        if event is None:
            self._shut()
            raise StopIteration
        return event

    def _advance(self) -> StreamEvent | None:
        core = self._core
        core.asked()
        while True:
            if self._closed:
                core.close()
            elif self._cut:
                self._cut = False
                self._drop()
                core.lost("disconnected on purpose")
            match core.next_step():
                case Deliver(event):
                    return event
                case Read():
                    self._read()
                case Send() as send:
                    self._drop()
                    self._send(send)
                case ReadProblem():
                    core.explained(self._read_problem())
                case Wait(seconds):
                    self._drop()
                    if not self._wake.wait(seconds):
                        core.waited()
                case Load():
                    core.loaded(self._storage.get(self._key) if self._storage else None)
                case Store(text):
                    self._store(text)
                case Finish(error):
                    self._shut()
                    if error is not None:
                        raise error
                    return None

    def _send(self, send: Send) -> None:
        prepared = _http.prepare(send, self._settings, self._own_headers(), self._body)
        request = self._request(self._client, prepared)
        request.extensions["trace"] = self._trace
        _http.await_head(request, send, self._settings)
        try:
            self._response = self._ask(self._client, request, by_token=not send.start)
        except _http.FAILURES as error:
            self._core.lost(_http.why(error), final=_http.is_final(error), sent=_http.is_sent(error))
            return
        _http.await_body(request, self._settings)
        self._network = self._response.extensions.get("network_stream")
        self._chunks = self._response.iter_bytes()
        self._core.responded(_http.head_of(self._response))

    def _ask(self, client: httpx.Client, request: httpx.Request, *, by_token: bool) -> httpx.Response:
        auth = self._auth or httpx.USE_CLIENT_DEFAULT
        if not by_token:
            return client.send(request, stream=True, auth=auth)
        for hops in count():
            response = client.send(request, stream=True, auth=auth, follow_redirects=False)
            following = _http.onward(client, response, hops)
            if following is None:
                break
            response.close()
            request = following
        return response

    def _read(self) -> None:
        try:
            data = None if self._chunks is None else next(self._chunks, None)
        except _http.FAILURES as error:
            self._core.lost(_http.why(error))
            return
        if data is None:
            self._core.lost("the response ended before the stream did")
        else:
            self._core.received(data)

    def _read_problem(self) -> bytes:
        body = bytearray()
        with contextlib.suppress(*_http.FAILURES):
            for data in islice(self._chunks or iter(()), _http.PROBLEM_CHUNKS):
                body += data
                if len(body) > MAX_PROBLEM_BYTES:
                    break
        return bytes(body)

    def _store(self, text: str | None) -> None:
        if self._storage is None:
            return
        if text is None:
            self._storage.remove(self._key)
        else:
            self._storage.set(self._key, text)

    # What the consumer can do beside iterating.

    def cancel(self) -> Literal["ended", "asked"]:
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
        with (
            httpx.Client(timeout=_http.CONNECT_TIMEOUT, verify=_http.tls())
            if self._own_client
            else contextlib.nullcontext(self._client) as client
        ):
            while canceller.outcome is None:
                if self._wake.wait(canceller.delay):
                    raise ResumableError("aborted", "closed before the stream could be cancelled")
                self._ask_to_cancel(client, canceller)
        return canceller.outcome

    def _ask_to_cancel(self, client: httpx.Client, canceller: Canceller) -> None:
        prepared = _http.prepare_cancel(self._settings, canceller.token, self._own_headers())
        request = self._request(client, prepared)
        try:
            with contextlib.closing(self._ask(client, request, by_token=True)) as response:
                body = b"".join(islice(response.iter_bytes(MAX_PROBLEM_BYTES), 1))
                canceller.answered(_http.head_of(response), body)
        except _http.FAILURES as error:
            canceller.failed(_http.why(error))

    def disconnect(self) -> None:
        """Cuts the connection on purpose, where there is one. The stream comes back by itself: for tests and demos."""
        if self._response is not None or self._network is not None:
            self._cut = True
            self._sever()

    def close(self) -> None:
        """Leaves; the stream runs on at the server. A thread that waits for an event is told that there is none."""
        self._closed = True
        self._wake.set()
        if self._iterating.acquire(blocking=False):
            try:
                self._core.close()
                self._shut()
            finally:
                self._iterating.release()
        else:
            self._sever()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # An iterator that was left in the middle and forgotten.
        if hasattr(self, "_chunks") and not self._closed:
            self._shut()

    # Inside.

    @property
    def _key(self) -> str:
        return self._settings.storage_key or ""

    def _own_headers(self) -> HeaderValues | None:
        return self._headers() if callable(self._headers) else self._headers

    def _request(self, client: httpx.Client, prepared: Prepared) -> httpx.Request:
        return client.build_request(
            prepared.method,
            prepared.url,
            headers=prepared.headers,
            timeout=_http.timeout_of(client, self._settings),
            **prepared.body,
        )

    def _trace(self, name: str, info: Mapping[str, Any]) -> None:
        # A new connection is known before its answer is here, so that `close` can cut it while it waits for one.
        if name in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._network = info.get("return_value")
            if self._closed:
                self._sever()

    def _sever(self) -> None:
        """Wakes a thread that reads: closing a socket does not, shutting it down does."""
        network = self._network
        if network is None:
            return
        response = self._response
        if response is not None and response.extensions.get("http_version") == b"HTTP/2":
            return  # The socket serves others, too. The reader looks up with the next bytes.
        with contextlib.suppress(OSError, AttributeError):
            # The socket's own method, not that of TLS: that one is not for two threads.
            socket.socket.shutdown(network.get_extra_info("socket"), socket.SHUT_RDWR)

    def _drop(self) -> None:
        response, self._response, self._chunks, self._network = self._response, None, None, None
        if response is not None:
            with contextlib.suppress(*_http.FAILURES):
                response.close()

    def _shut(self) -> None:
        self._drop()
        if self._own_client:
            self._client.close()
