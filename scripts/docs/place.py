"""Where readers work: an empty folder for each page, ports that nobody else is given, one place for what they build."""

import fcntl
import hashlib
import os
import random
import shutil
import socket
import tempfile
import threading
from pathlib import Path

from pages import ROOT

# Where readers build.
BUILT = ROOT / "target" / "docs"
# Never written in place, so that copies of a build can share them.
LIBRARIES = {".rlib", ".rmeta", ".so", ".dylib"}


class Ports:
    """Free ports, none of them twice, and none that the system itself gives to whoever connects."""

    def __init__(self):
        self.lock, self.given = threading.Lock(), set()

    def take(self) -> int:
        with self.lock:
            while True:
                port = random.randrange(15_000, 32_000)
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    if port not in self.given and self.free(probe, port):
                        self.given.add(port)
                        return port

    @staticmethod
    def free(probe: socket.socket, port: int) -> bool:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


class Place:
    """A folder outside of the repository, as a reader's is. It has the same name each time, so that what was built for
    it can be used again."""

    def __init__(self):
        BUILT.mkdir(parents=True, exist_ok=True)
        self.lock = (BUILT / "lock").open("w")
        # Two runs at a time would share it: one waits.
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.folder = Path(tempfile.gettempdir()) / f"docs-{hashlib.sha256(str(ROOT).encode()).hexdigest()[:12]}"
        self.ports = Ports()
        self.remove()
        self.folder.mkdir(mode=0o700)

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def of(self, page: Path, purpose: str = "") -> tuple[Path, Path]:
        """The folder for this page, with a `home` in it that is empty but for the repository; and where it builds. Pages
        that run at the same time have programs of the same name, so each builds in a place of its own."""
        name = str(page.relative_to(ROOT)).replace("/", "-").removesuffix(".md") + purpose
        folder, built = self.folder / name, BUILT / name
        home = folder / "home"
        (home / ".cargo").mkdir(parents=True)
        # Nobody steps through it with a debugger.
        (home / ".cargo" / "config.toml").write_text(
            f"[build]\ntarget-dir = '{built}'\n[profile.dev]\ndebug = 0\nincremental = false\n"
        )
        (home / "tower-resume").symlink_to(ROOT)
        return folder, built


def copy_build(built: Path, to: Path) -> None:
    """A build that goes on as its own, without its libraries on the disk twice."""
    def copy(file: str, to: str) -> None:
        if Path(file).suffix in LIBRARIES:
            os.link(file, to)
        else:
            shutil.copy2(file, to)

    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(built, to, copy_function=copy)


def environment(**more: str) -> dict[str, str]:
    ours = ("SSE_", "REDIS_", "HMAC_", "DRAFT_", "CARGO_TARGET_DIR", "CARGO_BUILD_BUILD_DIR", "CARGO_BUILD_TARGET_DIR")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    # In one language and one order of sorting, wherever this runs.
    kept.update(CARGO_TERM_COLOR="never", NO_COLOR="1", LC_ALL="C.UTF-8")
    kept.update(more)
    return kept
