"""Where a scenario meets a peer: starts containers of the two programs, and ends them."""

from __future__ import annotations

import itertools
import os
import random
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.scoreboard.pair import Pair, Peer
from benchmarks.scoreboard.peers import pillion
from benchmarks.scoreboard.running import AS_PID_1, Running

# The programs of the tests: what they do to Pillion is done to every peer.
PROGRAMS = Path(__file__).parents[2] / "tests" / "programs"
BACKEND = (sys.executable, str(PROGRAMS / "backend.py"))
# Below the kernel's own choice for outgoing connections, so that none of those takes a port before its container.
_PORTS = itertools.cycle(range(10_000, 32_000))
_PORTS_LOCK = threading.Lock()


class NoNotionError(Exception):
    """The peer has no such thing; that is not a failure."""


class Scenario(NamedTuple):
    """`run` raises Missed or NoNotionError, or gives what is worth knowing of how it held. `by_proxy`: the proxy, which
    is the same for all, has a part in it. `timed`: nothing else may run beside it."""

    number: str
    must: str
    run: Callable[[Stage], str]
    by_proxy: bool = False
    timed: bool = False


class Stage:
    """Of one peer, for one scenario."""

    def __init__(self, peer: Peer, folder: Path) -> None:
        self.peer = peer
        self.folder = folder
        self._running: list[Running] = []

    def start(
        self,
        *arguments: str,
        command: Sequence[str] = BACKEND,
        proxy: Sequence[str] = (),
        settings: Mapping[str, Mapping[str, str]] = {},
        platform: Mapping[str, str] = {},
        listen: bool = True,
        ports: tuple[int, int] | None = None,
        grace_s: float = 8.0,
        restarts: int = 0,
        pause_s: float = 0.2,
        through: Sequence[str] = (),
        reads: bool = True,
        owner: int = -1,
    ) -> Running:
        """A container of the backend with these arguments behind Pillion's proxy, or another program in its place.

        `through` is put before the peer's own command.
        """
        folder = self.folder / str(len(self._running))
        folder.mkdir()
        folder.chmod(0o755)
        front, inner = ports or (free_port(), free_port())
        listening = {"LISTEN": f"127.0.0.1:{front}"} if listen else {}
        own = {
            "proxy": {**listening, "UPSTREAM": f"http://127.0.0.1:{inner}", **settings.get("proxy", {})},
            "backend": {"PORT": str(inner), "WATCH": str(front), **settings.get("backend", {})},
        }
        if not proxy:
            proxy = (str(pillion.entry(folder / "proxy")), "proxy")
        pair = Pair(folder, (*command, *arguments), tuple(proxy), own, platform, grace_s, restarts, pause_s)
        argv, environ = self.peer.command(pair)
        running = Running(pair, [*through, *argv], environ, (front, inner), reads, owner)
        self._running.append(running)
        return running

    def control(self, running: Running, verb: str, program: str) -> None:
        """Restart or reload one program. Raises NoNotionError."""
        command = self.peer.control(running.pair, verb, program)
        if not command:
            raise NoNotionError(f"it has no command to {verb} one program")
        subprocess.run(command, capture_output=True, timeout=30, check=True)

    def healthy(self, running: Running, what: str) -> bool:
        """Raises NoNotionError."""
        command = self.peer.health(running.pair, what)
        if not command:
            raise NoNotionError("it does not tell live from ready")
        return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0

    def end(self) -> None:
        """All of its containers."""
        for running in self._running:
            running.end()


def free_port() -> int:
    """A port of loopback that nobody listens on, and that is not given twice."""
    with _PORTS_LOCK:
        for port in _PORTS:
            with socket.socket() as probe:
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue
                return port
    raise AssertionError("unreachable")


def scatter_ports() -> None:
    """Begin with another port than the last run did."""
    with _PORTS_LOCK:
        for _ in range(random.SystemRandom().randrange(20_000)):
            next(_PORTS)


def cannot_contain() -> str:
    """Why no process namespace can be made here, "" if one can."""
    try:
        done = subprocess.run([*AS_PID_1, "true"], capture_output=True, text=True, timeout=20, check=False)
    except OSError as error:
        return f"unshare: {error.strerror}"
    return done.stderr.strip() if done.returncode else ""


def stop_processes(pids: set[int]) -> None:
    """SIGSTOP: deaf to everything but SIGKILL."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
