"""`pillion health`: live and ready are two things, and ready is false within one probe of a reason."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import BACKEND, ENTRY, eventually, free_port, listens
from tests.entered import Start

pytestmark = pytest.mark.usefixtures("nothing_left")


CERTIFICATE = Path(__file__).parents[1] / "proxy" / "certificates" / "backend.pem"


def health(what: str, run_directory: Path | str, **environ: str) -> tuple[int, str]:
    """As a probe runs it; the exit code and the one line."""
    environ = {"PILLION_RUN_DIR": str(run_directory), **environ}
    done = subprocess.run([ENTRY, "health", what], env=environ, capture_output=True, text=True, timeout=30, check=False)
    assert done.stderr == "" and len(done.stdout.splitlines()) == 1
    return done.returncode, done.stdout.strip()


def test_ready_comes_with_the_backends_first_answer(start: Start, run_directory: Path) -> None:
    """S2: while it boots the container is live and not ready."""
    gate = run_directory / "gate"
    container = start("gated", str(gate))
    eventually(lambda: listens(container.front))
    assert health("live", run_directory) == (0, "live")
    code, why = health("ready", run_directory)
    assert code == 1 and why.startswith("not ready: ")
    gate.touch()
    container.ready()
    assert health("ready", run_directory) == (0, "ready")


def test_the_backends_death_is_seen_at_once(start: Start, run_directory: Path) -> None:
    """S23: while it waits to be started again the container is still live: restarting it all would not help."""
    container = start(environ={b"PILLION_BACKOFF": b"20m", b"PILLION_BACKOFF_MAX": b"20m", **ONE_IN_A_DAY})
    container.ready()
    os.kill(container.pid(str(BACKEND)), signal.SIGKILL)
    container.says("SIGKILL ended it; restart 1 of 1")
    assert health("ready", run_directory) == (1, "not ready: be ready: the backend is BACKOFF")
    assert health("live", run_directory) == (0, "live")


ONE_IN_A_DAY = {b"PILLION_RESTARTS": b"1", b"PILLION_RESTART_WINDOW": b"1440m"}


def test_a_drain_is_seen_from_its_start(start: Start, run_directory: Path) -> None:
    """S23: the proxy still accepts, as it should; whoever routes to it is told to stop doing so."""
    container = start(environ={b"PROXY__DRAIN_DELAY": b"60s", b"PILLION_DEADLINE": b"120s"})
    container.ready()
    container.process.send_signal(signal.SIGTERM)
    container.says("received SIGTERM")
    assert health("ready", run_directory) == (1, "not ready: be ready: it is being stopped")
    assert listens(container.front)
    assert health("live", run_directory) == (0, "live")
    # Enough: this one waits for nobody.
    os.kill(container.pid("proxy"), signal.SIGINT)
    assert container.wait()[0] == 0


def test_a_readiness_path_is_asked_through_the_proxy(start: Start, run_directory: Path) -> None:
    """What a client would get decides."""
    for path, code in ((b"/there", 0), (b"/missing", 1)):
        container = start(environ={b"PROXY__READY_PATH": path})
        eventually(lambda container=container: listens(container.front) and listens(container.inner))
        eventually(lambda code=code: health("ready", run_directory)[0] == code)
        assert container.end()[0] == 0


def test_a_stopped_supervisord_is_not_live(start: Start, run_directory: Path) -> None:
    """Its socket takes connections and nobody answers: the time limit decides."""
    container = start()
    container.ready()
    container.process.send_signal(signal.SIGSTOP)
    try:
        assert health("live", run_directory)[0] == 1
    finally:
        container.process.send_signal(signal.SIGCONT)


def test_a_sidecar_alone_is_asked_by_the_same_command(run_directory: Path) -> None:
    """In the separate layout: its own settings say where."""
    front, inner = free_port(), free_port()
    settings = {"LISTEN": f"127.0.0.1:{front}", "PROXY__UPSTREAM": f"http://127.0.0.1:{inner}"}
    assert health("live", run_directory, **settings)[0] == 1
    proxy = subprocess.Popen([ENTRY, "proxy"], env=settings, stderr=subprocess.DEVNULL)
    backend = None
    try:
        eventually(lambda: listens(front))
        assert health("live", run_directory, **settings) == (0, "live")
        assert health("ready", run_directory, **settings)[0] == 1
        backend = subprocess.Popen([sys.executable, BACKEND], env={"PORT": str(inner)})
        eventually(lambda: health("ready", run_directory, **settings) == (0, "ready"))
    finally:
        for process in filter(None, (proxy, backend)):
            process.terminate()
            process.wait(20)


def test_a_sidecar_alone_says_that_it_is_being_stopped(run_directory: Path) -> None:
    """S23: in the separate layout, with ADMIN_LISTEN, from the start of the drain, while it still accepts."""
    front, inner = free_port(), free_port()
    settings = {
        "LISTEN": f"127.0.0.1:{front}",
        "PROXY__UPSTREAM": f"http://127.0.0.1:{inner}",
        "PROXY__ADMIN_LISTEN": f"unix:{run_directory}/admin.sock",
        "DRAIN_DELAY": "60",
    }
    assert health("live", run_directory, **settings)[0] == 1
    proxy = subprocess.Popen([ENTRY, "proxy"], env=settings, stderr=subprocess.DEVNULL)
    backend = None
    try:
        eventually(lambda: health("live", run_directory, **settings) == (0, "live"))
        assert health("ready", run_directory, **settings) == (1, "not ready: be ready: the backend is not ready")
        backend = subprocess.Popen([sys.executable, BACKEND], env={"PORT": str(inner)})
        eventually(lambda: health("ready", run_directory, **settings) == (0, "ready"))
        proxy.terminate()
        stopped = (1, "not ready: be ready: it is being stopped")
        eventually(lambda: health("ready", run_directory, **settings) == stopped)
        assert listens(front)
        assert health("live", run_directory, **settings) == (0, "live")
    finally:
        for process in filter(None, (proxy, backend)):
            process.send_signal(signal.SIGINT)
            process.wait(20)


def test_a_sidecar_that_only_speaks_tls(run_directory: Path) -> None:
    """Its readiness is asked over TLS; whom the certificate is for does not matter to a look at itself."""
    front, inner = free_port(), free_port()
    settings = {
        "LISTEN": f"https://127.0.0.1:{front}",
        "LISTEN_CERT": str(CERTIFICATE),
        "UPSTREAM": f"http://127.0.0.1:{inner}",
        "READY_PATH": "/there",
    }
    proxy = subprocess.Popen([ENTRY, "proxy"], env=settings, stderr=subprocess.DEVNULL)
    backend = subprocess.Popen([sys.executable, BACKEND], env={"PORT": str(inner)})
    try:
        eventually(lambda: health("ready", run_directory, **settings) == (0, "ready"))
        assert health("live", run_directory, **settings) == (0, "live")
    finally:
        for process in (proxy, backend):
            process.terminate()
            process.wait(20)


@pytest.mark.parametrize("arguments", [[], ["alive"], ["live", "--timeout"], ["live", "--timeout", "0"]])
def test_a_wrong_question_is_bad_input(arguments: list[str]) -> None:
    """Exit code 2, which is no state of health."""
    done = subprocess.run([ENTRY, "health", *arguments], env={}, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "see pillion health --help" in done.stderr


def test_it_loads_little() -> None:
    """It runs every few seconds in every container: nothing installed, no parser of arguments, no HTTP client."""
    code = "import sys; import pillion.cli.health; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"argparse", "http.client", "urllib.request", "supervisor", "xmlrpc", "ssl", "email"} & set(loaded)
