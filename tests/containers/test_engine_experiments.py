"""The experiments in containers: what the engine's limits and restarts have to do with them. Short ones, on podman."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from pillion.compare.engines.containers import ContainerEngine
from pillion.compare.experiments.all import choose, plan_experiments, run_experiments
from pillion.compare.experiments.outcome import Outcome
from pillion.compare.experiments.stage import Pace
from pillion.compare.result import Processors, Schedule
from pillion.image.pairfile import load_pair
from tests.conftest import cannot_test
from tests.containers.bases import scratch_backend, sidecar
from tests.containers.engines import PODMAN

pytestmark = pytest.mark.usefixtures("engine")
PACE = Pace(rate=40, timeout_s=0.5, before_s=0.3, lasts_s=1.0, after_s=1.7)


def pod(folder: Path) -> Path:
    """A static backend and the sidecar."""
    backend = {
        "name": "backend",
        "image": scratch_backend(),
        "ports": [{"containerPort": 8000}],
        "readinessProbe": {"httpGet": {"path": "/", "port": 8000}},
    }
    proxy = {"name": "proxy", "image": sidecar(), "command": ["/opt/pillion/bin/pillion", "proxy"]}
    proxy["env"] = [{"name": "UPSTREAM", "value": "http://127.0.0.1:8000"}]
    spec = {"containers": [backend, proxy], "terminationGracePeriodSeconds": 5}
    file = folder / "pod.yaml"
    file.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "tested"}, "spec": spec}))
    return file


def perform(name: str, program: str, layout: str, folder: Path) -> Outcome:
    """One experiment; nothing of it is left."""
    pair = load_pair(str(pod(folder)), caller_env={})
    schedule = Schedule(path="/", ready_timeout_s=60)
    with ContainerEngine("podman", "test", False, lambda _: None) as engine:
        planned = plan_experiments(choose(name), pair, [layout], engine)
        ours = [(experiment, setting) for experiment, setting in planned if setting.program == program]
        (outcome,) = run_experiments(ours, schedule, Processors(), lambda *_: None, lambda: None, PACE)
    names = PODMAN("ps", "--all", "--format={{.Labels}}").stdout
    assert f"-{os.getpid()}-" not in names
    return outcome


def test_a_container_that_was_killed_is_started_again(tmp_path: Path) -> None:
    """When the engine knows that it has ended; the pod keeps its network, and the other one its process."""
    found = perform("kill", "backend", "separate", tmp_path)
    assert found.measured, found.note
    assert found.restarts == {"backend": 1, "proxy": 0} and found.detected_s is not None
    assert "the backend ended with 137; compare started it again at once" in found.note
    assert found.failed > 0 and found.timeline[0][1] > 0


def test_a_hog_meets_the_limit_of_the_one_container(tmp_path: Path) -> None:
    """The limit is the container's, the hog in its control group, and the kernel's choice is said."""
    found = perform("memory-hog", "proxy", "shared", tmp_path)
    if "cannot be limited here" in found.note or "cannot be moved" in found.note:
        cannot_test(found.note)
    assert found.measured, found.note
    assert found.note.startswith("limit: 64 MiB above its use for each program of a container; the kernel killed ")
    if len(Path("/proc/swaps").read_text().splitlines()) == 1:  # else it may be swapped out
        assert "killed 1 process for want of memory, and it was the hog" in found.note
    assert found.restarts == {"backend": 0, "proxy": 0}


def test_a_disk_is_full_for_a_while(tmp_path: Path) -> None:
    """One that was made for it."""
    found = perform("full-disk", "backend", "separate", tmp_path)
    assert found.measured, found.note
    assert "/tmp (16 MiB) was full for 1 s; it is the backend's alone" in found.note
