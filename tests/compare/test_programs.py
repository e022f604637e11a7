"""Which process is whose, on engine process; on the others see tests/containers/test_engine_programs.py."""

from __future__ import annotations

import os
import signal

import pytest

from pillion.compare.engines.programs import first_processes, program_of
from pillion.compare.proc import command_line, parents
from tests.compare.running import pair_of, up
from tests.conftest import BACKEND, PairFile, environ_of, eventually

pytestmark = pytest.mark.usefixtures("nothing_left")
PROGRAMS = {
    "direct": {"backend"},
    "embedded": {"backend"},
    "separate": {"backend", "proxy"},
    "shared": {"backend", "proxy", "supervisord"},
}


@pytest.mark.parametrize("layout", PROGRAMS)
def test_every_process_is_some_programs(pair_file: PairFile, layout: str) -> None:
    """Each by what it runs; together they are all that the layout has."""
    with up(pair_of(pair_file), layout) as running:
        found = running.programs()
        assert set(found) == PROGRAMS[layout]
        assert sum(map(len, found.values())) == running.usage().processes
        assert [command_line(pid)[1] for pid in found["backend"]] == [str(BACKEND)]
        if "proxy" in found:
            assert len(found["proxy"]) == 2  # its master and a worker
            assert all(command_line(pid)[-1] == "proxy" for pid in found["proxy"])
            assert all(b"UPSTREAM" in environ_of(pid) for pid in found["proxy"])
        for pids in found.values():
            assert len(first_processes(pids, parents())) == 1


def test_what_a_backend_leaves_behind_is_the_backends(pair_file: PairFile) -> None:
    """It is reparented to supervisord, of which it is no part."""
    pair_file.backend["args"] = ["orphan"]
    with up(pair_of(pair_file), "shared") as running:
        commands = eventually(
            lambda: found if len(found := [command_line(pid)[0] for pid in running.programs()["backend"]]) == 2 else []
        )
        assert "sleep" in commands


def test_a_program_that_has_ended_has_none(pair_file: PairFile) -> None:
    """It stays named, as it is one of the layout."""
    with up(pair_of(pair_file), "separate") as running:
        (pid,) = running.programs()["backend"]
        os.kill(pid, signal.SIGKILL)
        eventually(running.lost)
        assert running.programs()["backend"] == set() and len(running.programs()["proxy"]) == 2


def test_a_backend_may_be_called_as_ours() -> None:
    """What tells the proxy is our own entry before its name, not the name."""
    own = ["/opt/pillion/bin/python3", "-I", "/opt/pillion/lib/start.pyc", "supervise"]
    assert program_of(own, [*own[:3], "proxy", "--x"]) == "proxy"
    assert program_of(own, [*own[:3], "exec", "proxy"]) == "proxy"
    assert program_of(own, [*own[:3], "exec", "backend"]) == "backend"
    assert program_of(own, own) == "supervisord"
    assert program_of(own, ["/opt/pillion/bin/pillion", "exec", "proxy"]) == "proxy"
    assert program_of(own, ["/opt/pillion/bin/pillion", "exec", "backend"]) == "backend"
    assert program_of(own, ["/usr/bin/node", "proxy"]) == "backend"
    assert program_of(own, []) == "backend"
