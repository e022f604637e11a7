"""A peer at work: the first process of a process namespace, as in a container, and all that descends from it."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple, TypeVar

from benchmarks.scoreboard.pair import Pair
from pillion.compare.proc import descendants

T = TypeVar("T")
PROXY = ["start.py", "proxy"]
# What follows is the namespace's first process; it ends with unshare.
AS_PID_1 = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--")


class Missed(Exception):
    """What must hold does not, and how that was seen."""


class Line(NamedTuple):
    """A line of the container's log, and when it came (monotonic)."""

    stream: str
    text: str
    when: float


class Answer(NamedTuple):
    """To one request."""

    status: int
    headers: Mapping[str, str]


def eventually(look: Callable[[], T], what: str, within_s: float = 30.0) -> T:
    """What `look` gives as soon as that is true. Raises Missed."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            if found := look():
                return found
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise Missed(f"{what} not within {within_s:g} s")
        time.sleep(0.005)


def get(port: int, path: str = "/", timeout_s: float = 10.0) -> Answer:
    """One request on a connection of its own. Raises OSError."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        answer = connection.getresponse()
        answer.read()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()})
    except http.client.HTTPException as error:
        raise ConnectionError(repr(error)) from error
    finally:
        connection.close()


class Running:
    """One container. `reads`: whether anybody reads what it writes; `owner`: whose its stdout and stderr are."""

    def __init__(
        self,
        pair: Pair,
        argv: Sequence[str],
        environ: Mapping[str, str],
        ports: tuple[int, int],
        reads: bool,
        owner: int,
    ) -> None:
        self.pair = pair
        self.front, self.inner = ports
        self._lines: list[Line] = []
        self._readers: list[threading.Thread] = []
        pipes = [os.pipe(), os.pipe()]
        for _, write in pipes:
            os.fchown(write, owner, -1)  # as a runtime does it
        self.process = subprocess.Popen(
            [*AS_PID_1, *argv], env=environ, stdin=subprocess.DEVNULL, stdout=pipes[0][1], stderr=pipes[1][1]
        )
        self.pipes = [os.fdopen(read, "rb", closefd=True) for read, _ in pipes]
        for _, write in pipes:
            os.close(write)
        for stream, pipe in zip(("stdout", "stderr"), self.pipes, strict=True):
            if reads:
                self._readers.append(threading.Thread(target=self._read, args=(stream, pipe), daemon=True))
                self._readers[-1].start()

    @property
    def log(self) -> list[Line]:
        """So far."""
        return list(self._lines)

    @property
    def first(self) -> int:
        """The container's first process; 0 if it has not begun or is over."""
        children = _children(self.process.pid)
        return children[0] if children and self._argv(children[0])[:1] != ["unshare"] else 0

    def family(self) -> set[int]:
        """All of the container's processes."""
        return descendants([self.process.pid]) - {self.process.pid}

    def find(self, argv: Sequence[str]) -> int:
        """The oldest process with exactly this command line, 0 if there is none."""
        return next((pid for pid in sorted(self.family()) if self._argv(pid) == list(argv)), 0)

    def backend(self, other_than: int = 0, within_s: float = 30.0) -> int:
        """The backend's process."""
        return eventually(
            lambda: pid if (pid := self.find(self.pair.backend)) != other_than else 0, "the backend is there", within_s
        )

    def proxy(self) -> int:
        """The proxy's first process."""

        def look() -> int:
            # A script, of which its interpreter's command line is seen (peers/pillion.py).
            words = {pid: self._argv(pid) for pid in sorted(self.family())}
            return next((pid for pid, argv in words.items() if [Path(word).name for word in argv[-2:]] == PROXY), 0)

        return eventually(look, "the proxy is there")

    def ready(self, within_s: float = 30.0) -> None:
        """Wait for the backend's answer through the proxy."""
        eventually(lambda: get(self.front).status == 200, "a first answer", within_s)

    def says(self, text: str, within_s: float = 30.0) -> None:
        """Wait for this in the log."""
        eventually(lambda: any(text in line.text for line in self._lines), f"{text!r} in the log", within_s)

    def signal(self, number: int = signal.SIGTERM) -> None:
        """To the first process, as a runtime does."""
        os.kill(eventually(lambda: self.first, "a first process"), number)

    def wait(self, within_s: float) -> int | None:
        """The container's exit code; None if it is still there."""
        try:
            code = self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            return None
        for reader in self._readers:
            reader.join(5)
        return code if code >= 0 else 128 - code

    def end(self) -> None:
        """Whatever it does, it is gone."""
        # With a namespace's first process the kernel ends all others, before unshare can wait for it.
        for pid in _children(self.process.pid) if self.process.poll() is None else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for reader in self._readers:
            reader.join(5)
        for pipe in self.pipes:
            pipe.close()

    def _read(self, stream: str, pipe: IO[bytes]) -> None:
        rest = b""
        while data := pipe.read1(1 << 20):  # type: ignore[attr-defined]
            *lines, rest = (rest + data).split(b"\n")
            now = time.monotonic()
            self._lines += [Line(stream, line.decode("utf-8", "backslashreplace"), now) for line in lines]
        if rest:
            self._lines.append(Line(stream, rest.decode("utf-8", "backslashreplace"), time.monotonic()))

    @staticmethod
    def _argv(pid: int) -> list[str]:
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "surrogateescape").split("\0")[:-1]
        except OSError:
            return []


def below(first: int, depth: int) -> list[int]:
    """The processes that are so many generations below a container's first one."""
    found = [first] if first else []
    for _ in range(depth):
        found = [child for pid in found for child in _children(pid)]
    return found


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def environ_of(pid: int) -> dict[bytes, bytes]:
    """What a process was started with. Raises OSError if it has gone."""
    entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return dict(entry.split(b"=", 1) for entry in entries if b"=" in entry)


def gone(pid: int) -> bool:
    """Whether a process is no more, or is a zombie."""
    return not Running._argv(pid)
