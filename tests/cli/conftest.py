"""Where this room's tests build."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.images import (
    image,
    sidecar,
    write_layout,
)


@pytest.fixture
def place(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a backend's and a sidecar's layout, and a cache of its own elsewhere."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    write_layout(tmp_path / "base", image(), names=["v1"])
    write_layout(tmp_path / "side", sidecar())
    return tmp_path
