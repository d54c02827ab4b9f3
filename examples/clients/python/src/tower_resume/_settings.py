"""What the caller has chosen, checked. Times are in seconds."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

DEFAULT_IDLE_TIMEOUT = 30.0
DEFAULT_RETRY_BASE = 1.0
DEFAULT_RETRY_MAX = 30.0
DEFAULT_MAX_EVENT_BYTES = 16 * 1024 * 1024

ResumeFrom: TypeAlias = Literal["missed", "start"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    url: str
    method: str = "GET"
    resume_url: str | None = None
    resume_method: str = "GET"
    idempotency_key: str | bool = False
    """`True`: a random one for each start."""
    storage_key: str | None = None
    """`None`: there is no storage."""
    resume_from: ResumeFrom = "missed"
    restart: bool = False
    control: bool = False
    control_event: str = "resume"
    idle_timeout: float = DEFAULT_IDLE_TIMEOUT
    retry_base: float = DEFAULT_RETRY_BASE
    retry_max: float = DEFAULT_RETRY_MAX
    max_attempts: int | None = None
    max_event_bytes: int = DEFAULT_MAX_EVENT_BYTES

    def __post_init__(self) -> None:
        for name in ("idle_timeout", "retry_base", "retry_max"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} has to be a number of seconds, 0 or more")
        if self.max_attempts is not None and self.max_attempts < 1:
            raise ValueError("max_attempts has to be 1 or more, or None")
        if self.max_event_bytes < 1:
            raise ValueError("max_event_bytes has to be 1 or more")
        key = self.idempotency_key
        if isinstance(key, str) and not (key and key.isascii() and key.isprintable()):
            raise ValueError("idempotency_key has to be printable ASCII, and not empty")
        if self.resume_from not in ("missed", "start"):
            raise ValueError("resume_from has to be 'missed' or 'start'")
        if not self.control_event or " " in self.control_event:
            raise ValueError("control_event has to be an event's name, without spaces")

    @property
    def safe(self) -> bool:
        return self.method in SAFE_METHODS

    @property
    def repeatable(self) -> bool:
        """Whether the first request can be sent again although it may have been carried out."""
        return self.safe or self.idempotency_key is not False

    def new_key(self) -> str | None:
        if isinstance(self.idempotency_key, str):
            return self.idempotency_key
        return str(uuid.uuid4()) if self.idempotency_key else None


def shown(url: str) -> str:
    """A URL for people to read: what may be secret in it is left out."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "(a URL that cannot be read)"
    return f"{parts.scheme}://{host}{port}{parts.path}" if parts.scheme else parts.path
