"""What the claims rest on beside rounds and experiments: looked at, asked for, and put at a distance."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import sys
import time
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path

import pytest

from pillion.compare.engines.process import ProcessEngine
from pillion.compare.evidence.asked import asked
from pillion.compare.evidence.distance import ROUND_TRIP_S, certificate, relay
from pillion.compare.evidence.evidence import Asked, Node
from pillion.compare.evidence.gather import gather
from pillion.compare.evidence.look import file_of, look
from pillion.compare.result import Processors, Schedule
from pillion.image.pairfile import load_written
from tests.compare.running import PLACE, pair_of
from tests.conftest import BACKEND, PairFile, cannot_test, eventually, free_port, listens

MIB = 2**20


def test_programs_have_their_own_values(pair_file: PairFile, nothing_left: None) -> None:
    """In both layouts, of every name that would collide; no value is kept."""
    pair = pair_of(pair_file)
    seen, runtimes = look(ProcessEngine(PLACE), pair, ["direct", "shared", "separate"], 60)
    names = {(each.layout, each.program, each.variable) for each in seen}
    assert {("shared", "proxy", "LOG_LEVEL"), ("separate", "backend", "LOG_LEVEL")} <= names
    assert all(each.own and not each.other for each in seen) and runtimes == []
    assert "loud" not in str(seen)


def test_what_cannot_be_gathered_says_why(pair_file: PairFile, nothing_left: None) -> None:
    """The rest is gathered all the same."""
    pair = pair_of(pair_file)
    pair = pair._replace(backend=pair.backend._replace(command=()))
    engine, heard = ProcessEngine(PLACE), list[str]()
    node = Node(cpu=4)
    found = gather([4, 9, 10], engine, PLACE, pair, ["shared"], Schedule(), Processors(), node, {}, heard.append)
    assert set(found.why_not) == {"seen", "ide", "distance"} and "has no command" in found.why_not["ide"]
    assert found.node == node and heard[0].startswith("looking at")


KUBERNETES = """
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  containers:
    - name: backend
      image: b
      resources: {requests: {cpu: 250m}, limits: {cpu: "1", memory: 128Mi}}
    - {name: proxy, image: pillion/sidecar}
"""
COMPOSE = """
services:
  backend: {image: b, deploy: {resources: {limits: {cpus: "1.5", memory: 256M}, reservations: {memory: 64mb}}}}
  proxy: {image: pillion/sidecar}
"""


def test_what_a_file_asks_for(tmp_path: Path) -> None:
    """A request that is missing is the limit, to Kubernetes; nothing is no figure."""
    for text, expected in (
        (KUBERNETES, Asked(0.25, 128 * MIB, 1.0, 128 * MIB)),
        (COMPOSE, Asked(None, 64 * MIB, 1.5, 256 * MIB)),
    ):
        file = tmp_path / "pair.yaml"
        file.write_text(text)
        found = asked(load_written(str(file), caller_env={})[1])
        assert found == {"backend": expected, "proxy": Asked()}


def test_links_of_a_container_stay_in_it(tmp_path: Path) -> None:
    """Absolute ones too, and those among its folders; what leads nowhere is no file."""
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/python3.11").write_text("")
    (tmp_path / "usr/bin/python3").symlink_to("/usr/bin/python3.11")
    (tmp_path / "bin").symlink_to("usr/bin")
    (tmp_path / "usr/bin/node").symlink_to("/nowhere/node")
    (tmp_path / "usr/bin/loop").symlink_to("loop")
    root = str(tmp_path)
    assert file_of(root, "/bin/python3") == file_of(root, "/usr/bin/python3") == "/usr/bin/python3.11"
    assert file_of(root, "/bin/node") == file_of(root, "/bin/loop") == file_of(root, "/sbin/x") == ""


@pytest.mark.parametrize("tls", [False, True])
def test_a_relay_makes_a_backend_far(tmp_path: Path, nothing_left: None, tls: bool) -> None:
    """A request takes a round trip more at least, with TLS or without."""
    if tls and shutil.which("openssl") is None:
        cannot_test("openssl is not installed")
    pem = certificate(tmp_path) if tls else ()
    port = free_port()
    with subprocess.Popen([sys.executable, BACKEND], env={"PORT": str(port)}) as backend:
        try:
            eventually(lambda: listens(port))
            with relay(port, pem) as far:
                trusted = ssl.create_default_context(cafile=str(pem[0])) if pem else None
                connection = (
                    HTTPSConnection("127.0.0.1", far, timeout=20, context=trusted)
                    if trusted
                    else HTTPConnection("127.0.0.1", far, timeout=20)
                )
                connection.request("GET", "/")
                assert connection.getresponse().read().startswith(b"pid ")
                began = time.monotonic()
                connection.request("GET", "/")
                assert connection.getresponse().status == 200
                assert time.monotonic() - began >= ROUND_TRIP_S * 0.9  # a lower bound: no scheduler breaks it
                connection.close()
        finally:
            backend.kill()
