"""Server-sent events that survive a lost connection: the client of `tower-resume`, sync and async, over httpx.

from tower_resume import End, Event, Gap, resumable

with resumable("http://127.0.0.1:3101/assist/draft-graph/stream", method="POST", json={...}) as stream:
    for event in stream:
        match event:
            case Event(event=name, data=data, seq=seq): ...
            case Gap(first, last, reason): ...
            case End(status): ...
"""

from ._async import AsyncResumable
from ._connect import aresumable, resumable
from ._errors import Code, ResumableError
from ._events import Control, End, Event, Gap, Restart, Snapshot, StreamEvent
from ._state import State, Stats
from ._storage import AsyncStorage, FileStorage, MemoryStorage, Storage
from ._sync import Resumable

__all__ = [
    "AsyncResumable",
    "AsyncStorage",
    "Code",
    "Control",
    "End",
    "Event",
    "FileStorage",
    "Gap",
    "MemoryStorage",
    "Restart",
    "Resumable",
    "ResumableError",
    "Snapshot",
    "State",
    "Stats",
    "Storage",
    "StreamEvent",
    "aresumable",
    "resumable",
]

__version__ = "0.1.0"
