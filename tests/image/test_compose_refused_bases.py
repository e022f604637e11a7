"""Bases that cannot hold us."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from tests.composing import composed, findings
from tests.images import (
    DEFAULT_CONFIG,
    File,
    image,
    sidecar,
    tar,
    write_layout,
)


@pytest.mark.parametrize(
    ("layer", "severity", "says"),
    [
        (tar(File("opt", kind=tarfile.SYMTYPE, link="var/opt")), "S1", "symbolic link to var/opt"),
        (tar(File("opt", b"x")), "S1", "/opt: is a file"),
        (tar(File("opt/", mode=0o700)), "S1", "mode 0700"),
        (tar(File("opt/", mode=0o775)), "S2", "turns from 0775 0:0 to 0755 0:0"),
        (tar("opt/", "opt/pillion/", File("opt/pillion/x")), "S1", "/opt/pillion: is there already"),
    ],
)
def test_a_base_that_cannot_hold_us(tmp_path: Path, layer: bytes, severity: str, says: str) -> None:
    """Found in the layers' headers before anything is written; a symlink into /opt of usr-merged bases is no matter."""
    base = write_layout(tmp_path / "base", image([layer]))
    side = write_layout(tmp_path / "side", sidecar())
    assert says in findings(composed(base, side), severity)
    assert not findings(composed(base, side, verify=False), severity), "--no-verify looks at no file"


def test_a_volume_over_our_files(tmp_path: Path) -> None:
    """It would hide them."""
    base = write_layout(tmp_path / "base", image(config={**DEFAULT_CONFIG, "Volumes": {"/opt": {}, "/data": {}}}))
    found = findings(composed(base, write_layout(tmp_path / "side", sidecar())), "S1")
    assert "VOLUME /opt" in found and "/data" not in found
