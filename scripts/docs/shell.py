"""A reader's terminals: a shell, whose blocks share its folder and its variables, and servers, which are left running."""

import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

from place import environment

# How long a command may take, and a server until it listens: both may have to build the crate.
PATIENCE = 3600
# How long a reader takes from one command to the next, at least: what a server does behind an answer is done by then.
MOMENT = 0.5
DONE = "@@done"


class Failed(Exception):
    pass


class Shell:
    def __init__(self, folder: Path, log: Path):
        self.log = log
        self.process = subprocess.Popen(
            ["bash"], cwd=folder, stdin=subprocess.PIPE, stdout=log.open("w"), stderr=subprocess.STDOUT, text=True,
            env=environment(), start_new_session=True,
        )

    def run(self, text: str, file: Path) -> tuple[int, str]:
        file.write_text(f"trap 'sleep {MOMENT}' DEBUG\n{text}\ntrap - DEBUG\n")
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

    def close(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Server:
    def __init__(self, text: str, file: Path, folder: Path, port: int, variables: dict[str, str]):
        file.write_text(text)
        self.log = file.with_suffix(".log")
        self.process = subprocess.Popen(
            ["bash", str(file)], cwd=folder, stdin=subprocess.DEVNULL, stdout=self.log.open("w"),
            stderr=subprocess.STDOUT, start_new_session=True, env=environment(**variables),
        )
        self.port = port

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_until_it_listens(self) -> None:
        until = time.monotonic() + PATIENCE
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self.process.poll() is not None or time.monotonic() > until:
                raise Failed(f"the server does not listen:\n{self.said()}")
            time.sleep(0.1)

    def interrupt(self) -> None:
        """Ctrl-C."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)

    def ends(self) -> bool:
        """Waits until it has ended; whether it did so by itself."""
        try:
            self.process.wait(timeout=60)
            return True
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            return False
