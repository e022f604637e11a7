"""Memory of each program in a control group of its own (version 2), in containers of a kernel of their own: this
machine's may have version 1, and the sample trees of tests/image are no kernel (S22)."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest

from tests.conftest import cannot_test
from tests.containers import guest
from tests.containers.bases import podman
from tests.containers.composed import Combine
from tests.containers.engines import PODMAN
from tests.containers.guest import Ended, Guest
from tests.containers.supervised import COMMANDED, ENTRY, commanded_backend

HOG = " ".join((*COMMANDED, "hog"))
GIVEN = {
    "PATH": "/usr/bin:/bin",
    "PILLION_RESTARTS": "0",
    "PILLION_LIMITS_BACKEND": "memory=40M",
    "PILLION_LIMITS_PROXY": "memory=unlimited",
}
GUESTS = {
    # The kernel takes a child of the backend, and then the backend itself.
    "divided": Guest((ENTRY, "enter", "--", "/bin/sh", "-c", f"{HOG}; exec {HOG}"), GIVEN, 300 << 20, writable=True),
    # As engines mount control groups by default.
    "whole": Guest((ENTRY, "enter", "--", *COMMANDED, "hog"), GIVEN, 100 << 20, writable=False),
}


@pytest.fixture(scope="module")
def ended(engine: None, combine: Combine) -> dict[str, Ended]:
    """Both, in one guest, from the combined image's root file system."""
    if why := guest.missing():
        cannot_test(f"there can be no kernel of their own: {why}")
    made = podman("create", "--pull=never", combine(commanded_backend(), PODMAN)).stdout.strip()
    try:
        root = Path(podman("mount", made).stdout.strip())
        with tempfile.TemporaryDirectory(prefix="guest-") as folder:
            return guest.run(root, GUESTS, Path(folder))
    finally:
        podman("umount", made)
        podman("rm", made)


def test_a_limit_of_one_program_is_the_kernels(ended: dict[str, Ended]) -> None:
    """S22: each process that it took, in whose account it belongs; the other program and the container are not hurt."""
    code, log = ended["divided"]
    assert code == 137 and "cannot limit" not in log, log
    backend, proxy, container = (
        re.findall(rf"pillion \| the {name} (?:used|held) .*", log) for name in ("backend", "proxy", "container")
    )
    assert re.search(
        r"at most (39|40) MiB; ended twice by the kernel for want of memory; limits: memory=40M", backend[0]
    )
    assert "ended" not in proxy[0] and "in one process" not in proxy[0]
    assert re.search(r"of 300 MiB; the kernel ended 2 of its processes for want of memory", container[0])
    last = log.splitlines()[-1]
    assert "the backend is lost: SIGKILL ended it, the kernel's for want of memory; the container ends with 137" in last


def test_without_a_group_of_its_own_the_containers_limit_is_told(ended: dict[str, Ended]) -> None:
    """S22: why it has none, at the start and in the account; who was taken is known all the same."""
    code, log = ended["whole"]
    assert code == 137, log
    why = "cannot limit memory per program here: /sys/fs/cgroup cannot be written"
    assert log.count(why) == 3
    assert re.search(
        rf"the backend used .* in one process; ended once by the kernel .*; limits: memory=40M; {why}", log
    )
    assert re.search(
        r"the container held at most (99|100) MiB of 100 MiB; at its limit \d+ times; the kernel ended 1 ", log
    )
