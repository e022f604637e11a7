"""A comparison that was written as JSON, read again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pillion.compare.report.document import VERSION


def read_document(path: Path) -> dict[str, Any]:
    """What `--json` wrote. Raises OSError where it cannot be read, ValueError, with the reason, if it is no such
    file; only what is asked for later can tell whether it is whole."""
    try:
        found = json.loads(path.read_text())
    except ValueError:
        raise ValueError("it is not JSON") from None
    if not isinstance(found, dict) or not isinstance(found.get("layouts"), dict):
        raise ValueError("it is not what --json writes")
    if found.get("version") != VERSION:
        raise ValueError(f"its version is {found.get('version')!r} and not {VERSION}")
    return found
