"""How everything is stopped: by which signals, in which order, within which time."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from pillion.compare.proc import cpu_seconds, descendants
from pillion.image.pair import PairRecord, ProgramRecord
from tests.conftest import BACKEND, argv_of, eventually, listens
from tests.entered import Start

pytestmark = pytest.mark.usefixtures("nothing_left")
# Nothing but the stop itself may end what is waited for with these.
LONG = {b"PILLION_DEADLINE": b"600", b"PILLION_RESTARTS": b"1", b"PILLION_RESTART_WINDOW": b"60m"}


def test_a_clean_stop_drains_the_proxy_first(start: Start) -> None:
    """S5: exit code 0; when the backend hears SIGTERM nobody accepts on the proxy's port; last words are kept."""
    container = start()
    container.ready()
    code, out = container.end()
    assert code == 0
    assert f"backend | stopped by {int(signal.SIGTERM)}, proxy gone" in out.splitlines()
    assert not listens(container.front) and not listens(container.inner)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_ctrl_c_and_quit_stop_as_sigterm_does(start: Start, number: int) -> None:
    """One documented exit code for a clean stop."""
    container = start()
    container.ready()
    assert container.end(number)[0] == 0


def test_the_backends_own_stop_signal_is_used(start: Start) -> None:
    """The one in the pair record."""
    record = PairRecord(backend=ProgramRecord(stop_signal="SIGQUIT"))
    container = start(environ={b"PILLION_PAIR": record.to_json().encode()})
    container.ready()
    assert f"stopped by {int(signal.SIGQUIT)}," in container.end()[1]


def test_a_deaf_backend_is_killed_within_the_deadline(start: Start) -> None:
    """The exit code is still that of a stop that was asked for."""
    record = PairRecord(deadline_s=2)
    container = start("deaf", environ={b"PILLION_PAIR": record.to_json().encode()})
    container.ready()
    code, out = container.end()
    assert code == 0 and "SIGKILL" in out


def test_a_signal_before_anything_is_up_is_not_lost(start: Start) -> None:
    """It is held until there is a handler for it; then nothing is started any more."""
    container = start("late", "60")
    eventually(lambda: signal.SIGTERM in _blocked(container.process.pid))
    code, out = container.end()
    assert code == 0 and "SIGKILL" not in out


def test_a_signal_right_after_the_spawn_is_not_lost(start: Start) -> None:
    """A child between fork and exec dies of it: nobody has to wait for the deadline."""
    container = start("late", "60")
    eventually(lambda: len(descendants([container.process.pid])) > 1)
    code, out = container.end()
    assert code == 0 and "SIGKILL" not in out


def _blocked(pid: int) -> set[int]:
    mask = int(re.findall(r"SigBlk:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())[0], 16)
    return {number for number in range(1, 65) if mask & 1 << (number - 1)}


def test_nothing_survives_a_killed_supervisord(start: Start) -> None:
    """Outside a container there is no kernel that ends the rest with PID 1."""
    container = start()
    container.ready()
    container.process.kill()
    container.process.communicate(timeout=20)
    eventually(lambda: not listens(container.front) and not listens(container.inner))


def test_what_is_in_flight_is_answered_first(start: Start) -> None:
    """S1: the request that was there gets its 200, the backend outlives it, and then all ends cleanly."""
    container = start()
    container.ready()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(requests.get, f"http://127.0.0.1:{container.front}/slow", timeout=30)
        container.says("slow begins")
        code, out = container.end()
        assert answer.result(30).status_code == 200
    assert code == 0 and out.index("slow ends") < out.index("stopped by")


@pytest.mark.parametrize("delay", [b"0", b"1s"])
def test_what_arrives_during_a_stop_is_answered_or_refused(start: Start, delay: bytes) -> None:
    """S1: one request in flight, new ones all the time: no gateway error, and no hold on the stop."""
    container = start(environ={b"PROXY__DRAIN_DELAY": delay})
    container.ready()
    url, seen, over = f"http://127.0.0.1:{container.front}/", Counter[str](), threading.Event()

    def arrive() -> None:
        while not over.is_set():
            try:
                seen[str(requests.get(url, timeout=20).status_code)] += 1
            except requests.RequestException as error:
                seen[type(error).__name__] += 1

    with ThreadPoolExecutor(3) as pool:
        answer = pool.submit(requests.get, f"{url}slow", timeout=30)
        container.says("slow begins")
        arriving = [pool.submit(arrive) for _ in range(2)]
        try:
            eventually(lambda: seen["200"] > 10)
            code, _ = container.end()
        finally:
            over.set()
        for each in arriving:
            each.result(30)
        assert answer.result(30).status_code == 200
    # Of a connection that was accepted in the last instant the client may see no more than its end.
    assert code == 0 and set(seen) <= {"200", "ConnectionError"}


def test_two_deaf_programs_are_killed_within_one_deadline(start: Start) -> None:
    """S6: not one deadline each. Our last line, which says so, comes before a runtime would kill us."""
    container = start("deaf", environ={b"PILLION_DEADLINE": b"4"})
    container.ready()
    # A stopped process is deaf to everything but SIGKILL; the proxy's own children with it.
    for pid in descendants([container.pid("proxy")]):
        os.kill(pid, signal.SIGSTOP)
    code, out = container.end()
    assert code == 0
    killed = re.findall(r"killing '(\w+)' \(\d+\) with SIGKILL", out)
    assert killed == ["proxy", "backend"]
    # With one each it would be eight.
    assert re.search(r"stopped after [3-7]\.\d s: the proxy and the backend had to be killed$", out.strip())


def test_what_the_proxy_does_not_need_of_the_deadline_the_backend_may(start: Start) -> None:
    """It alone would have had all of the runtime's grace."""
    # More than its own share, two fifths, and seconds less than all of it, which a busy machine may take.
    container = start("slow", "2.4", environ={b"PILLION_DEADLINE": b"6"})
    container.ready()
    code, out = container.end()
    assert code == 0 and "stopped by" in out and "SIGKILL" not in out


def test_a_stop_while_a_program_waits_to_be_restarted_is_prompt(start: Start) -> None:
    """S7: nobody waits for a pause to end."""
    container = start("exit", "3", environ={b"PILLION_BACKOFF": b"20m", b"PILLION_BACKOFF_MAX": b"20m", **LONG})
    container.says("restart 1 of 1 within 3600 s follows in")
    assert container.end()[0] == 0


def test_hangup_starts_both_afresh(start: Start) -> None:
    """Its stated meaning: what SIGTERM does, then a new start of both with the records that they had."""
    container = start()
    container.ready()
    before = {container.pid("proxy"), container.pid(str(BACKEND))}
    for _ in range(2):
        container.process.send_signal(signal.SIGHUP)
        eventually(lambda before=before: not any(argv_of(pid) for pid in before))
        container.ready()
        before = {container.pid("proxy"), container.pid(str(BACKEND))}
    # And it is as quiet as before: nothing of the earlier loops is left to wake it.
    eventually(lambda: len({cpu_seconds([container.process.pid]) for _ in range(3) if not time.sleep(0.2)}) == 1)
    assert container.end()[0] == 0
