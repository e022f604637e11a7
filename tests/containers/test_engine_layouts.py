"""`pillion run` and `compare` on podman and docker: every layout serves, is measured, and is gone afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from pillion.compare.engines.containers import ContainerEngine
from pillion.compare.proc import command_line
from pillion.compare.ready import wait_ready
from pillion.image.pairfile import load_pair
from tests.conftest import BACKEND, ENTRY, cannot_test, environ_of, eventually, free_port, listens
from tests.containers.bases import scratch_backend, sidecar
from tests.containers.engines import DOCKER, ENGINES, PODMAN, Engine, carry, missing

pytestmark = pytest.mark.usefixtures("engine")
# What the engine, the policy for a derived name, or the layout's own port settings give; the rest is the file's.
NOT_THE_FILES = {b"HOSTNAME", b"HOME", b"PORT", b"NO_PROXY", b"no_proxy", b"container", b"TERM", b"PATH"}
ODD = {"SECRET_KEY": "backend's", "LINES": "a\nb", "PERCENT": "%(x)s $HOME", "EMPTY": "", "LD_PRELOAD": "/not/there"}


@pytest.fixture(params=ENGINES, ids=lambda engine: str(engine.name))
def engine_used(request: pytest.FixtureRequest) -> Engine:
    """Each, with the images of the pair in its store."""
    used: Engine = request.param
    if why := missing(used):
        cannot_test(f"containers cannot be tested: {why}")
    for image in (scratch_backend(), sidecar()):
        if used is not PODMAN:
            carry(image, used)
    return used


class Pod:
    """A pod.yaml of a static backend and the sidecar, each by its image."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "pod.yaml"
        self.front = free_port()
        self.backend: dict[str, Any] = {
            "name": "backend",
            "image": scratch_backend(),
            "env": [{"name": name, "value": value} for name, value in ODD.items()],
            "ports": [{"containerPort": 8000}],
            "readinessProbe": {"httpGet": {"path": "/", "port": 8000}},
        }
        self.proxy: dict[str, Any] = {
            "name": "proxy",
            "image": sidecar(),
            "command": ["/opt/pillion/bin/pillion", "proxy"],
            "env": [
                {"name": "PORT", "value": str(self.front)},
                {"name": "UPSTREAM", "value": "http://127.0.0.1:8000"},
                {"name": "SECRET_KEY", "value": "proxy's"},
            ],
            "ports": [{"containerPort": self.front}],
        }

    def write(self) -> Path:
        """The file as it now stands."""
        spec = {"containers": [self.backend, self.proxy], "terminationGracePeriodSeconds": 5}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "tested"}, "spec": spec}
        self.path.write_text(yaml.safe_dump(pod))
        return self.path


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    """To be changed before it is written."""
    return Pod(tmp_path)


def _combined(engine: Engine) -> list[str]:
    """podman fails at it when another process removes an image meanwhile."""
    words = ("images", "--filter=reference=localhost/pillion-combined", "--format={{.Repository}}:{{.Tag}}")
    done = eventually(lambda: found if not (found := engine(*words, check=False)).returncode else None)
    return done.stdout.splitlines() if done else []


def left(engine: Engine, pid: int) -> list[str]:
    """What a process of ours has in the engine: containers, pods and images."""
    found = engine("ps", "--all", "--format={{.Names}} {{.Labels}}").stdout.splitlines()
    if engine is PODMAN:
        found += engine("pod", "ps", "--format={{.Name}} {{.Labels}}").stdout.splitlines()
    found += _combined(engine)
    return [line for line in found if f"-{pid}-" in line]


@contextmanager
def running(engine: Engine, *arguments: str | Path) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """`pillion run`, and the lines it has written so far; nothing of it is left afterwards."""
    command = [ENTRY, "run", *arguments, "--engine", engine.name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        lines: list[str] = []

        reader = threading.Thread(target=lambda: [lines.append(line) for line in process.stdout or ()])
        reader.start()
        try:
            yield process, lines
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(60)
            reader.join(10)
    assert left(engine, process.pid) == []


def is_up(process: subprocess.Popen[str], lines: list[str]) -> None:
    """Wait for it to say so."""
    eventually(lambda: any(" is up after " in line for line in list(lines)) or process.poll() is not None, 60)
    assert process.poll() is None, "".join(lines)


def seen(body: bytes) -> dict[bytes, bytes]:
    """What the backend has of the file."""
    variables = dict(variable.split(b"=", 1) for variable in body.split(b"\0") if variable)
    return {name: value for name, value in variables.items() if name not in NOT_THE_FILES}


@pytest.mark.parametrize("layout", ["shared", "separate"])
def test_a_pair_serves_with_the_environments_of_its_file(engine_used: Engine, pod: Pod, layout: str) -> None:
    """Through one address of loopback; each program sees its own value of a name that both have; SIGTERM is the end."""
    with running(engine_used, pod.write(), "--layout", layout) as (process, lines):
        is_up(process, lines)
        answer = requests.get(f"http://127.0.0.1:{pod.front}/", timeout=5)
        assert answer.status_code == 200 and "Via" in answer.headers
        assert seen(answer.content) == {name.encode(): value.encode() for name, value in ODD.items()}
        proxies = [found for pid in _pids(engine_used, process.pid) if (found := environ_of(pid)).get(b"UPSTREAM")]
        assert proxies and all(found[b"SECRET_KEY"] == b"proxy's" for found in proxies)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert not listens(pod.front)
    assert any("stopped by SIGTERM" in line for line in lines)


def _pids(engine: Engine, owner: int) -> list[int]:
    """On this machine, of every process in the containers of a run."""
    names = [line.split()[0] for line in left(engine, owner) if "-infra" not in line]
    running = [name for name in names if engine("container", "inspect", name, check=False).returncode == 0]
    field = "hpid" if engine is PODMAN else "pid"
    options = [field] if engine is PODMAN else ["-o", "pid"]
    return [int(pid) for name in running for pid in engine("top", name, *options).stdout.split()[1:]]


def test_remote_stands_before_a_backend_of_this_machine(engine_used: Engine, pod: Pod) -> None:
    """As in an IDE: it may come later, listens on loopback alone, and is told by --upstream."""
    inner = free_port()
    options = ("--layout", "remote", "--upstream", f"http://127.0.0.1:{inner}")
    with running(engine_used, pod.write(), *options) as (process, lines):
        is_up(process, lines)
        assert requests.get(f"http://127.0.0.1:{pod.front}/", timeout=5).status_code == 503
        with subprocess.Popen([sys.executable, BACKEND], env={"PORT": str(inner)}) as backend:
            try:
                eventually(lambda: requests.get(f"http://127.0.0.1:{pod.front}/", timeout=5).status_code == 200)
            finally:
                backend.kill()


def test_a_comparison_measures_every_layout(engine_used: Engine, pod: Pod, tmp_path: Path) -> None:
    """Memory and CPU by control group, images, ready times; no request fails and nothing is left."""
    out = tmp_path / "out.json"
    command = [ENTRY, "compare", pod.write(), "--engine", engine_used.name, "--json", out]
    schedule = ["--rounds", "1", "--duration", "0.5", "--rate", "50"]
    with subprocess.Popen([*command, *schedule], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        said, complaints = process.communicate(timeout=120)
    assert process.returncode == 0, complaints
    assert f"combining {pod.backend['image']} with " in complaints  # what was removed is said in the same way
    document = json.loads(out.read_text())
    assert document["engine"] == engine_used.name and engine_used.name in document["engine_facts"]
    layouts = document["layouts"]
    assert list(layouts) == ["direct", "shared", "separate"]
    for found in layouts.values():
        assert found["failed"] == 0 and found["requests"] == 25
        assert (
            min(found[name] for name in ("cgroup_bytes", "memory_bytes", "engine_bytes", "cpu_s_per_1000", "ready_s"))
            > 0
        )
    ends = {layout: found["rounds"][0]["endings"] for layout, found in layouts.items()}
    names = {"direct": ["backend"], "shared": ["shared"], "separate": ["backend", "proxy"]}
    assert {layout: list(found) for layout, found in ends.items()} == names
    clean = {"exit_code": 0, "oom_killed": False, "restarts": 0, "error": ""}
    assert all(ending == clean for found in ends.values() for ending in found.values()), ends
    images = document["image_bytes"]
    assert images["direct"] < images["shared"] and abs(images["shared"] - images["separate"]) < 0.1 * images["shared"]
    assert layouts["direct"]["processes"] < layouts["separate"]["processes"]
    _whose_it_is(document)
    assert "memory (cgroup), MiB" in said and "images, MiB" in said
    assert left(engine_used, process.pid) == []


def _whose_it_is(document: dict[str, Any]) -> None:
    """Each program's memory in each layout, and each layer's program: the combined image has those of both."""
    programs = {layout: set(found["programs"]) - {"pod"} for layout, found in document["layouts"].items()}
    both = {"backend", "proxy"}
    assert programs == {"direct": {"backend"}, "shared": both | {"supervisord"}, "separate": both}
    layers = {
        layout: [(layer["digest"], layer["program"]) for image in found for layer in image["layers"]]
        for layout, found in document["images"].items()
    }
    assert layers["shared"] and layers["shared"] == layers["separate"]
    assert layers["shared"][: len(layers["direct"])] == layers["direct"]


def refused(
    engine: Engine, *arguments: str | Path, environ: dict[str, str] | None = None, command_name: str = "run"
) -> tuple[int, str]:
    """Exit code and the one line that is said; nothing is left."""
    command = [ENTRY, command_name, *arguments, "--engine", engine.name]
    given = {**os.environ, **(environ or {})}
    with subprocess.Popen(command, env=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        _, errors = process.communicate(timeout=60)
    assert left(engine, process.pid) == []
    lines = [line for line in errors.splitlines() if line.startswith("pillion: ")]
    assert len(lines) == 1 and "Traceback" not in errors, errors
    return process.returncode, lines[0]


def test_an_image_that_is_not_there_is_named(engine_used: Engine, pod: Pod) -> None:
    """With its place in the file; nothing is pulled, and no name is taken for an option."""
    for name in ("localhost/pillion-test/nobody:1", "--help"):
        pod.backend["image"] = name
        code, line = refused(engine_used, pod.write(), "--layout", "separate")
        assert code == 2 and "spec.containers[0].image" in line and name in line
    pod.backend.pop("image")
    code, line = refused(engine_used, pod.write(), "--layout", "direct")
    assert code == 2 and "spec.containers[0] (backend) names no image" in line


def test_a_program_that_ends_says_why(engine_used: Engine, pod: Pod) -> None:
    """Which one, with what, and its last line."""
    pod.proxy["env"][1]["value"] = "nonsense"
    code, line = refused(engine_used, pod.write(), "--layout", "separate")
    assert code == 1 and "the proxy ended with 2" in line and "cannot read UPSTREAM" in line
    pod.backend["command"] = ["/not/there"]
    code, line = refused(engine_used, pod.write(), "--layout", "direct")
    assert code == 1 and "/not/there" in line
    pod.backend["command"] = ["/answer", "8000"]
    pod.backend["readinessProbe"]["httpGet"]["path"] = "/exit/7"
    code, line = refused(engine_used, pod.write(), "--layout", "direct", command_name="compare")
    assert code == 1 and "the backend ended with 7" in line


def test_a_port_that_is_taken(engine_used: Engine, pod: Pod) -> None:
    """Found before anything is started."""
    taken = subprocess.Popen([sys.executable, BACKEND], env={"PORT": str(pod.front)})
    try:
        eventually(lambda: listens(pod.front))
        code, line = refused(engine_used, pod.write(), "--layout", "separate")
        assert code == 2 and f"port {pod.front} of spec.containers[1] is in use" in line
    finally:
        taken.kill()
        taken.wait()


def test_a_backend_that_never_gets_ready(engine_used: Engine, pod: Pod) -> None:
    """What was asked and what the last answer was."""
    pod.backend["readinessProbe"]["httpGet"]["path"] = "/nothing/there"
    pod.backend["args"] = ["8001"]
    code, line = refused(engine_used, pod.write(), "--layout", "shared", "--ready-timeout", "2")
    assert code == 1 and "was not ready within 2 s" in line and "/nothing/there" in line


def test_a_daemon_that_does_not_answer(pod: Pod) -> None:
    """It is bad input, found before anything is done."""
    if why := missing(DOCKER):
        cannot_test(f"containers cannot be tested: {why}")
    away = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}
    code, line = refused(DOCKER, pod.write(), "--layout", "direct", environ=away)
    assert code == 2 and "engine docker does not answer" in line


def test_what_a_killed_run_left_goes_with_the_next(engine_used: Engine, pod: Pod) -> None:
    """Its containers hold the port until then."""
    command = [ENTRY, "run", pod.write(), "--engine", engine_used.name]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as first:
        eventually(lambda: requests.get(f"http://127.0.0.1:{pod.front}/", timeout=5).status_code == 200, 60)
        first.kill()
    assert left(engine_used, first.pid) != []
    with running(engine_used, pod.path, "--layout", "separate") as (process, lines):
        is_up(process, lines)
        assert left(engine_used, first.pid) == []
        assert any("which a run that was killed had left" in line for line in lines)


def test_an_impatient_ctrl_c_leaves_nothing(engine_used: Engine, pod: Pod) -> None:
    """A terminal sends it to every process of the command, again and again: no client of the engine's is hit."""
    command = [ENTRY, "run", pod.write(), "--layout", "separate", "--engine", engine_used.name]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        eventually(lambda: requests.get(f"http://127.0.0.1:{pod.front}/", timeout=5).status_code == 200, 60)
        while process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            time.sleep(0.05)
    assert left(engine_used, process.pid) == []


def test_every_process_is_some_programs(engine_used: Engine, pod: Pod) -> None:
    """As this machine counts them; the infra container, where there is one, is the pod's."""
    layout = "shared" if engine_used is PODMAN else "separate"
    programs = {"backend", "proxy"} | ({"supervisord", "pod"} if engine_used is PODMAN else set())
    pair = load_pair(str(pod.write()), caller_env={})
    with ContainerEngine(engine_used.name, "test", False, lambda _: None) as engine:
        with engine.prepare(pair, layout).start("test", None) as running:
            wait_ready(running, "test", 60)
            found = running.programs()
            assert set(found) == programs
            assert sum(map(len, found.values())) == running.usage().processes
            (backend,) = found["backend"]
            assert command_line(backend)[0] == "/answer"
            assert len(found.get("pod", [0])) == 1
            assert all(command_line(pid)[-1] == "proxy" for pid in found.get("proxy", ()))
