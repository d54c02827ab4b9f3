"""Where a cursor is kept, so that a new process goes on where the old one was."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Awaitable
from pathlib import Path
from typing import Protocol


class Storage(Protocol):
    """A key-value store of small texts. The text holds the token: keep it as you keep a password."""

    def get(self, key: str) -> str | None: ...
    def set(self, key: str, value: str) -> None: ...
    def remove(self, key: str) -> None: ...


class AsyncStorage(Protocol):
    """The same for a store that has to be awaited; for `aresumable` only."""

    def get(self, key: str) -> Awaitable[str | None]: ...
    def set(self, key: str, value: str) -> Awaitable[None]: ...
    def remove(self, key: str) -> Awaitable[None]: ...


class MemoryStorage:
    """Lives as long as the process. Several streams can share one."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def get(self, key: str) -> str | None:
        return self._values.get(key)

    def set(self, key: str, value: str) -> None:
        self._values[key] = value

    def remove(self, key: str) -> None:
        self._values.pop(key, None)

    def __repr__(self) -> str:
        return f"MemoryStorage({len(self._values)} kept)"


class FileStorage:
    """One small file for each key, in a directory of its own, readable by its owner only.

    A file is replaced as a whole, so a crash leaves the old one or the new one.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self._directory = Path(directory)
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def get(self, key: str) -> str | None:
        try:
            return self._path(key).read_text("utf-8")
        except (FileNotFoundError, UnicodeDecodeError):
            return None

    def set(self, key: str, value: str) -> None:
        # mkstemp gives a file that only its owner can read.
        handle, name = tempfile.mkstemp(dir=self._directory, prefix=".")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(value)
            Path(name).replace(self._path(key))
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise

    def remove(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    def __repr__(self) -> str:
        return f"FileStorage({str(self._directory)!r})"

    def _path(self, key: str) -> Path:
        # A key is made of a URL: it may be long, and have slashes or secrets in it.
        return self._directory / f"{hashlib.sha256(key.encode()).hexdigest()}.json"
