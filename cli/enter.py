"""`pillion enter -- CMD [ARG...]`: a container's first process."""

from __future__ import annotations

import sys
from typing import NoReturn

from pillion.image.enter import enter, own_entry, started_with

HELP = """usage: pillion enter -- CMD [ARG...]

Split the environment, then run CMD as the backend and the proxy under supervisord, each with its own. Without CMD, the
one that PILLION_COMMAND holds as a JSON array.
example: BACKEND__PORT=8000 PROXY__LISTEN=0.0.0.0:8080 pillion enter -- gunicorn app:app
"""


def main(arguments: list[str]) -> NoReturn:
    """Becomes supervisord."""
    if arguments[:1] in (["-h"], ["--help"]):
        print(HELP)
        sys.exit(0)
    command = arguments[1:] if arguments[:1] == ["--"] else arguments
    enter(command, started_with(), own_entry(sys.argv[0]), lambda line: print(f"pillion: {line}", file=sys.stderr))
