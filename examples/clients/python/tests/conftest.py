from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import faces
import pytest
from server import control, event

CERTIFICATE = """
[req]
prompt = no
distinguished_name = name
x509_extensions = extensions
[name]
CN = localhost
[extensions]
subjectAltName = DNS:localhost
"""


@pytest.fixture(params=["sync", "asyncio", "trio"])
def face(request: pytest.FixtureRequest) -> faces.Face:
    found: dict[str, faces.Face] = {
        "sync": faces.sync_face,
        "asyncio": faces.asyncio_face,
        "trio": faces.trio_face,
    }
    return found[request.param]


@pytest.fixture
def tls_server(tmp_path: Path) -> Iterator[tuple[str, ssl.SSLContext, threading.Event]]:
    """One event over TLS, and then silence: the URL, a context that trusts it, and whether the client has left."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    (tmp_path / "openssl.cnf").write_text(CERTIFICATE)
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -config openssl.cnf -keyout key.pem -out cert.pem"
    subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", 0))
    left = threading.Event()

    def serve() -> None:
        try:
            connection, _ = listener.accept()
            with context.wrap_socket(connection, server_side=True) as stream:
                stream.recv(65536)
                stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
                stream.sendall((control("open") + event(1)).encode())
                stream.recv(1)
        except OSError:
            pass
        left.set()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"https://localhost:{listener.getsockname()[1]}/", ssl.create_default_context(cafile=str(certificate)), left
    listener.close()
    thread.join(20)
