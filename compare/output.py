"""The lines that the programs of a layout write, told apart by program and channel, and the last ones kept."""

from __future__ import annotations

import os
import selectors
import threading
from collections.abc import Callable, Mapping

from pillion.image.pair import PROGRAMS
from pillion.image.supervise.lines import Lines
from pillion.image.supervise.output import MOST_REPEATED

LineSink = Callable[[str, str, str], None]


class Output:
    """Drains pipes in a thread from `start` until each is at its end.

    `sink` is called with program, channel and line. Lines of the process `shared` come with their program's prefix,
    which is taken off. A sink that fails, because nobody reads any more, is not called again; the programs
    must not block on it. `unnamed` counts those of `shared` that do not say whose they are.
    """

    def __init__(self, pipes: Mapping[tuple[str, str], int], sink: LineSink | None) -> None:
        self._pipes = dict(pipes)
        self._sink = sink
        self._last: dict[str, str] = {}
        self._threads: list[threading.Thread] = []
        self.unnamed = 0

    def start(self) -> None:
        """Begin to read."""
        self.also(self._pipes)

    def also(self, pipes: Mapping[tuple[str, str], int]) -> None:
        """Begin to read these too: those of a program that was started again."""
        self._threads.append(threading.Thread(target=self._drain, args=[dict(pipes)], name="output", daemon=True))
        self._threads[-1].start()

    def finish(self, timeout_s: float) -> None:
        """Wait until everything was read. A pipe that somebody still holds open is given up after `timeout_s`."""
        for thread in self._threads:
            if thread.is_alive():  # not if we were interrupted before it began
                thread.join(timeout_s)

    def last_line(self, program: str) -> str:
        """The last line that a program wrote, "" if none."""
        return self._last.get(program, "")

    def last_lines(self, besides: str = "") -> str:
        """The last line of each program, to be put behind a message; not one that `besides` repeats already."""
        said = {program: self.last_line(program) for program in PROGRAMS}
        return "".join(
            f"; last line of the {program}: {line}"
            for program, line in said.items()
            if line and not besides.endswith(f"its last line: {line[:MOST_REPEATED]}")
        )

    def _drain(self, pipes: Mapping[tuple[str, str], int]) -> None:
        with selectors.DefaultSelector() as selector:
            for (process, channel), descriptor in pipes.items():
                selector.register(descriptor, selectors.EVENT_READ, (process, channel, Lines()))
            while selector.get_map():
                for key, _ in selector.select():
                    process, channel, lines = key.data
                    chunk = os.read(key.fd, 65536)
                    for line in lines.feed(chunk) if chunk else lines.last():
                        self.take(process, channel, line)
                    if not chunk:
                        selector.unregister(key.fd)
                        os.close(key.fd)

    def take(self, process: str, channel: str, line: bytes) -> None:
        """One line that a process wrote."""
        text = line.decode("utf-8", "backslashreplace")
        program = process
        if process == "shared":
            prefix, bar, rest = text.partition(" | ")
            # As JSON a line has the name within; what has none was written past supervisord.
            self.unnamed += not bar and not (text.startswith("{") and '"program"' in text)
            program, text = (prefix.strip(), rest) if bar else ("pillion", text)
        if text.strip():
            self._last[program] = text
        if self._sink is not None:
            try:
                self._sink(program, channel, text)
            except (OSError, ValueError):
                self._sink = None
