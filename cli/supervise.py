"""`pillion supervise`: what `pillion enter` turns into; nobody types it."""

from __future__ import annotations

from pillion.image.supervise.daemon import supervise


def main(arguments: list[str]) -> int:
    """Runs supervisord; gives the container's exit code."""
    del arguments
    return supervise()
