"""Under which uids the combined image runs (C3); USER by name, with a group, and by number: test_combined_shapes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.containers.backends import SHAPES, Shape
from tests.containers.bases import derived, musl_backend, scratch_backend
from tests.containers.composed import Combine
from tests.containers.conftest import Identity, Run, identity
from tests.containers.engines import PODMAN, Engine, carry
from tests.containers.test_layer_sidecar import HARDENED

PORT = "--publish=127.0.0.1::8080"


def as_root(combine: Combine, engine: Engine) -> tuple[str, str]:
    """A backend without USER, and its combined image."""

    def change(config: dict[str, Any]) -> None:
        del config["config"]["User"]

    built = combine.edited(scratch_backend(), change)
    return combine.keep(built.archive, built.name, engine), combine.load(combine.build(built.archive), engine)


def test_without_user_the_backend_is_root_as_it_was_and_the_proxy_is_not(
    combine: Combine, run: Run, either: Engine
) -> None:
    """C3: USER absent: two uids, and the proxy can write where it must."""
    own, combined = as_root(combine, either)
    alone = run(own, engine=either)
    together = run(combined, options=[PORT], engine=either)
    together.get()
    assert not together.inspect()["Config"]["User"]
    assert identity(together.process("start.pyc proxy")) == Identity(65532, 65532, frozenset())
    assert identity(together.process("/answer")).uid == identity(alone.pid()).uid == 0
    assert together.stop() == 0


@pytest.mark.parametrize(
    ("options", "uid"),
    [
        (["--cap-drop=all"], 0),
        (["--cap-drop=all", "--cap-add=SETUID", "--cap-add=SETGID", "--cap-add=KILL"], 65532),
        (["--cap-drop=SETGID"], 0),
    ],
    ids=["none", "the three", "without SETGID"],
)
def test_root_serves_with_few_capabilities(combine: Combine, run: Run, options: list[str], uid: int) -> None:
    """C3: two uids where they can be had, one and a warning where not."""
    container = run(as_root(combine, PODMAN)[1], options=[PORT, *options])
    container.get()
    assert identity(container.process("start.pyc proxy")).uid == uid
    assert ("uid 65532 cannot be taken" in container.logs()) == (uid == 0)
    assert container.stop() == 0


def test_root_by_name_keeps_the_groups_that_it_has_alone(combine: Combine, run: Run, either: Engine) -> None:
    """C3: those of the image's /etc/group, which bases give to root."""
    files = "printf 'root:x:0:0::/:/bin/sh\\n' > /etc/passwd && printf 'root:x:0:\\nwheel:x:10:root\\n' > /etc/group"
    own = derived(musl_backend(), f"USER 0\nRUN mkdir -p /etc && {files}\nUSER root")
    alone = run(carry(own, either), engine=either)
    together = run(combine(own, either), options=[PORT], engine=either)
    together.get()
    assert identity(together.process("/answer")) == identity(alone.pid())
    assert identity(together.process("start.pyc proxy")).uid == 65532


@pytest.mark.parametrize("shape", SHAPES[::2], ids=[shape.name for shape in SHAPES[::2]])
def test_any_uid_will_do(combine: Combine, run: Run, shape: Shape) -> None:
    """C3: as OpenShift gives them, in no passwd, group 0; nothing may be written, no capability, no new privileges."""
    container = run(combine(shape.image()), options=[PORT, *HARDENED])
    container.get()
    for pid in container.processes().values():
        assert identity(pid) == Identity(12345, 0, frozenset())
    assert container.stop() == 0


def test_any_uid_will_do_in_docker_too(combine: Combine, run: Run, docker: Engine) -> None:
    """C3: with nothing at all below."""
    container = run(combine(scratch_backend(), docker), options=[PORT, *HARDENED], engine=docker)
    container.get()
    assert {identity(pid) for pid in container.processes().values()} == {Identity(12345, 0, frozenset())}
    assert container.stop() == 0
