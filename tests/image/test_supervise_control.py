"""`pillion ctl`: one program is stopped, started or reloaded under load, and the other does not notice."""

from __future__ import annotations

import os
import subprocess
import threading
from collections import Counter
from pathlib import Path

import pytest
import requests

from pillion.compare.proc import descendants
from tests.conftest import BACKEND, ENTRY, argv_of, environ_of, eventually
from tests.entered import Container, Start

pytestmark = pytest.mark.usefixtures("nothing_left")


def ctl(run_directory: Path | str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """As `docker exec` would run it."""
    environ = {"PATH": os.environ["PATH"], "PILLION_RUN_DIR": str(run_directory)}
    command = [ENTRY, "ctl", *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)


class Load:
    """Requests one after the other on several connections, for as long as the context lasts."""

    def __init__(self, container: Container) -> None:
        self._url = f"http://127.0.0.1:{container.front}/"
        self._over = threading.Event()
        self.answers: Counter[str] = Counter()
        self._threads = [threading.Thread(target=self._run) for _ in range(3)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        self.count(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def count(self, more: int) -> None:
        """Wait until so many more requests were answered."""
        goal = sum(self.answers.values()) + more
        eventually(lambda: sum(self.answers.values()) >= goal)

    def _run(self) -> None:
        with requests.Session() as session:
            while not self._over.is_set():
                try:
                    answer = session.get(self._url, timeout=20)
                    key = str(answer.status_code)
                    if answer.status_code == 503:
                        key += " Retry-After" if "Retry-After" in answer.headers else " bare"
                except requests.RequestException as error:
                    key = type(error).__name__
                self.answers[key] += 1


def test_supervisorctl_works_from_beside(start: Start, run_directory: Path) -> None:
    """All of it, over a unix socket that only our own uid may use."""
    container = start()
    container.ready()
    done = ctl(run_directory, "status")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["backend", "proxy"]
    own = Path(os.fsdecode(environ_of(container.process.pid)[b"PILLION_RUN_DIR"]))
    assert ctl(own, "pid", "backend").stdout.strip() == str(container.pid(str(BACKEND)))
    assert own.stat().st_mode & 0o077 == 0 and (own / "supervisor.sock").stat().st_mode & 0o077 == 0


def test_the_backend_alone_is_restarted_under_load(start: Start, run_directory: Path) -> None:
    """S21: requests are held meanwhile, or told when to come back; never a wrong answer, and the proxy stays."""
    container = start("polite", environ={b"PROXY__READY_HOLD": b"10s"})
    container.ready()
    proxy, backend = container.pid("proxy"), container.pid(str(BACKEND))
    with Load(container) as load:
        assert ctl(run_directory, "restart", "backend").returncode == 0
        load.count(30)
    assert load.answers.keys() <= {"200", "503 Retry-After"}
    assert argv_of(proxy) and not argv_of(backend)
    assert container.pid(str(BACKEND)) != backend


def test_the_proxy_alone_is_reloaded_under_load(start: Start, run_directory: Path) -> None:
    """S24: new workers take over, every request is answered by the backend, which stays."""
    container = start()
    container.ready()
    proxy, backend = container.pid("proxy"), container.pid(str(BACKEND))
    workers = descendants([proxy]) - {proxy}
    with Load(container) as load:
        assert ctl(run_directory, "signal", "HUP", "proxy").returncode == 0
        eventually(lambda: not any(argv_of(pid) for pid in workers))
        load.count(30)
    assert load.answers.keys() == {"200"}
    assert argv_of(proxy) and argv_of(backend)


def test_a_program_that_was_stopped_on_purpose_is_no_loss(start: Start, run_directory: Path) -> None:
    """The container stays, however often; its budget of restarts is not touched."""
    container = start(environ={b"PILLION_RESTARTS": b"0"})
    container.ready()
    for _ in range(2):
        assert ctl(run_directory, "stop", "backend").returncode == 0
        assert "STOPPED" in ctl(run_directory, "status", "backend").stdout
        assert ctl(run_directory, "start", "backend").returncode == 0
    container.ready()
    assert container.end()[0] == 0


def test_a_stop_overtakes_a_restart_that_was_asked_for(start: Start, run_directory: Path) -> None:
    """S7: what is being stopped already gets no longer than the deadline, and is not started again."""
    container = start("deaf", environ={b"PILLION_DEADLINE": b"4"})
    container.ready()
    waiting = subprocess.Popen(
        [ENTRY, "ctl", "restart", "backend"],
        env={"PATH": os.environ["PATH"], "PILLION_RUN_DIR": str(run_directory)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    # From here on it is being stopped, for a second and a half: too short to ask `ctl` on a busy machine.
    container.says("deaf to")
    code, out = container.end()
    waiting.wait(20)
    assert code == 0 and "the backend had to be killed" in out


def test_without_a_pair_it_says_so(tmp_path: Path) -> None:
    """And with several, which to choose between is said."""
    done = ctl(tmp_path, "status")
    assert done.returncode == 1 and "there is no pair here" in done.stderr and "Traceback" not in done.stderr
