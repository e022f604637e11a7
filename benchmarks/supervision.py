"""What Pillion's supervisord costs against the bare one, s6 and tini with a shell: start, stop, memory, wake-ups.

    python -m benchmarks.supervision

All keep the same two programs, in one run and interleaved, configured as for the scoreboard
(benchmarks/scoreboard/peers); both that are in Python start as in the layer: without `site`. What a peer consists of
counts together: supervisord alone; s6-svscan and an s6-supervise for each program; tini and its shell.

- First spawn: from the start of the first process (for Pillion that is `enter`) to the first program's process; its
  CPU time says what a busy machine hides.
- Term to term: from the signal to the moment a program has it. tini's shell ends without passing it on.
- PSS: both programs up and quiet.
- Wake-ups: how often the peer gave the processor back while nothing happened.
"""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmarks.rounds import Contender, Figures, Reach, arguments, interleaved, keep, report, show
from benchmarks.scoreboard.pair import Command, Pair, Peer
from benchmarks.scoreboard.peers import pillion, s6, supervisor, tini
from benchmarks.scoreboard.running import below
from pillion.image.orphans import no_child_left

RECORDER = Path(__file__).with_name("recorder.py")
OURS, BARE = "Pillion", "bare supervisord"
QUIET_S, TIMEOUT_S = 3.0, 30.0
PEERS: Mapping[str, Peer] = {OURS: pillion, BARE: supervisor, s6.NAME: s6, tini.NAME: tini}


def main() -> int:
    """The command line."""
    parser = arguments(__doc__ or "", rounds=10)
    given = parser.parse_args()
    absent = {name: why for name, peer in PEERS.items() if (why := peer.missing())}
    contenders = [Contender(name, partial(_measure, peer)) for name, peer in PEERS.items() if name not in absent]
    samples = interleaved(contenders, given.rounds, given.warm_up)
    reaches = [
        Reach(OURS, "first_spawn_ms", 150),
        Reach(OURS, "term_to_term_ms", 50),
        Reach(OURS, "pss_mib", 1.15, peer=BARE),
        Reach(OURS, "first_spawn_ms", 1.0, peer=BARE),
        Reach(OURS, "wake_ups_per_s", 1.0),
    ]
    versions = {name: peer.version() for name, peer in PEERS.items() if name not in absent}
    document = report("Supervision", samples, reaches, versions, [f"{name}: {why}" for name, why in absent.items()])
    show(document)
    keep(document, given, "supervision")
    return 0


def _measure(peer: Peer) -> Figures:
    """One life: start, idle, stop."""
    with tempfile.TemporaryDirectory(prefix="pillion-bench-") as name, no_child_left():
        folder = Path(name)
        argv, environ = peer.command(_pair(folder))
        began = time.monotonic_ns()
        with _running(argv, environ) as process:
            until(lambda: below(process.pid, peer.DEPTH))
            spawned, cpu = time.monotonic_ns(), cpu_ms(process.pid)
            until(lambda: len(list(folder.glob("up-*"))) == 2)
            time.sleep(1.5)  # stock supervisord still has its programs for starting during a second
            own = [pid for depth in range(peer.DEPTH) for pid in below(process.pid, depth)]
            before = sum(map(_switches, own))
            time.sleep(QUIET_S)
            wake_ups = (sum(map(_switches, own)) - before) / QUIET_S
            memory = sum(map(_pss_mib, own))
            asked = time.monotonic_ns()
            process.send_signal(signal.SIGTERM)
            process.wait(TIMEOUT_S)
        told = [int(file.read_text()) for file in folder.glob("term-*")]
    figures = {
        "first_spawn_ms": (spawned - began) / 1e6,
        "first_spawn_cpu_ms": cpu,
        "pss_mib": memory,
        "wake_ups_per_s": wake_ups,
    }
    return {**figures, "term_to_term_ms": (min(told) - asked) / 1e6} if told else figures


def _pair(folder: Path, program: Sequence[str] = ()) -> Pair:
    recorder = _recorder(folder)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{probe.getsockname()[1]}"
    return Pair(folder, tuple(program or recorder), recorder, {"proxy": {"LISTEN": listen}}, restarts=5)


def ours(folder: Path, program: Sequence[str], log_format: str = "text") -> Command:
    """`pillion enter`; in the place of the proxy, a program that only waits."""
    argv, environ = pillion.command(_pair(folder, program))
    return argv, {**environ, "PILLION_LOG_FORMAT": log_format}


def bare(folder: Path, program: Sequence[str]) -> Command:
    """Stock supervisord with the same two programs, and no log of its own among theirs."""
    command = supervisor.command(_pair(folder, program))
    configuration = folder / "supervisord.conf"
    configuration.write_text(configuration.read_text().replace("nodaemon=true", "nodaemon=true\nsilent=true"))
    return command


def _recorder(folder: Path) -> tuple[str, ...]:
    return sys.executable, "-I", "-S", str(RECORDER), str(folder)


@contextlib.contextmanager
def _running(argv: Sequence[str], environ: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(argv, env=environ, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            yield process
        except BaseException:
            said.seek(0)
            sys.stderr.write(said.read().decode(errors="replace"))
            raise
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(TIMEOUT_S)


def until(look: Callable[[], object], timeout_s: float = TIMEOUT_S) -> None:
    """Raises TimeoutError unless that comes true in time."""
    deadline = time.monotonic() + timeout_s
    while not look():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout_s:g} s")
        time.sleep(0.0005)


def cpu_ms(pid: int) -> float:
    """The processor time of a process's first thread so far."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e6


def _switches(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"^voluntary_ctxt_switches:\s+(\d+)", status, re.MULTILINE)[0])


def _pss_mib(pid: int) -> float:
    return int(re.findall(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)[0]) / 1024


if __name__ == "__main__":
    sys.exit(main())
