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
All pages are followed at the same time, as most of it is waiting. What several do first is done once.

    python3 scripts/docs/run.py [page.md …]
"""

import re
import shutil
import signal
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from pages import ROOT, Block, Note, files, steps
from place import Place, copy_build
from shell import Failed, Server, Shell

PORT = re.compile(r"(?<=127\.0\.0\.1:)(\d{4,5})|(?<=localhost:)(\d{4,5})|(?<=PORT=)(\d{4,5})|(?<=--port )(\d{4,5})")


class Page:
    def __init__(self, page: Path, place: Place, purpose: str = ""):
        self.page, self.place = page, place
        self.folder, self.built = place.of(page, purpose)
        self.home = self.folder / "home"
        self.ports: dict[str, str] = {}
        self.servers: list[Server] = []
        self.output = ""
        self.shown = self.started = 0
        self.source = lambda: self.output
        self.shell = Shell(self.home, self.folder / "shell.log")

    def here(self, text: str) -> str:
        """With this machine's ports and folders. A release build is the reader's, and would only take time here; so would
        the examples with fewer features than the crate's own tests have built them with. What a reader's machine does
        within a second or two may take this one longer, as all pages are followed at the same time: what is cut so soon
        is cut later here, and what happens while a reader sleeps has more time to."""
        def port(found: re.Match) -> str:
            if found[0] not in self.ports:
                self.ports[found[0]] = str(self.place.ports.take())
            return self.ports[found[0]]

        text = PORT.sub(port, text).replace(" --release", "").replace("--path ../tower-resume", f"--path '{ROOT}'")
        text = re.sub(r"(\bcurl -\w+ -m) [12]\b", r"\1 5", text)
        text = re.sub(r"^sleep 2$", "sleep 5", text, flags=re.MULTILINE)
        return re.sub(r"(cargo run\b.*?) --example", r"\1 --all-features --example", text)

    def there(self, text: str) -> str:
        """With the page's ports again."""
        for on_page, free in self.ports.items():
            text = text.replace(f":{free}", f":{on_page}")
        return text

    def step(self, step: Block | Note) -> None:
        if isinstance(step, Note):
            return self.stop() if step.directive == "stop" else self.after((self.page.parent / step.argument).resolve())
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
        """Takes over what came of the other page's beginning."""
        other, folder = Beginnings.of(page, self.place)
        ours = shutil.ignore_patterns(".cargo", "tower-resume")
        shutil.copytree(other.home, self.home, symlinks=True, dirs_exist_ok=True, ignore=ours)
        copy_build(other.built, self.built)
        self.shell.run(f"cd '{self.home / folder}'", self.folder / "block.sh")

    def run(self, block: Block) -> None:
        expected = int(block.argument.removeprefix("exit ")) if block.argument else 0
        status, self.output = self.shell.run(self.here(block.text), self.folder / "block.sh")
        self.source = lambda: self.output
        if status != expected:
            raise Failed(f"ended with {status}:\n{self.output}")

    def serve(self, block: Block) -> None:
        words = block.argument.split()
        port = self.here(f"PORT={words[0]}").removeprefix("PORT=")
        self.started += 1
        server = Server(
            self.here(block.text), self.folder / f"serve{self.started}.sh", self.shell.folder(), int(port),
            {words[2]: port} if len(words) == 3 else {},
        )
        self.servers.append(server)
        self.source = server.said
        server.wait_until_it_listens()

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
        servers, self.servers = self.servers, []
        for server in servers:
            server.interrupt()
        stubborn = [server for server in servers if not server.ends()]
        self.source = lambda: "".join(server.said() for server in servers)
        if stubborn:
            raise Failed(f"Ctrl-C did not end the server:\n{stubborn[0].said()}")

    def close(self) -> None:
        with suppress(Failed):
            self.stop()
        self.shell.close()


class Beginnings:
    """What pages do before their first server, done once for all pages that begin in the same way."""

    lock = threading.Lock()
    done: dict[Path, Future] = {}

    @classmethod
    def of(cls, page: Path, place: Place) -> tuple[Page, Path]:
        """Who has done it, and where in its home that reader is by then."""
        with cls.lock:
            first = page not in cls.done
            future = cls.done.setdefault(page, Future())
        if first:
            try:
                future.set_result(cls.do(page, place))
            except BaseException as error:
                future.set_exception(error)
        return future.result()

    @staticmethod
    def do(page: Path, place: Place) -> tuple[Page, Path]:
        reader = Page(page, place, "-begins")
        try:
            for step in beginning(page):
                reader.step(step)
            folder = reader.shell.folder()
            # With the versions that are locked here: what is new today is not what is tested.
            shutil.copy(ROOT / "Cargo.lock", folder)
            status, output = reader.shell.run("cargo build --quiet", reader.folder / "block.sh")
            if status:
                raise Failed(f"it does not build:\n{output}")
            return reader, folder.relative_to(reader.home)
        finally:
            reader.close()


def beginning(page: Path) -> list[Block | Note]:
    todo = steps(page)
    ends = next((at for at, step in enumerate(todo) if step.directive == "serve"), len(todo))
    return todo[:ends]


def follow(page: Path, place: Place, shared: set[Path]) -> str | None:
    """What is wrong with the page, if something is."""
    todo = steps(page)
    count = sum(isinstance(step, Block) and step.directive in ("run", "serve") for step in todo)
    if not count:
        return None
    name, began = page.relative_to(ROOT), time.monotonic()
    longest, where = 0.0, 0
    reader = Page(page, place)
    if page in shared:
        own = len(beginning(page))
        todo = [Note(page, todo[0].line, "after", page.name), *todo[own:]]
    try:
        for step in todo:
            start = time.monotonic()
            reader.step(step)
            if time.monotonic() - start > longest:
                longest, where = time.monotonic() - start, step.line
        reader.stop()
    except Failed as error:
        return f"{name}:{step.line}: {error}"
    finally:
        reader.close()
    took = time.monotonic() - began
    print(
        f"{name}: {count} blocks run, {reader.shown} outputs compared, {took:.0f} s (line {where}: {longest:.0f} s)",
        flush=True,
    )
    return None


def main(names: list[str]) -> int:
    pages = [Path(name).resolve() for name in names] or files("README.md", "docs/*.md")
    shared = {
        (page.parent / step.argument).resolve() for page in pages for step in steps(page) if step.directive == "after"
    }
    # Where this runs in the background, Ctrl-C may be ignored, and servers would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    place = Place()
    try:
        with ThreadPoolExecutor(len(pages)) as readers:
            found = readers.map(lambda page: follow(page, place, shared), pages)
        bad = [one for one in found if one]
    finally:
        place.remove()
    print("\n".join(bad), end="\n" if bad else "")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
