"""The lines that the programs of a layout write, told apart by program and channel, and the last ones kept."""

from __future__ import annotations

import os
import selectors
import threading
from collections.abc import Callable, Mapping

from pillion.image.supervise.lines import Lines

LineSink = Callable[[str, str, str], None]


class Output:
    """Drains pipes in one thread from `start` until each is at its end.

    `sink` is called with program, channel and line. Lines of the process `shared` come with their program's prefix,
    which is taken off. A sink that fails, because nobody reads any more, is not called again; the programs
    must not block on it.
    """

    def __init__(self, pipes: Mapping[tuple[str, str], int], sink: LineSink) -> None:
        self._pipes = dict(pipes)
        self._sink: LineSink | None = sink
        self._last: dict[str, str] = {}
        self._thread = threading.Thread(target=self._drain, name="output", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def finish(self, timeout_s: float) -> None:
        """Wait until everything was read. A pipe that somebody still holds open is given up after `timeout_s`."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def last_line(self, program: str) -> str:
        """The last line that a program wrote, "" if none."""
        return self._last.get(program, "")

    def _drain(self) -> None:
        with selectors.DefaultSelector() as selector:
            for (process, channel), descriptor in self._pipes.items():
                selector.register(descriptor, selectors.EVENT_READ, (process, channel, Lines()))
            while selector.get_map():
                for key, _ in selector.select():
                    process, channel, lines = key.data
                    chunk = os.read(key.fd, 65536)
                    for line in lines.feed(chunk) if chunk else lines.last():
                        self._take(process, channel, line)
                    if not chunk:
                        selector.unregister(key.fd)
                        os.close(key.fd)

    def _take(self, process: str, channel: str, line: bytes) -> None:
        text = line.decode("utf-8", "backslashreplace")
        program = process
        if process == "shared":
            prefix, bar, rest = text.partition(" | ")
            program, text = (prefix.strip(), rest) if bar else ("pillion", text)
        if text.strip():
            self._last[program] = text
        if self._sink is not None:
            try:
                self._sink(program, channel, text)
            except (OSError, ValueError):
                self._sink = None
