"""What it costs to pass a program's lines on: Pillion's supervisord (in both formats) against the bare one.

    python -m benchmarks.logs

One program writes lines of 100 bytes as fast as they are taken; a reader at the other end of the container's stdout
throws them away. Bare supervisord passes chunks on as they come, without prefix, and tears lines of two programs.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path

from benchmarks.rounds import Contender, Figures, arguments, interleaved, keep, report, show
from benchmarks.scoreboard.pair import Command
from benchmarks.supervision import BARE, OURS, TIMEOUT_S, bare, cpu_ms, ours, until

WRITER = Path(__file__).with_name("writer.py")
LINE = 100
JSON = f"{OURS}, json"


def main() -> int:
    """The command line."""
    parser = arguments(__doc__ or "", rounds=5)
    parser.add_argument("--mib", type=int, default=100, metavar="N", help="how much is written (%(default)s)")
    given = parser.parse_args()
    lines = given.mib * 2**20 // LINE
    contenders = [
        Contender(OURS, partial(_measure, partial(ours, log_format="text"), lines)),
        Contender(JSON, partial(_measure, partial(ours, log_format="json"), lines)),
        Contender(BARE, partial(_measure, bare, lines)),
    ]
    samples = interleaved(contenders, given.rounds, given.warm_up)
    document = report("Logs", samples, [], {"supervisor": version("supervisor"), "MiB": given.mib})
    show(document)
    keep(document, given, "logs")
    return 0


def _measure(command: Callable[[Path, Sequence[str]], Command], lines: int) -> Figures:
    with tempfile.TemporaryDirectory(prefix="pillion-bench-") as name:
        folder = Path(name)
        done = folder / "done"
        argv, environ = command(folder, (sys.executable, "-I", "-S", str(WRITER), str(lines), str(done)))
        process = subprocess.Popen(
            argv, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        out = process.stdout
        assert out is not None
        read = [0]

        def drain() -> None:
            while data := out.read1(1 << 20):  # type: ignore[attr-defined]
                read[0] += len(data)

        reader = threading.Thread(target=drain)
        reader.start()
        try:
            until(lambda: read[0])
            began, before = time.monotonic(), cpu_ms(process.pid)
            until(lambda: done.exists() and read[0] >= lines * LINE, 300)
            seconds, cpu = time.monotonic() - began, (cpu_ms(process.pid) - before) / 1000
        finally:
            process.terminate()
            process.wait(TIMEOUT_S)
            reader.join()
            out.close()
    return {
        "lines_per_s": lines / seconds,
        "cpu_s_per_100_mb": cpu / (lines * LINE / 1e8),
    }


if __name__ == "__main__":
    sys.exit(main())
