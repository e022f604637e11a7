"""A backend's own image and its combined one side by side, in five shapes and both engines (C1 to C5, C10)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import argv_of, environ_of, eventually
from tests.containers.backends import SHAPES, Shape, saved
from tests.containers.composed import Combine
from tests.containers.conftest import Container, Identity, Run, identity, running
from tests.containers.engines import Engine, carry

ALL_SHAPES = pytest.mark.parametrize("shape", SHAPES, ids=[shape.name for shape in SHAPES], scope="module")
ODD = [
    "--env=EQUALS=a=b",
    "--env=SPACES= a  b ",
    "--env=PERCENT=%(x)s %% %",
    "--env=LINES=a\nb\n",
    "--env=EMPTY=",
    "--env=QUOTES='\"\\$HOME`",
    "--env=UMLAUT=äöü\udcff",
    "--env=LONG=" + "x" * 100_000,
    "--env=LD_LIBRARY_PATH=/nowhere",
    "--env=PYTHONPATH=/nowhere",
    "--env=NODE_OPTIONS=--no-warnings",
    "--env=LANG=C.UTF-8",
]
SAME_HOST = "--hostname=here"


class Pair(NamedTuple):
    """The same image alone and combined, started with the same options."""

    shape: Shape
    engine: Engine
    own_image: str
    image: str
    alone: Container
    together: Container

    def backend(self) -> int:
        """The backend's pid in the combined container."""
        return self.together.process(" ".join(self.shape.argv))


@pytest.fixture(scope="module")
def pair(shape: Shape, either: Engine, combine: Combine) -> Iterator[Pair]:
    own, combined = carry(shape.image(), either), combine(shape.image(), either)
    with running() as run:
        alone = run(own, options=[SAME_HOST, "--publish=127.0.0.1::8000", *ODD], engine=either)
        together = run(combined, options=[SAME_HOST, "--publish=127.0.0.1::8080", *ODD], engine=either)
        alone.get(port=8000)
        together.get()
        yield Pair(shape, either, own, combined, alone, together)


def variables(block: bytes) -> list[bytes]:
    """NUL-terminated, and without their order."""
    return sorted(block.split(b"\0"))


@ALL_SHAPES
def test_both_programs_serve_and_are_not_root(pair: Pair) -> None:
    """C1: through the proxy comes what the backend said; every process has the uid and gid of the image's USER."""
    answer = pair.together.get()
    assert "via" in {name.lower() for name in answer.headers}
    lines = pair.together.processes()
    assert sum(line.endswith("start.pyc proxy") for line in lines) >= 1
    assert sum(line.endswith("start.pyc supervise") for line in lines) == 1
    for pid in lines.values():
        assert identity(pid) == Identity(pair.shape.uid, pair.shape.gid, frozenset(pair.shape.groups))


@ALL_SHAPES
def test_the_user_is_a_number_and_has_its_groups(pair: Pair) -> None:
    """C3: runAsNonRoot can judge it; the engine still finds the groups that it finds for the backend's own image."""
    assert re.fullmatch("[1-9][0-9]*(:[0-9]+)?", pair.engine.image(pair.image)["Config"]["User"])
    assert identity(pair.backend()) == identity(pair.alone.pid())


@ALL_SHAPES
def test_the_layers_are_the_backends_and_one_more(pair: Pair) -> None:
    """C1: the same digests in the engine's own store."""
    below = pair.engine.image(pair.own_image)["RootFS"]["Layers"]
    made = pair.engine.image(pair.image)["RootFS"]["Layers"]
    assert made[: len(below)] == below and len(made) == len(below) + 1


@ALL_SHAPES
def test_the_image_has_the_id_that_the_build_said(pair: Pair, combine: Combine) -> None:
    """C10: in each engine, from one archive."""
    assert pair.engine.image_id(pair.image) == combine.build(saved(pair.shape.image())).image_id


@ALL_SHAPES
def test_the_backends_command_is_the_one_it_has_alone(pair: Pair) -> None:
    """C4: only ENTRYPOINT, only CMD, or both; and it stands in the same directory."""
    assert argv_of(pair.backend()) == argv_of(pair.alone.pid()) == list(pair.shape.argv)
    assert Path(f"/proc/{pair.backend()}/cwd").readlink() == Path(f"/proc/{pair.alone.pid()}/cwd").readlink()


@ALL_SHAPES
def test_the_backends_environment_is_the_one_it_has_alone(pair: Pair) -> None:
    """C5: byte for byte, by the kernel's account and by the program's own."""
    alone = pair.alone.get(port=8000).content
    assert variables(pair.together.get().content) == variables(alone)
    assert environ_of(pair.backend()) == environ_of(pair.alone.pid())
    assert b"LINES=a\nb\n" in alone.split(b"\0") and b"EMPTY=" in alone.split(b"\0")


@ALL_SHAPES
def test_the_backends_children_see_nothing_of_ours(pair: Pair) -> None:
    """C2: what the backend starts has the environment it would have had."""
    alone, together = (
        set(variables(each.content)) for each in (pair.alone.get("/child", 8000), pair.together.get("/child"))
    )
    assert together == alone
    assert not any(b"pillion" in each.lower() for each in together)


@ALL_SHAPES
def test_the_proxy_and_the_supervisor_see_nothing_of_the_backends(pair: Pair) -> None:
    """C5: and what would damage them does not reach them."""
    theirs = {b"EQUALS", b"LONG", b"LD_LIBRARY_PATH", b"PYTHONPATH", b"NODE_OPTIONS", b"PILLION_ASIDE_LD_LIBRARY_PATH"}
    for ours in ("start.pyc proxy", "start.pyc supervise"):
        assert not set(pair.together.environ(ours)) & theirs


@ALL_SHAPES
def test_a_stop_reaches_the_backend_as_its_own_signal(shape: Shape, either: Engine, combine: Combine, run: Run) -> None:
    """C4: STOPSIGNAL by name, by number or absent; the container's exit code is that of a clean stop."""
    container = run(combine(shape.image(), either), options=["--publish=127.0.0.1::8080"], engine=either)
    container.get()
    assert container.stop() == 0
    eventually(lambda: f"stopped by {shape.stop}\n" in container.logs())
