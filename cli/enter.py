"""`pillion enter -- CMD [ARG...]`: a container's first process."""

from __future__ import annotations

import sys
from typing import NoReturn

from pillion.image.enter import enter, own_entry, started_with
from pillion.image.environ.overrides import OPTIONS
from pillion.image.log_format import FORMATS

HELP = """usage: pillion enter [--strict] [--verbatim] -- CMD [ARG...]

Split the environment, then run CMD as the backend and the proxy under supervisord, each with its own. Without CMD, the
one that PILLION_COMMAND holds as a JSON array.
  --strict    refuse names that would go to the backend because nobody said for whom they are (PILLION_STRICT=1)
  --verbatim  leave the backend's HOME, USER, LOGNAME, PATH and NO_PROXY as they are (PILLION_VERBATIM=1)
example: BACKEND__PORT=8000 PROXY__LISTEN=0.0.0.0:8080 pillion enter -- gunicorn app:app
"""


def main(arguments: list[str]) -> NoReturn:
    """Becomes supervisord."""
    if arguments[:1] in (["-h"], ["--help"]):
        print(HELP)
        sys.exit(0)
    environ = started_with()
    while arguments and (variable := OPTIONS.get(arguments[0])):
        environ[variable.encode()] = b"1"
        arguments = arguments[1:]
    command = arguments[1:] if arguments[:1] == ["--"] else arguments
    enter(command, environ, own_entry(sys.argv[0]), _warn)


def _warn(line: str, log_format: str) -> None:
    """In the format of the log that it is the first line of."""
    text = line.encode("utf-8", "surrogateescape")
    sys.stderr.buffer.write(FORMATS[log_format]("pillion", "stderr", [text]))
    sys.stderr.buffer.flush()
