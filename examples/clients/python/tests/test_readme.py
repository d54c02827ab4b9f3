"""The programs in the README run as they stand there, but for the address."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from server import CLOSE, END, Server, control, end, event, events, fresh, resumed

README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
ADDRESS = "http://127.0.0.1:3101/assist/draft-graph/stream"


def play(program: str, url: str) -> None:
    assert ADDRESS in program
    exec(compile(program.replace(ADDRESS, url), "README.md", "exec"), {"__name__": "__main__"})


def test_the_first_program(capsys: pytest.CaptureFixture[str]) -> None:
    gap = control("gap", at=4, from_=3, to=4, reason="trimmed")
    with Server([fresh(event(1, name="stage"), CLOSE), resumed(1, event(2), gap, events(5, 5), end(5), END)]) as server:
        play(PROGRAMS[0], server.url)
    assert capsys.readouterr().out.splitlines() == [
        "1 stage data 1",
        "2 message data 2",
        "3 to 4 will never come: trimmed",
        "5 message data 5",
        "complete Stats(received=3, duplicates=0, reconnects=1, missed=2)",
    ]
    assert server.requests[0].headers["idempotency-key"]
    assert server.requests[0].body.startswith(b'{"brief":')


def test_the_second_program(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    snapshot = control("snapshot", seq=2, status="complete"), 'event: complete\ndata: {"a": 1}\n\n'
    with Server([fresh(event(1), CLOSE), resumed(1, *snapshot, end(2), END)]) as server:
        play(PROGRAMS[1], server.url)
    assert capsys.readouterr().out == "the whole result, in place of the events: {'a': 1}\n"
    assert {request.headers["authorization"] for request in server.requests} == {"Bearer one-that-is-fresh"}
    assert list((tmp_path / ".cursors").iterdir()) == []


def test_every_option_and_code_is_in_the_readme() -> None:
    from tower_resume import Code
    from tower_resume._connect import Options

    for name in [*Options.__annotations__, *Code.__args__]:  # type: ignore[attr-defined]
        assert f"`{name}`" in README, name
    assert len(PROGRAMS) == 2
