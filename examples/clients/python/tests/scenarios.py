"""The scenario server of this repository (examples/clients/scenarios), and the two iterators driven as it says."""

from __future__ import annotations

import atexit
import functools
import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx

from tower_resume import (
    AsyncResumable,
    End,
    Event,
    Gap,
    MemoryStorage,
    Restart,
    Resumable,
    ResumableError,
    Snapshot,
    StreamEvent,
    aresumable,
    resumable,
)

ROOT = Path(__file__).parents[4]
PATIENCE = 100.0


@functools.cache
def control() -> str:
    """The address of the server, which is started once, and ends with this process."""
    program = os.environ.get("CLIENT_SCENARIOS")
    if program is None:
        subprocess.run(["cargo", "build", "--quiet", "--example", "client-scenarios"], cwd=ROOT, check=True)
        target = Path(os.environ.get("CARGO_TARGET_DIR", "target"))
        program = str(ROOT / target / "debug/examples/client-scenarios")
    process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
    assert process.stdin is not None
    assert process.stdout is not None
    atexit.register(process.wait, 20)
    atexit.register(process.stdin.close)
    address = json.loads(process.stdout.readline())["control"]
    process.stdout.close()
    return str(address)


@functools.cache
def catalogue() -> list[tuple[str, int]]:
    listed = httpx.get(f"{control()}/scenarios", timeout=PATIENCE).raise_for_status().json()
    return [(scenario["name"], seed) for scenario in listed for seed in scenario["seeds"]]


@dataclass
class Run:
    """One run of a client: what it is to do, and what it has seen."""

    id: str
    request: dict[str, Any]
    options: dict[str, Any]
    actions: list[dict[str, Any]]
    seen: list[dict[str, Any]] = field(default_factory=list)
    taken: int = 0

    @classmethod
    def begin(cls, scenario: str, seed: int, client: str) -> Run:
        order = {"scenario": scenario, "seed": seed, "client": client}
        answer = httpx.post(f"{control()}/runs", json=order, timeout=PATIENCE).raise_for_status().json()
        return cls(answer["run"], answer["request"], answer["options"], answer["actions"])

    def arguments(self) -> dict[str, Any]:
        """The options as this client names them."""
        names = {"from": "resume_from"}
        seconds = {"idle_timeout_ms": "idle_timeout", "retry_base_ms": "retry_base", "retry_max_ms": "retry_max"}
        told: dict[str, Any] = {"method": self.request["method"], "headers": self.request["headers"]}
        if self.request.get("body") is not None:
            told["content"] = self.request["body"]
        for name, value in self.options.items():
            if name in seconds:
                told[seconds[name]] = value / 1000
            else:
                told[names.get(name, name)] = value
        if any(action["do"] == "reload" for action in self.actions):
            told["storage"] = MemoryStorage()
        return told

    def take(self, event: StreamEvent) -> str | None:
        """Notes an event, and says what is to be done behind it."""
        self.seen.append(described(event))
        if not isinstance(event, Event):
            return None
        self.taken += 1
        due = [action for action in self.actions if action["after"] == self.taken]
        assert len(due) <= 1
        return due[0]["do"] if due else None

    def failed(self, error: ResumableError) -> None:
        self.seen.append({"type": "error", "code": error.code, "status": error.status})

    @property
    def slow_url(self) -> str:
        return f"{control()}/runs/{self.id}/slow"

    def report(self, stream: Resumable | AsyncResumable) -> dict[str, Any]:
        stats = stream.stats
        told = {
            "seen": self.seen,
            "state": stream.state,
            "stats": {name: getattr(stats, name) for name in ("received", "duplicates", "reconnects", "missed")},
        }
        answer = httpx.post(f"{control()}/runs/{self.id}/report", json=told, timeout=PATIENCE)
        verdict: dict[str, Any] = answer.raise_for_status().json()
        return verdict


def described(event: StreamEvent) -> dict[str, Any]:
    match event:
        case Event(name, data, seq):
            return {"type": "event", "seq": seq, "event": name, "data": data}
        case Gap(first, last, reason):
            return {"type": "gap", "from": first, "to": last, "reason": reason}
        case Snapshot(seq, status, name, data):
            return {"type": "snapshot", "seq": seq, "status": status, "event": name, "data": data}
        case End(status, seq):
            return {"type": "end", "status": status, "seq": seq}
        case Restart():
            return {"type": "restart"}
    raise AssertionError(f"not asked for: {event!r}")


def drive(run: Run) -> Resumable:
    """With `for`."""
    arguments = run.arguments()
    while True:
        reload = False
        with resumable(run.request["url"], **arguments) as stream:
            try:
                for event in stream:
                    match run.take(event):
                        case "reload":
                            reload = True
                            break
                        case "disconnect":
                            stream.disconnect()
                        case "cancel":
                            stream.cancel()
                        case "slow":
                            httpx.get(run.slow_url, timeout=PATIENCE).raise_for_status()
                        case "close":
                            stream.close()
            except ResumableError as error:
                run.failed(error)
        if not reload:
            return stream


async def adrive(run: Run) -> AsyncResumable:
    """With `async for`."""
    arguments = run.arguments()
    while True:
        reload = False
        async with aresumable(run.request["url"], **arguments) as stream:
            try:
                async for event in stream:
                    match run.take(event):
                        case "reload":
                            reload = True
                            break
                        case "disconnect":
                            await stream.disconnect()
                        case "cancel":
                            await stream.cancel()
                        case "slow":
                            async with httpx.AsyncClient() as client:
                                (await client.get(run.slow_url, timeout=PATIENCE)).raise_for_status()
                        case "close":
                            await stream.close()
            except ResumableError as error:
                run.failed(error)
        if not reload:
            return stream


CLIENTS: dict[str, Callable[[Run], Resumable | AsyncResumable]] = {
    "python-sync": drive,
    "python-async": lambda run: anyio.run(adrive, run),
}
