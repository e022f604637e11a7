"""`pillion env audit` in containers, through the image's own entry: with one uid and with two, in podman and docker."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conftest import eventually
from tests.containers.bases import scratch_backend
from tests.containers.composed import Combine
from tests.containers.conftest import Container, Run
from tests.containers.engines import PODMAN, Engine

AUDIT = ("/opt/pillion/bin/pillion", "env", "audit", "--json")
GIVEN = (
    "--env=PROXY__SECRET_KEY=canary-of-the-proxy",
    "--env=BACKEND__TOKEN=canary-of-the-backend",
    "--env=PROXY__LD_PRELOAD=/canary.so",
    "--publish=127.0.0.1::8080",
)
Processes = dict[str, list[dict[str, Any]]]


def audited(container: Container, *options: str, code: int = 0) -> Processes:
    """What `exec` says of each program's processes, once all are there and the programs themselves; never a value."""

    def look() -> Processes | None:
        done = container.engine("exec", *options, container.id, *AUDIT, check=False)
        assert "canary" not in done.stdout + done.stderr
        assert done.returncode == code, done.stdout + done.stderr
        found: Processes = {}
        for one in json.loads(done.stdout)["processes"]:
            found.setdefault(one["program"], []).append(one)
        starting = any("only being started" in one["unread"] for each in found.values() for one in each)
        return None if starting or len(found["proxy"]) < 2 else found

    return eventually(look, 60.0)


@pytest.mark.parametrize("options", [[], ["--user=12345:0"]], ids=["two uids", "one uid"])
def test_every_process_holds_what_it_should(combine: Combine, run: Run, either: Engine, options: list[str]) -> None:
    """supervisord and the backend, whoever may look into whom; the proxy lets nobody, which is said. With all
    capabilities it can be told as well, also where variables of its wait for its loader: in podman, as docker needs
    CAP_SYS_RESOURCE to give them, which not every machine has."""
    container = run(combine(scratch_backend(), either), options=[*GIVEN, *options], engine=either)
    container.get()
    found = audited(container)
    assert {*found} == {"supervisord", "proxy", "backend"}
    for program in ("supervisord", "backend"):
        assert [(one["unread"], one["differences"]) for one in found[program]] == [("", [])]
    assert {one["unread"].partition(";")[0] for one in found["proxy"]} == {"lets nobody look into it (PR_SET_DUMPABLE)"}
    if either is PODMAN:
        allowed = audited(container, "--privileged", "--user=0")
        assert all(not one["unread"] and one["differences"] == [] for each in allowed.values() for one in each)
    # A process by `exec` holds what the container was given; that is no fault of the pair.
    either("exec", "--detach", container.id, "/answer", "8001")
    found = eventually(lambda: one if (one := audited(container)).get("beside") else None, 60.0)
    (stranger,) = found["beside"]
    assert stranger["command"] == "answer"
    assert {one["name"] for one in stranger["differences"]} >= {"PROXY__SECRET_KEY", "BACKEND__TOKEN"}


def test_an_init_that_keeps_everything_is_a_fault(combine: Combine, run: Run, docker: Engine) -> None:
    """`--init`: the addressed names are there to be read, of both programs."""
    container = run(combine(scratch_backend(), docker), options=[*GIVEN, "--init"], engine=docker)
    container.get()
    (init,) = audited(container, code=1)["init"]
    assert init["pid"] == 1
    assert {one["name"] for one in init["differences"]} >= {"PROXY__SECRET_KEY", "BACKEND__TOKEN"}
