"""What the programs and we ourselves write: taken in as chunks, passed on as whole lines in the format that was set."""

from __future__ import annotations

import time
from collections.abc import Iterator

from pillion.image.log_format import Format
from pillion.image.supervise.lines import Lines
from pillion.image.supervise.logs import LogStream

CHANNELS = {"stdout": 1, "stderr": 2}
OURSELVES = "pillion"
# Of a program's last line, what is repeated when it is lost.
MOST_REPEATED = 300


class Output:
    """All streams of all programs, merged into our two."""

    def __init__(self, line_format: Format) -> None:
        self._format = line_format
        self._lines: dict[tuple[str, str], Lines] = {}
        self._last: dict[str, bytes] = {}
        self.dropped = 0  # lines
        # While all is being stopped nobody may be held up by a reader that does not read.
        self.drops = False
        self._streams = {channel: LogStream(descriptor) for channel, descriptor in CHANNELS.items()}

    def dispatchers(self) -> dict[int, LogStream]:
        """By descriptor, for supervisord's main loop."""
        return {stream.descriptor: stream for stream in self._streams.values()}

    @property
    def congested(self) -> bool:
        """Whether no more should be taken in."""
        return not self.drops and any(stream.congested for stream in self._streams.values())

    def take(self, program: str, channel: str, chunk: bytes) -> None:
        """A program has written this."""
        lines = self._lines.get((program, channel)) or self._lines.setdefault((program, channel), Lines())
        self._put(program, channel, lines.feed(chunk))

    def flush(self, program: str) -> None:
        """Its process has ended: its last words need no newline."""
        for channel in CHANNELS:
            if lines := self._lines.get((program, channel)):
                self._put(program, channel, lines.last())

    def say(self, message: str) -> None:
        """A line of our own."""
        line = message.encode("utf-8", "surrogateescape").replace(b"\n", b"\\n")
        self._streams["stderr"].put(self._format(OURSELVES, "stderr", [line]))

    def last_line(self, program: str) -> str:
        """The last line that a program wrote, shortened; "" if it wrote none."""
        return self._last.get(program, b"").decode("utf-8", "backslashreplace")[:MOST_REPEATED]

    def finish(self, wait_s: float) -> None:
        """The end: what is kept is written, for as long as that may take."""
        deadline = time.monotonic() + wait_s
        for stream in self._streams.values():
            stream.finish(deadline)

    def _put(self, program: str, channel: str, lines: Iterator[bytes]) -> None:
        whole = list(lines)
        if not whole:
            return
        self._last[program] = next((line for line in reversed(whole) if line), self._last.get(program, b""))
        stream = self._streams[channel]
        if self.drops and stream.congested:
            self.dropped += len(whole)
        else:
            stream.put(self._format(program, channel, whole))
