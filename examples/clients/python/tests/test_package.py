"""The wheel, as somebody gets it who installs it: built, put into an environment of its own, and used there."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from server import CLOSE, END, Server, end, events, fresh, resumed

PROJECT = Path(__file__).parent.parent

PROGRAM = """
import sys
from tower_resume import End, Event, aresumable, resumable

with resumable(sys.argv[1], retry_base=0.01) as stream:
    for event in stream:
        match event:
            case Event(data=data, seq=seq):
                print(seq, data)
            case End(status):
                print(status)
"""

TYPED = """
from tower_resume import Event, Gap, resumable

with resumable("http://host/", method="POST", json={}) as stream:
    for event in stream:
        match event:
            case Event(data=data, seq=seq):
                reveal_type(data)
                reveal_type(seq)
            case Gap(first):
                reveal_type(first)
resumable("http://host/", retries=3)
"""


def run(*command: str | Path, cwd: Path) -> str:
    # The path of these tests must not help.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run([*map(str, command)], cwd=cwd, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, PROJECT, cwd=folder)
    (found,) = folder.glob("*.whl")
    return found


def test_the_wheel_has_all_and_no_more(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    modules = {path.name for path in (PROJECT / "src/tower_resume").iterdir() if path.is_file()}
    assert {name.removeprefix("tower_resume/") for name in names if name.startswith("tower_resume/")} == modules
    assert "py.typed" in modules
    assert {Path(name).name for name in names if "/licenses/" in name} == {"LICENSE-APACHE", "LICENSE-MIT"}
    assert all(name.startswith(("tower_resume/", "tower_resume_client-")) for name in names)


def test_a_clean_environment_can_use_it(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv/bin/python"
    run(python, "-m", "pip", "install", "--quiet", wheel, cwd=tmp_path)
    (tmp_path / "program.py").write_text(PROGRAM)
    with Server([fresh(events(1, 2), CLOSE), resumed(2, events(3, 3), end(3), END)]) as server:
        told = run(python, "-W", "error", "program.py", server.url, cwd=tmp_path)
    assert told.splitlines() == ["1 data 1", "2 data 2", "3 data 3", "complete"]
    (tmp_path / "typed.py").write_text(TYPED)
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--python-executable", python, "--cache-dir", "cache", "typed.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    for expected in ('type is "str"', 'type is "int | None"', 'type is "int"', 'Unexpected keyword argument "retries"'):
        assert expected in checked, checked
    assert "Found 1 error" in checked
