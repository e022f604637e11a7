"""The lines that the programs of a layout write, told apart by program and channel, and the last ones kept."""

from __future__ import annotations

import os
import selectors
import threading
from collections import deque
from collections.abc import Callable, Mapping

from pillion.image.supervise.lines import Lines

KEPT_LINES = 40

LineSink = Callable[[str, str, str], None]


class Output:
    """Drains pipes in one thread from `start` until each is at its end.

    `sink` is called with program, channel and line; lines of the program `shared` carry their own prefix already.
    """

    def __init__(self, pipes: Mapping[tuple[str, str], int], sink: LineSink) -> None:
        self._pipes = dict(pipes)
        self._sink = sink
        self._kept: deque[str] = deque(maxlen=KEPT_LINES)
        self._thread = threading.Thread(target=self._drain, name="output", daemon=True)

    def start(self) -> None:
        """Begin to read. Fork nothing between this and `finish`."""
        self._thread.start()

    def finish(self, timeout_s: float) -> None:
        """Wait until everything was read. A pipe that somebody still holds open is given up after `timeout_s`."""
        self._thread.join(timeout_s)

    def last_lines(self, count: int = 1) -> list[str]:
        """The last lines that were written, whole, oldest first; Pillion's own remarks are left out."""
        return [line for line in self._kept if line.strip() and not line.startswith("pillion")][-count:]

    def _drain(self) -> None:
        with selectors.DefaultSelector() as selector:
            for (program, channel), descriptor in self._pipes.items():
                selector.register(descriptor, selectors.EVENT_READ, (program, channel, Lines()))
            while selector.get_map():
                for key, _ in selector.select():
                    program, channel, lines = key.data
                    chunk = os.read(key.fd, 65536)
                    for line in lines.feed(chunk) if chunk else lines.last():
                        self._take(program, channel, line)
                    if not chunk:
                        selector.unregister(key.fd)
                        os.close(key.fd)

    def _take(self, program: str, channel: str, line: bytes) -> None:
        text = line.decode("utf-8", "backslashreplace")
        self._kept.append(text if program == "shared" else f"{program:7} | {text}")
        self._sink(program, channel, text)
