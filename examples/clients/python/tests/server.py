"""A small server on raw sockets: it answers the n-th request with the n-th script, and cuts where a test says so."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TypeAlias

PATIENCE = 60.0
"""Seconds that a test waits for what has to come, at most."""

RESET = object()
"""The connection breaks off."""
CLOSE = object()
"""The connection ends cleanly, without saying that the body is whole."""
END = object()
"""The body ends as HTTP wants it."""
HOLD = object()
"""Nothing more comes, and the connection stays until the client leaves."""

Part: TypeAlias = bytes | str | object | threading.Event | Callable[[], None]


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def token(self) -> str | None:
        return self.headers.get("x-resume-token")


@dataclass
class Script:
    """The head, and what comes behind it. Texts are sent as chunks of the body; bytes go out as they are."""

    status: str
    headers: dict[str, str]
    parts: tuple[Part, ...]
    chunked: bool = True


@dataclass
class Server:
    scripts: list[Script]
    requests: list[Request] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)
    """Set when a client has left a connection that was held."""
    held: threading.Event = field(default_factory=threading.Event)
    sent: int = 0

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/stream"

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                quietly(lambda c=connection: c.shutdown(socket.SHUT_RDWR))  # type: ignore[misc]
        for thread in self._threads:
            thread.join(PATIENCE)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            with self._lock:
                self._open.append(connection)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(PATIENCE)
            try:
                request = read_request(connection)
                if request is None:
                    return
                with self._lock:
                    script = self._script(request)
                    self.requests.append(request)
                self._play(connection, script)
            except OSError:
                self.left.set()
            finally:
                with self._lock:
                    self._open.remove(connection)

    def _script(self, request: Request) -> Script:
        """The next one, and the last one again and again."""
        return self.scripts[min(len(self.requests), len(self.scripts) - 1)]

    def _play(self, connection: socket.socket, script: Script) -> None:
        if script.status:
            head = [f"HTTP/1.1 {script.status}", *(f"{name}: {value}" for name, value in script.headers.items())]
            connection.sendall("\r\n".join([*head, "Connection: close", "", ""]).encode())
        for part in script.parts:
            if part is RESET:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            if part is CLOSE:
                return
            if part is END:
                connection.sendall(b"0\r\n\r\n" if script.chunked else b"")
                return
            if part is HOLD:
                self.held.set()
                if not connection.recv(1):
                    self.left.set()
                return
            if isinstance(part, threading.Event):
                assert part.wait(PATIENCE)
            elif callable(part):
                part()
            else:
                data = part.encode() if isinstance(part, str) else part
                assert isinstance(data, bytes)
                connection.sendall(b"%x\r\n%b\r\n" % (len(data), data) if script.chunked else data)
                self.sent += len(data)


class ByToken(Server):
    """Answers each start with the first script and each resume with the second, however often a client has to ask."""

    def _script(self, request: Request) -> Script:
        return self.scripts[0 if request.token is None else 1]


class SlowToStart(ByToken):
    """A start's answer takes its time."""

    def _play(self, connection: socket.socket, script: Script) -> None:
        if script is self.scripts[0]:
            time.sleep(0.7)
        super()._play(connection, script)


def quietly(do: Callable[[], None]) -> None:
    with contextlib.suppress(OSError):
        do()


def read_request(connection: socket.socket) -> Request | None:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", "0")):
        body += connection.recv(65536)
    return Request(method, path, headers, body)


# Scripts.


def token(seq: int, stream: str = "s") -> str:
    """Looks like a token, and can be told from others."""
    text = f"{stream}-{seq}-".ljust(60, ".")
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def event(seq: int, data: str | None = None, *, name: str = "", stream: str = "s") -> str:
    lines = [f"event: {name}"] if name else []
    lines += [f"data: {line}" for line in (data or f"data {seq}").split("\n")]
    return "\n".join([*lines, f"id: {token(seq, stream)}", "", ""])


def control(phase: str, *, at: int = 0, stream: str = "s", **fields: Any) -> str:
    if phase in ("open", "replay"):
        fields = {
            "token": token(at, stream),
            "request_id": f"request-{stream}",
            "expires_at": 4_000_000_000_000,
        } | fields
    data = json.dumps({"phase": phase} | {name.rstrip("_"): value for name, value in fields.items()})
    return f"event: resume\ndata: {data}\nid: {token(at, stream)}\n\n"


def events(first: int, last: int) -> str:
    return "".join(event(seq) for seq in range(first, last + 1))


def end(seq: int, status: str = "complete") -> str:
    return control("end", at=seq, seq=seq, status=status, diagnostics={"resumes": 0})


def stream(*parts: Part, at: int | None = 0, headers: dict[str, str] | None = None) -> Script:
    """A 200 of a layer (of a plain server with `at=None`)."""
    known = {} if at is None else {"X-Resume-Token": token(at), "X-Resume-Stream": "request-s"}
    base = {"Content-Type": "text/event-stream; charset=utf-8", "Transfer-Encoding": "chunked"}
    return Script("200 OK", base | known | (headers or {}), parts)


def fresh(*parts: Part) -> Script:
    return stream(control("open"), *parts)


def resumed(at: int, *parts: Part) -> Script:
    return stream(control("replay", at=at, from_=at, mode="live"), *parts, at=at)


def answer(status: str, body: str = "", **headers: str) -> Script:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Script(status, {"Content-Length": str(len(body.encode()))} | named, (body.encode(), CLOSE), chunked=False)


def problem(status: str, code: str, **headers: str) -> Script:
    return answer(status, json.dumps({"code": code}), Content_Type="application/problem+json", **headers)


def nothing(*parts: Part) -> Script:
    """No answer: what comes behind the request is not even a head."""
    return Script("", {}, parts, chunked=False)


def tokens(requests: Iterable[Request]) -> list[str | None]:
    return [request.token for request in requests]
