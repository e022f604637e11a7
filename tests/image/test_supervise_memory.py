"""A program that the kernel ends for want of memory is told from one that somebody killed."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import cannot_test, eventually
from tests.entered import Start

pytestmark = pytest.mark.usefixtures("nothing_left")
LIMIT = 150 << 20
# In the group from its first process on, as a container is.
ENTER = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
HOG = "held = []\nwhile True: held.append(bytearray(8 << 20))"


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group of the test's own with a limit of memory, in whichever version this machine has."""
    first = Path("/sys/fs/cgroup/memory")
    version_1 = first.is_dir()
    limit = "memory.limit_in_bytes" if version_1 else "memory.max"
    try:
        folder = Path(tempfile.mkdtemp(prefix="pillion-test-", dir=first if version_1 else first.parent))
    except OSError as error:
        cannot_test(f"no control group can be made here: {error}")
    try:
        try:
            (folder / limit).write_text(str(LIMIT))
        except OSError as error:
            cannot_test(f"memory is not limited by control groups here: {error}")
        yield folder
        eventually(lambda: not (folder / "cgroup.procs").read_text())
    finally:
        folder.rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make control groups")
def test_the_hog_is_named_and_so_is_who_ended_it(start: Start, group: Path) -> None:
    """S22: with what it had; the proxy and supervisord live long enough to say so."""
    container = start(
        command=(sys.executable, "-c", HOG),
        environ={b"PILLION_RESTARTS": b"0"},
        through=("/bin/sh", "-c", ENTER, str(group)),
    )
    code, out = container.wait()
    assert code == 137
    assert "the backend is lost: SIGKILL ended it, the kernel's for want of memory; the container ends with 137" in out
    assert re.search(r"the backend used [^\n]*; ended once by the kernel for want of memory\n", out)
    assert re.search(r"held at most \d+ MiB of 150 MiB; [^\n]*the kernel ended 1 of its processes", out)
