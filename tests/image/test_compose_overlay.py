"""The directories of an overlay store: what lies on what, also as fuse-overlayfs writes it; links lead nowhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pillion.image.compose.layer_files import Files, stack
from pillion.image.compose.stores.overlay import look_into_all
from tests.images import PASSWD


@pytest.fixture(autouse=True)
def root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)


def layers(place: Path, *files: dict[str, bytes | str]) -> dict[str, object]:
    """Directories with these files (text is where a link leads), as an engine tells them: the highest apart."""
    folders = []
    for at, layer in enumerate(files):
        folders.append(place / str(at))
        folders[-1].mkdir()
        for name, content in layer.items():
            file = folders[-1] / name
            file.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                file.symlink_to(content)
            else:
                file.write_bytes(content)
    lower = ":".join(map(str, reversed(folders[:-1])))
    return {"Name": "overlay", "Data": {"UpperDir": str(folders[-1]), "LowerDir": lower}}


def seen(place: Path, *files: dict[str, bytes | str]) -> Files:
    found = look_into_all(layers(place, *files), len(files))
    assert found is not None
    return stack(found)


def test_whiteouts_of_fuse_overlayfs(tmp_path: Path) -> None:
    """Files as in a tar: one path, or all of a directory."""
    gone = seen(
        tmp_path, {"etc/passwd": PASSWD, "opt/pillion/x": b""}, {"etc/.wh.passwd": b"", "opt/.wh..wh..opq": b""}
    )
    assert "etc/passwd" not in gone.present and not gone.occupied


def test_the_higher_layer_counts(tmp_path: Path) -> None:
    """With its content, up to a limit."""
    there = seen(tmp_path, {"etc/passwd": b"old"}, {"etc/passwd": PASSWD, "etc/group": bytes(2 << 20)}, {"srv/x": b""})
    assert there.present["etc/passwd"].content == PASSWD
    assert len(there.present["etc/group"].content) == 1 << 20


def test_links_lead_nowhere(tmp_path: Path) -> None:
    """Neither a file's nor a directory's; a FIFO is not waited for."""
    (tmp_path / "secret").write_bytes(PASSWD)
    there = seen(tmp_path, {"etc": "../", "opt": "/"})
    assert there.present["etc"].link == "../" and set(there.present) == {"etc", "opt"}
    os.mkfifo(tmp_path / "0" / "fifo")
    (tmp_path / "0" / "etc").unlink()
    (tmp_path / "0" / "etc").mkdir()
    (tmp_path / "0" / "etc" / "passwd").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "0" / "etc" / "group")
    again = look_into_all({"Name": "overlay2", "Data": {"UpperDir": str(tmp_path / "0")}}, 1)
    assert again is not None
    assert again[0].present["etc/passwd"].content == b"" == again[0].present["etc/group"].content


def test_what_is_not_for_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another driver, a layer that is not told of, a directory that is gone, or a user who does not see the owners."""
    driver = layers(tmp_path, {"x": b""}, {"y": b""})
    assert look_into_all(driver, 2) is not None
    assert look_into_all({**driver, "Name": "vfs"}, 2) is None
    assert look_into_all({}, 2) is None
    assert look_into_all(driver, 3) is None
    assert look_into_all({**driver, "Data": {"UpperDir": str(tmp_path / "nowhere")}}, 1) is None
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert look_into_all(driver, 2) is None
