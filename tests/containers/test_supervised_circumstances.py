"""The pair under the restrictions of a platform and in the company of others (S13, S14): what it does in one place it
does in every other. Each container lives through the same: it comes up, its backend is killed, it is stopped."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests

from tests.conftest import eventually
from tests.containers.bases import scratch_backend
from tests.containers.composed import Combine
from tests.containers.conftest import Container, Identity, Run, identity, running
from tests.containers.engines import Engine, carry
from tests.containers.supervised import (
    ENTRY,
    HARDENED,
    LONG_DEADLINE,
    PUBLISHED,
    ROOT,
    SETTLE_S,
    commanded_backend,
    stop,
    together,
)

SECRETS = {"PROXY__OWN_SECRET": "the-proxys-secret", "BACKEND__OWN_SECRET": "the-backends-secret"}
# The platform's PORT is there for whoever reads it (S12); restarts come soon.
GIVEN = (
    "--env=PORT=8080",
    "--env=PILLION_BACKOFF=50ms",
    LONG_DEADLINE,
    *(f"--env={name}={value}" for name, value in SECRETS.items()),
)
NOBODY = Identity(12345, 0, frozenset())
TWO_UIDS, ALONE, INIT, COMPANY = "two uids", "hardened", "under an init", "in another's process namespace"
CIRCUMSTANCES = {
    TWO_UIDS: ROOT,
    ALONE: HARDENED,
    INIT: (*HARDENED, "--init"),
    COMPANY: HARDENED,
}
OUTPUTS = ("/dev/stdout", "/dev/stderr", "/proc/self/fd/1", "/proc/1/fd/1")


class Life(NamedTuple):
    """What was seen of a container from its start to its end."""

    coming_up: set[int]
    identities: dict[str, Identity]
    secrets: dict[str, list[str]]
    outputs: dict[str, bool]
    live_without_backend: int
    ready_without_backend: int
    without_backend: set[tuple[int, bool]]
    left_before: int
    left_after: int
    in_flight: int
    arriving: set[str]
    code: int
    log: str


def live(run: Run, image: str, options: Sequence[str], engine: Engine) -> Life:
    """Start it, look, kill its backend, look, stop it."""
    container = run(image, options=[PUBLISHED, *GIVEN, *options], engine=engine)
    url = container.url()
    coming_up = {status for status, _ in _until_ready(url)}
    lines = container.processes()
    ours = {"supervisor": "start.pyc supervise", "proxy": "start.pyc proxy", "backend": "commanded.py"}
    identities = {
        name: identity(next(pid for line, pid in lines.items() if words in line)) for name, words in ours.items()
    }
    secrets = {name: _get(url, f"find?{value}") for name, value in SECRETS.items()}
    if engine_uid := identities["proxy"].uid if set(ROOT) <= set(options) else 0:
        secrets["for the proxy"] = _found_by(container, engine_uid, _get(url, "pid"))
    outputs = {path: _get(url, f"write?{path}") for path in OUTPUTS}
    _get(url, "leave")
    left_before = _sleepers(container)
    with pytest.raises((requests.RequestException, AssertionError)):
        _get(url, "die")
    ready_without_backend, live_without_backend = _health(container, "ready"), _health(container, "live")
    without_backend = {_ask(url)}
    # Files with which the backend and we wait for each other, in a place that only this container sees.
    shared = Path(f"/proc/{container.process('start.pyc supervise')}/root/dev/shm")
    (shared / "hold").unlink()
    without_backend |= set(_until_ready(url))
    left_after = _sleepers(container)
    arriving, over = Counter[str](), threading.Event()
    with ThreadPoolExecutor(2) as pool:
        in_flight = pool.submit(requests.get, f"{url}/slow", timeout=30)
        eventually((shared / "slow").exists)
        arrive = pool.submit(_arrive, url, arriving, over)
        try:
            eventually(lambda: arriving["200"])
            code = stop(container)
        finally:
            over.set()
        arrive.result()
        status = in_flight.result().status_code
    return Life(
        coming_up,
        identities,
        secrets,
        outputs,
        live_without_backend,
        ready_without_backend,
        without_backend,
        left_before,
        left_after,
        status,
        set(arriving),
        code,
        container.logs(),
    )


def _ask(url: str) -> tuple[int, bool]:
    """The status of an answer, and whether it says when to come again; 0 for none."""
    try:
        answer = requests.get(url, timeout=10)
    except requests.RequestException:
        return 0, False
    return answer.status_code, "Retry-After" in answer.headers


def _until_ready(url: str) -> Iterator[tuple[int, bool]]:
    """What is answered up to the first 200."""
    deadline = time.monotonic() + SETTLE_S
    while (seen := _ask(url))[0] != 200:
        assert time.monotonic() < deadline, f"the last answer was {seen}"
        yield seen
        time.sleep(0.1)


def _get(url: str, command: str) -> Any:
    answer = requests.get(f"{url}/{command}", timeout=20)
    assert answer.status_code == 200
    return answer.json()


def _health(container: Container, what: str) -> int:
    """As a probe has it."""
    return container.engine("exec", container.id, ENTRY, "health", what, check=False).returncode


def _found_by(container: Container, uid: int, pid: int) -> list[str]:
    """Whether the process can be looked into from within the container by somebody of this uid."""
    words = ("exec", f"--user={uid}", container.id, "cat", f"/proc/{pid}/environ")
    return [str(pid)] if container.engine(*words, check=False).returncode == 0 else []


def _sleepers(container: Container) -> int:
    return sum(line == "sleep 300" for line in container.processes())


def _arrive(url: str, seen: Counter[str], over: threading.Event) -> None:
    while not over.is_set():
        try:
            seen[str(requests.get(url, timeout=10).status_code)] += 1
        except requests.RequestException:
            seen["refused"] += 1
            time.sleep(0.05)


@pytest.fixture(scope="module")
def lives(either: Engine, combine: Combine) -> Iterator[dict[str, Future[Life]]]:
    """All circumstances at once."""
    image = combine(commanded_backend(), either)
    with running() as run:
        other = run(carry(scratch_backend(), either), engine=either)
        more = {COMPANY: [f"--pid=container:{other.id}"]}
        tasks = {
            name: partial(live, run, image, [*options, *more.get(name, [])], either)
            for name, options in CIRCUMSTANCES.items()
        }
        with together(tasks) as futures:
            yield futures


@pytest.fixture(params=CIRCUMSTANCES)
def circumstance(request: pytest.FixtureRequest) -> str:
    """Its name."""
    return str(request.param)


@pytest.fixture
def life(circumstance: str, lives: dict[str, Future[Life]]) -> Life:
    """When it is over."""
    return lives[circumstance].result(SETTLE_S * 2)


def test_it_serves_under_the_uids_that_it_can_have(circumstance: str, life: Life) -> None:
    """S2, S12, S13, S14: at first nothing or 503, never 502; PORT is no clash; whose uids they are."""
    assert life.coming_up <= {0, 503}
    if circumstance == TWO_UIDS:
        assert {name: who.uid for name, who in life.identities.items()} == {
            "supervisor": 0,
            "proxy": 65532,
            "backend": 1000,
        }
    else:
        assert set(life.identities.values()) == {NOBODY}


def test_nobody_reads_the_others_secrets_in_files(circumstance: str, life: Life) -> None:
    """S11: the backend finds the proxy's nowhere under /proc, nor its own with anybody but itself. An init before us
    keeps what it was given, which is said."""
    kept = ["/proc/1/environ"] if circumstance == INIT else []
    assert life.secrets["PROXY__OWN_SECRET"] == kept and life.secrets["BACKEND__OWN_SECRET"] == kept
    assert ("/proc/1/environ: the init before us keeps" in life.log) == bool(kept)
    assert life.secrets.get("for the proxy", []) == []


def test_the_backend_opens_its_output_by_name(circumstance: str, life: Life) -> None:
    """As images do that link a log file to it; the first process's only under its own uid, as always."""
    by_name = dict.fromkeys(OUTPUTS, True)
    # Of one's own uid, or of another container.
    by_name["/proc/1/fd/1"] = circumstance in (ALONE, INIT)
    assert life.outputs == by_name
    assert {f"backend | by {path}" for path in OUTPUTS[:3]} <= set(life.log.splitlines())
    assert ("by /proc/1/fd/1" in life.log.splitlines()) == by_name["/proc/1/fd/1"]


def test_a_killed_backend_is_replaced_and_leaves_nothing(life: Life) -> None:
    """S8, S16, S21, S23: live, and not ready within one probe; 503 and when to come again; last words; the orphan."""
    assert (life.live_without_backend, life.ready_without_backend) == (0, 1)
    assert life.without_backend == {(503, True)}
    lines = life.log.splitlines()
    assert "backend | last words" in lines
    assert (life.left_before, life.left_after) == (1, 0) and lines.count("backend | 0 left behind") == 2
    assert any("the backend: SIGKILL ended it; restart 1 of 5" in line for line in lines)


def test_a_stop_answers_what_was_there_and_refuses_the_rest(life: Life) -> None:
    """S1, S5: by the engine's own stop."""
    assert life.in_flight == 200 and life.arriving <= {"200", "refused"}
    assert life.code == 0 and "Traceback" not in life.log and "with SIGKILL" not in life.log
