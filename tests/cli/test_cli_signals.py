"""Being told to stop: once, and never lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from pillion.cli.signals import Stopped, Stopping, stop_on_signals


class Swallows:
    """A destructor in which a signal comes: Python prints what is raised there and goes on."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        signal.getsignal(signal.SIGTERM)


def test_a_stop_that_was_swallowed_is_found_by_asking(capfd: pytest.CaptureFixture[str]) -> None:
    """The exception of the handler is lost, and nobody reads of it; the command still knows."""
    with pytest.raises(Stopped, match="SIGTERM"), stop_on_signals() as stopping:
        swallows = Swallows()
        del swallows
        stopping.check()
    assert "Traceback" not in capfd.readouterr().err


def test_a_second_signal_does_not_disturb_the_stopping() -> None:
    """It is taken and nothing is raised; the handlers of before are back at the end."""
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Stopped, match="SIGINT"), stop_on_signals():
        try:
            os.kill(os.getpid(), signal.SIGINT)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


SENDER = (
    "import os, random, signal, sys, time\n"
    "while sys.stdin.buffer.read(1):\n"
    "    until = time.perf_counter() + random.random() * 0.0005\n"
    "    while time.perf_counter() < until: pass\n"
    "    os.kill(os.getppid(), signal.SIGTERM)"
)


@pytest.fixture
def sender() -> Iterator[subprocess.Popen[bytes]]:
    """Sends us a SIGTERM, a moment later, for each byte that it is written."""
    with subprocess.Popen([sys.executable, "-c", SENDER], stdin=subprocess.PIPE, bufsize=0) as process:
        yield process


def ask(process: subprocess.Popen[bytes], stopping: Stopping) -> None:
    """As commands watch what they run. In a function of its own, like theirs: what a handler raises at the jump back of
    a loop passes by every `with` of the same frame (CPython 3.13, github.com/python/cpython/issues/130279).
    """
    until = time.monotonic() + 20
    while time.monotonic() < until:
        process.poll()
        stopping.check()


def test_a_stop_while_a_child_is_asked_about_does_not_hold_up_every_later_wait(sender: subprocess.Popen[bytes]) -> None:
    """One stop in a hundred came when Popen had just taken its lock, and what it raised left the lock taken."""
    assert sender.stdin is not None
    for _ in range(1000):
        with pytest.raises(Stopped), stop_on_signals() as stopping:
            sender.stdin.write(b"x")
            ask(sender, stopping)
        assert not sender._waitpid_lock.locked()
