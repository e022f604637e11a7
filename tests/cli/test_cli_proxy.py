"""`pillion proxy`: the sidecar alone in front of any URL."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
import requests

from pillion.proxy.settings import SETTINGS
from tests.conftest import BACKEND, ENTRY, eventually, free_port, listens

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture
def upstream() -> Iterator[int]:
    """The port of a backend that is up."""
    port = free_port()
    with subprocess.Popen([sys.executable, BACKEND], env={"PORT": str(port)}, stdout=subprocess.DEVNULL) as process:
        eventually(lambda: listens(port))
        yield port
        process.terminate()


def test_it_forwards_and_stops_when_told(upstream: int) -> None:
    """Options win over the environment, with and without its prefix; SIGTERM ends it with 0."""
    port = free_port()
    command = [ENTRY, "proxy", "--upstream", f"http://127.0.0.1:{upstream}", "--listen", f"127.0.0.1:{port}"]
    env = {"PROXY__UPSTREAM": "http://127.0.0.1:1", "LISTEN": "127.0.0.1:1", "GUNICORN_CMD_ARGS": "--nonsense"}
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as process:
        answer = eventually(lambda: (got := requests.get(f"http://127.0.0.1:{port}/", timeout=5)).ok and got)
        assert answer.text.startswith("pid ") and "pillion" in answer.headers["Via"]
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    assert process.returncode == 0 and not listens(port)


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({"UPSTREAM": "ftp://x"}, "UPSTREAM"),
        ({"PROXY__CONNECT_TIMEOUT": "soon"}, "CONNECT_TIMEOUT"),
        ({"LISTEN": "127.0.0.1:1", "PROXY__LISTEN": "127.0.0.1:2"}, "LISTEN and PROXY__LISTEN are both set and differ"),
    ],
)
def test_a_bad_setting_is_refused_by_name(env: dict[str, str], says: str) -> None:
    """Never a default in its place."""
    ended = subprocess.run([ENTRY, "proxy"], env=env, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == 2 and says in ended.stderr and len(ended.stderr.splitlines()) == 1


def test_help_lists_every_setting() -> None:
    """With its default and unit, within 80 columns."""
    shown = subprocess.run([ENTRY, "proxy", "--help"], capture_output=True, text=True, timeout=20, check=True).stdout
    assert all(f"  {setting.name} " in shown for setting in SETTINGS)
    assert max(map(len, shown.splitlines())) <= 80
