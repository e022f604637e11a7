"""Composing in tests: a base and a sidecar in, the combined image out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pillion.image.compose.composition import Composition, Request, compose, write
from pillion.image.compose.image import read_platform
from pillion.image.compose.media_types import Family
from pillion.image.compose.merge import Options
from pillion.image.compose.reference import read_destination, read_reference
from pillion.image.refusal import Refusal
from tests.images import (
    DEFAULT_CONFIG,
    Result,
    image,
    sidecar,
    write_layout,
)


def composed(
    base: Path | str,
    side: Path | str,
    *,
    platform: str = "",
    verify: bool = True,
    rebase: bool = False,
    family: Family | None = None,
    **options: Any,
) -> Composition:
    request = Request(
        read_reference(str(base), "build"),
        read_reference(str(side), "build"),
        Options(**options),
        read_platform(platform) if platform else None,
        verify,
        rebase,
        family,
    )
    return compose(request, lambda what, total, done: None)


def built(base: Path | str, side: Path | str, out: Path | str, name: str = "", **options: Any) -> Path:
    to = read_destination(str(out), "build")
    write(composed(base, side, **options), name, to, lambda what, total, done: None)
    return to.path


def combined(tmp_path: Path, config: Mapping[str, Any] | None = None, **options: Any) -> Result:
    """The combined image of a small backend with this config."""
    base = write_layout(tmp_path / "base", image(config=dict(DEFAULT_CONFIG if config is None else config), **options))
    side = write_layout(tmp_path / "side", sidecar())
    return Result(built(base, side, tmp_path / "out"))


def refusal(tmp_path: Path, config: Mapping[str, Any], **options: Any) -> str:
    with pytest.raises(Refusal) as refused:
        combined(tmp_path, config, **options)
    assert not (tmp_path / "out").exists()
    return str(refused.value)


def findings(composition: Composition, severity: str) -> str:
    return "\n".join(str(each) for each in composition.findings if each.severity == severity)
