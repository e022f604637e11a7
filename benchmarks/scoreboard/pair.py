"""What a peer is asked to run, and what a peer is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

# argv and environment
Command = tuple[Sequence[str], Mapping[str, str]]


class Pair(NamedTuple):
    """Two programs for one container.

    `settings`: each program's own variables; the container is given `PROXY__X` and `BACKEND__X`, and it is the peer's
    configuration that makes X of them. `platform` is what the whole container is given besides. `folder` is the
    container's own and empty. The platform kills `grace_s` seconds after the stop signal. `restarts`: how often a
    program that ends unasked is started again, with pauses of `pause_s` where that can be set.
    """

    folder: Path
    backend: tuple[str, ...]
    proxy: tuple[str, ...]
    settings: Mapping[str, Mapping[str, str]]
    platform: Mapping[str, str] = {}
    grace_s: float = 8.0
    restarts: int = 0
    pause_s: float = 0.2

    @property
    def environ(self) -> dict[str, str]:
        """The container's."""
        named = {
            f"{program.upper()}__{name}": value for program, own in self.settings.items() for name, value in own.items()
        }
        return {"PATH": "/usr/local/bin:/usr/bin:/bin", **self.platform, **named}

    @property
    def programs(self) -> dict[str, tuple[str, ...]]:
        """In the order in which they are to be started."""
        return {"backend": self.backend, "proxy": self.proxy}


class Peer(Protocol):
    """A way to run two programs in one container: a module of benchmarks/scoreboard/peers."""

    NAME: str
    # How far below the container's first process its programs are started: 1 is its own child.
    DEPTH: int

    def missing(self) -> str:
        """Why it cannot be run here, "" if it can."""

    def version(self) -> str:
        """The program's own."""

    def command(self, pair: Pair) -> Command:
        """What the container's first process is; configuration that it needs is written to the pair's folder."""

    def control(self, pair: Pair, verb: str, program: str) -> Sequence[str]:
        """The command that does `restart` or `reload` (HUP) to one program, () if the peer has no such thing."""

    def health(self, pair: Pair, what: str) -> Sequence[str]:
        """The command whose exit code says `live` or `ready`, () if the peer does not tell the two apart."""
