"""What clients see while programs come and go."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import threading
import time
from collections import Counter

from benchmarks.scoreboard.running import Missed, Running, eventually, get, gone
from benchmarks.scoreboard.stage import Scenario, Stage
from pillion.compare.proc import descendants


class Load:
    """Requests one after the other on several kept connections, for as long as the context lasts."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._over = threading.Event()
        self.answers: Counter[str] = Counter()
        self._threads = [threading.Thread(target=self._run) for _ in range(3)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def count(self, more: int) -> None:
        """Wait until so many more were answered."""
        goal = sum(self.answers.values()) + more
        eventually(lambda: sum(self.answers.values()) >= goal, f"{more} more answers", 20)

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=15)
        while not self._over.is_set():
            self.answers[self._ask(connection, again=connection.sock is not None)] += 1
            time.sleep(0.002)
        connection.close()

    def _ask(self, connection: http.client.HTTPConnection, again: bool) -> str:
        """A kept connection may be closed before anything was answered on it: then a GET is sent once more (RFC 9112,
        9.3.1)."""
        try:
            connection.request("GET", "/")
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            closed = isinstance(error, (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError))
            return self._ask(connection, again=False) if again and closed else type(error).__name__
        if answer.status == 503:
            return "503 Retry-After" if answer.getheader("Retry-After") else "503"
        return str(answer.status)


def slow_boot(stage: Stage) -> str:
    running = stage.start("late", "3")
    answers: Counter[str] = Counter()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and not answers["200"]:
        with contextlib.suppress(OSError):
            answer = get(running.front, timeout_s=15)
            answers["503 Retry-After" if "retry-after" in answer.headers else str(answer.status)] += 1
        time.sleep(0.05)
    if not answers["200"] or answers.keys() - {"200", "503 Retry-After"}:
        raise Missed(f"answers: {dict(answers)}")
    return ""


def restart_of_the_backend(stage: Stage) -> str:
    running = stage.start("polite", settings={"proxy": {"READY_HOLD": "10s"}}, restarts=3)
    running.ready()
    proxy, backend = running.proxy(), running.backend()
    with Load(running.front) as load:
        load.count(30)
        stage.control(running, "restart", "backend")
        running.backend(other_than=backend)
        running.ready()
        load.count(30)
    if wrong := load.answers.keys() - {"200", "503 Retry-After"}:
        raise Missed(f"{_shown(load)}; {', '.join(sorted(wrong))} must not be")
    if gone(proxy):
        raise Missed("the proxy was restarted too")
    return _shown(load)


def reload_of_the_proxy(stage: Stage) -> str:
    running = stage.start(settings={"proxy": {"DRAIN_DELAY": "1s"}}, restarts=3)
    running.ready()
    proxy, backend = running.proxy(), running.backend()
    workers = eventually(lambda: descendants([proxy]) - {proxy}, "the proxy's workers")
    with Load(running.front) as load:
        load.count(30)
        stage.control(running, "reload", "proxy")
        eventually(lambda: all(gone(pid) for pid in workers), "the old workers have gone")
        load.count(30)
    if load.answers.keys() != {"200"}:
        raise Missed(_shown(load))
    if gone(backend) or running.backend() != backend:
        raise Missed("the backend was restarted too")
    return _shown(load)


def _shown(load: Load) -> str:
    return ", ".join(f"{count} x {answer}" for answer, count in sorted(load.answers.items()))


def health(stage: Stage) -> str:
    """Live and ready are two things: a backend that has gone, then a drain."""
    running = stage.start(settings={"proxy": {"DRAIN_DELAY": "3s"}}, restarts=1, pause_s=120)
    running.ready()
    _expect(stage, running, "with both up", live=True, ready=True)
    os.kill(running.backend(), signal.SIGKILL)
    eventually(lambda: not running.find(running.pair.backend), "the backend has gone")
    _expect(stage, running, "without the backend", live=True, ready=False)
    draining = stage.start(settings={"proxy": {"DRAIN_DELAY": "3s"}})
    draining.ready()
    draining.signal()
    eventually(lambda: not stage.healthy(draining, "ready"), "not ready in a drain", 3)
    if not stage.healthy(draining, "live"):
        raise Missed("not live in a drain")
    return ""


def _expect(stage: Stage, running: Running, when: str, **wanted: bool) -> None:
    for what, value in wanted.items():
        eventually(lambda what=what, value=value: stage.healthy(running, what) is value, f"{what} {when}", 15)  # type: ignore[misc]


SCENARIOS = (
    Scenario("S2", "a backend that boots for 3 s: 503 with Retry-After, never 502", slow_boot, by_proxy=True),
    Scenario("S21", "the backend alone restarted under load: no wrong answer", restart_of_the_backend, by_proxy=True),
    Scenario("S23", "live and ready apart, with a dead backend and in a drain", health),
    Scenario("S24", "the proxy alone reloaded under load: no request fails", reload_of_the_proxy, by_proxy=True),
)
