"""`pillion enter` as a test runs it: not a container's first process, but the same family of processes."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import requests

from pillion.compare.proc import descendants, parents
from tests.conftest import ENTRY, argv_of, eventually, free_port


class Container:
    """What a container would be: `pillion enter` with exactly this environment and nothing else.

    `through` is put before it on the command line, to start it in odd circumstances. Its stderr comes with its stdout,
    or `apart`, in `err` at the end.
    """

    def __init__(
        self,
        command: list[str],
        run_directory: Path,
        environ: dict[bytes, bytes],
        through: Sequence[str] = (),
        apart: bool = False,
    ) -> None:
        self.front, self.inner = free_port(), free_port()
        self.environ = {
            b"PILLION_RUN_DIR": os.fsencode(run_directory),
            b"PROXY__LISTEN": b"127.0.0.1:%d" % self.front,
            b"BACKEND__PORT": b"%d" % self.inner,
            b"BACKEND__WATCH": b"%d" % self.front,
            **environ,
        }
        self._read, self.err = b"", ""
        self.process = subprocess.Popen(
            [*through, ENTRY, "enter", "--", *command],
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if apart else subprocess.STDOUT,
        )

    def says(self, text: str) -> None:
        """Wait for a line with this in it; what came before it is kept."""
        out = self.process.stdout
        assert out is not None
        while text.encode() not in self._read:
            chunk = os.read(out.fileno(), 65536)
            assert chunk, f"it ended without {text!r}: {self._read.decode(errors='backslashreplace')}"
            self._read += chunk

    def ready(self) -> None:
        """Wait until the backend answers through the proxy."""
        eventually(lambda: requests.get(f"http://127.0.0.1:{self.front}/", timeout=5).status_code == 200)

    def pid(self, *words: str) -> int:
        """The process of ours that has these words in its command line; of several, the others' parent. Its number
        does not tell: they begin anew at 32768, which tests that fork a lot soon reach."""

        def look() -> int:
            family = descendants([self.process.pid])
            found = {pid for pid in family if set(words) <= set(argv_of(pid))}
            above = parents()
            return next((pid for pid in found if above.get(pid) not in found), 0)

        return eventually(look)

    def end(self, number: int = signal.SIGTERM, within_s: float = 30) -> tuple[int, str]:
        """Send a signal; the exit code and everything that was written."""
        self.process.send_signal(number)
        return self.wait(within_s)

    def wait(self, within_s: float = 30) -> tuple[int, str]:
        """The exit code and everything that was written."""
        out, err = self.process.communicate(timeout=within_s)
        self.err = (err or b"").decode("utf-8", "backslashreplace")
        return self.process.returncode, (self._read + out).decode("utf-8", "backslashreplace")


Start = Callable[..., Container]
