"""What the containers of a layout write, by the engine's own `logs`: followed line by line, or read at the end."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Mapping

from pillion.compare.output import LineSink, Output
from pillion.image.engine import Engine

_LAST_LINES = "50"


class ContainerLogs:
    """Followed if there is a `sink` that hears the lines."""

    def __init__(self, engine: Engine, sink: LineSink | None) -> None:
        self._engine, self._sink = engine, sink
        self._readers: list[subprocess.Popen[bytes]] = []
        self.output = Output({}, sink)

    def follow(self, name: str, identity: str, since: str = "") -> None:
        """From its first line, or, of a container that is started again, from the time `since`."""
        if self._sink is None:
            return
        later = [f"--since={since}"] if since else []
        reader = subprocess.Popen(
            [self._engine.executable, "logs", "--follow", *later, identity],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._readers.append(reader)
        channels = (("stdout", reader.stdout), ("stderr", reader.stderr))
        self.output.also({(name, channel): os.dup(stream.fileno()) for channel, stream in channels if stream})

    def read(self, identities: Mapping[str, str]) -> None:
        """What the engine kept, unless readers have brought it already."""
        if self._readers:
            self.output.finish(1.0)
            return
        for name, identity in identities.items():
            done = self._engine.run("logs", "--tail", _LAST_LINES, identity)
            for channel, text in (("stdout", done.stdout), ("stderr", done.stderr)):
                for line in text.splitlines():
                    self.output.take(name, channel, line.encode("utf-8", "surrogateescape"))

    def close(self) -> None:
        """The containers have gone, and the readers with them, or soon."""
        for reader in self._readers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                reader.wait(2)
            reader.kill()
            reader.wait()
            for stream in (reader.stdout, reader.stderr):
                if stream is not None:
                    stream.close()
        self.output.finish(2.0)
