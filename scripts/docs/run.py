"""Does what the pages tell their readers to do, and compares what comes of it with what the pages show.

A comment above a fenced block, which readers do not see, says what the block is:

    <!-- file: src/main.rs -->        write the block to this file of the page's folder
    <!-- run -->                      a reader's shell: one for the whole page
    <!-- run: exit 28 -->             the same, and it ends with this status
    <!-- serve: 3000 -->              start this and leave it running; it is there once the port listens
    <!-- serve: 3000 by PORT -->      the same, for a server that takes its port from that variable
    <!-- shows -->                    the last command, or server, has printed these lines, in this order
    <!-- stop -->                     no block: Ctrl-C to all servers of the page; their logs can be shown then
    <!-- after: other.md -->          no block: do first what the other page does before its first server
    <!-- not run: why -->             cannot be run here

In what a block shows, `…` stands for anything; lines that are left out need no mark. Every page has an empty folder,
beside which the repository is `tower-resume`, and ports of its own: `127.0.0.1:3000` on the page is a free port here.

    python3 scripts/docs/run.py [page.md …]
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pages import ROOT, Block, Note, files, steps

# How long a command may take, and a server until it listens: both may have to build the crate.
PATIENCE = 900
PORT = re.compile(r"(?<=127\.0\.0\.1:)(\d{4,5})|(?<=localhost:)(\d{4,5})|(?<=PORT=)(\d{4,5})|(?<=--port )(\d{4,5})")
DONE = "@@done"


class Failed(Exception):
    pass


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Shell:
    """The reader's shell: blocks share its folder and its variables."""

    def __init__(self, folder: Path, log: Path):
        self.log = log
        self.process = subprocess.Popen(
            ["bash"], cwd=folder, stdin=subprocess.PIPE, stdout=log.open("w"), stderr=subprocess.STDOUT, text=True,
            env=environment(), start_new_session=True,
        )

    def run(self, text: str, folder: Path) -> tuple[int, str]:
        file = folder / "block.sh"
        file.write_text(text)
        start = self.log.stat().st_size
        # Its commands may not eat what this script says next.
        self.process.stdin.write(
            f"failed=0; trap 'failed=$?' ERR\nsource {file} </dev/null\ntrap - ERR; printf '\\n{DONE} %s\\n' $failed\n"
        )
        self.process.stdin.flush()
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and self.process.poll() is None:
            with self.log.open(errors="replace") as log:
                log.seek(start)
                output = log.read()
            if done := re.search(rf"\n{DONE} (\d+)\n", output):
                return int(done[1]), output[: done.start()]
            time.sleep(0.05)
        raise Failed("the shell is gone, or the command hangs")

    def folder(self) -> Path:
        return Path(os.readlink(f"/proc/{self.process.pid}/cwd"))


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SSE_", "REDIS_", "HMAC_", "DRAFT_"))}
    # One folder for what is built, so that it is built once; and with the versions that are locked here.
    kept.update(CARGO_TARGET_DIR=str(ROOT / "target"), CARGO_TERM_COLOR="never", NO_COLOR="1")
    kept.update(more)
    return kept


class Page:
    def __init__(self, page: Path, folder: Path):
        self.page, self.folder = page, folder
        self.home = folder / "home"
        # The same path for every page: what depends on the crate by its path is then built once.
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir()
        (self.home / "tower-resume").symlink_to(ROOT)
        self.ports: dict[str, str] = {}
        self.servers: list[tuple[subprocess.Popen, Path]] = []
        self.output = ""
        self.shown = self.started = 0
        self.source = lambda: self.output
        self.shell = Shell(self.home, folder / "shell.log")

    def here(self, text: str) -> str:
        """With this machine's ports. A release build is the reader's, and would only take time here."""
        def port(found: re.Match) -> str:
            if found[0] not in self.ports:
                self.ports[found[0]] = str(free_port())
            return self.ports[found[0]]

        return PORT.sub(port, text).replace(" --release", "")

    def there(self, text: str) -> str:
        """With the page's ports again."""
        for on_page, free in self.ports.items():
            text = text.replace(f":{free}", f":{on_page}")
        return text

    def step(self, step: Block | Note) -> None:
        if isinstance(step, Note):
            return self.stop() if step.directive == "stop" else self.after(self.page.parent / step.argument)
        match step.directive:
            case "file":
                file = self.shell.folder() / step.argument
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(self.here(step.text))
            case "run":
                self.run(step)
            case "serve":
                self.serve(step)
            case "shows":
                self.compare(step)
            case "" | "not run":
                pass
            case other:
                raise Failed(f"there is no directive `{other}`")

    def after(self, page: Path) -> None:
        for step in steps(page):
            if step.directive == "serve":
                return
            self.step(step)

    def run(self, block: Block) -> None:
        expected = int(block.argument.removeprefix("exit ")) if block.argument else 0
        status, self.output = self.shell.run(self.here(block.text), self.folder)
        self.source = lambda: self.output
        if status != expected:
            raise Failed(f"ended with {status}:\n{self.output}")

    def serve(self, block: Block) -> None:
        words = block.argument.split()
        port = int(self.here(f"PORT={words[0]}").removeprefix("PORT="))
        self.started += 1
        file, log = self.folder / f"serve{self.started}.sh", self.folder / f"serve{self.started}.log"
        file.write_text(self.here(block.text))
        process = subprocess.Popen(
            ["bash", str(file)], cwd=self.shell.folder(), stdin=subprocess.DEVNULL, stdout=log.open("w"),
            stderr=subprocess.STDOUT, start_new_session=True,
            env=environment(**({words[2]: str(port)} if len(words) == 3 else {})),
        )
        self.servers.append((process, log))
        self.source = lambda: log.read_text(errors="replace")
        until = time.monotonic() + PATIENCE
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            if process.poll() is not None or time.monotonic() > until:
                raise Failed(f"the server does not listen:\n{log.read_text(errors='replace')}")
            time.sleep(0.1)

    def compare(self, block: Block) -> None:
        output = [line.rstrip() for line in self.there(self.source()).splitlines()]
        at = 0
        for line in block.text.splitlines():
            if line.strip() in ("", "…"):
                continue
            wanted = re.compile(".*".join(re.escape(part) for part in line.rstrip().split("…")) + "$")
            while at < len(output) and not wanted.match(output[at]):
                at += 1
            if at == len(output):
                raise Failed(f"the page shows this line, and it did not come (in this place):\n{line}\nWhat came:\n" + "\n".join(output))
            at += 1
        self.shown += 1

    def stop(self) -> None:
        for process, _ in self.servers:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
        for process, _ in self.servers:
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        logs = [log for _, log in self.servers]
        self.source = lambda: "".join(log.read_text(errors="replace") for log in logs)
        self.servers.clear()

    def close(self) -> None:
        self.stop()
        if self.shell.process.poll() is None:
            os.killpg(self.shell.process.pid, signal.SIGKILL)
        self.shell.process.wait()


def follow(page: Path, folder: Path) -> str | None:
    """What is wrong with the page, if something is."""
    todo = steps(page)
    runnable = [step for step in todo if isinstance(step, Block) and step.directive in ("run", "serve")]
    if not runnable:
        return None
    reader = Page(page, folder)
    name = page.relative_to(ROOT)
    try:
        for step in todo:
            try:
                reader.step(step)
            except Failed as error:
                return f"{name}:{step.line}: {error}"
    finally:
        reader.close()
    print(f"{name}: {len(runnable)} blocks run, {reader.shown} outputs compared", flush=True)
    return None


def main(names: list[str]) -> int:
    pages = [Path(name).resolve() for name in names] or files("README.md", "docs/*.md")
    with tempfile.TemporaryDirectory(prefix="docs-") as folder:
        bad = [found for page in pages if (found := follow(page, Path(folder)))]
    print("\n".join(bad), end="\n" if bad else "")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
