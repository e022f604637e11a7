"""`pillion ctl ...`: supervisorctl, connected to the pair of this container."""

from __future__ import annotations

import os
from pathlib import Path

from pillion.image.control import pair_usage
from pillion.image.refusal import Failure, Refusal
from pillion.image.run_directory import RUN_DIRECTORY_VARIABLE, find_run_directory

HELP = """usage: pillion ctl COMMAND [ARGUMENT...]

In the container: supervisorctl, with all of its commands. The programs are `proxy` and `backend`.
  pillion ctl status               what each of them does
  pillion ctl restart backend      the proxy holds requests, or answers 503 with Retry-After, meanwhile
  pillion ctl usage [--json]       what each of them has used: CPU time, memory, starts, limits (not supervisorctl's)
  pillion ctl signal HUP proxy     new workers of the proxy; the old ones finish what they have; no request is lost
"""
TIMEOUT_S = 5.0


def main(arguments: list[str]) -> int:
    """Its exit code is supervisorctl's."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(HELP)
        return 0 if arguments else 2
    folder = find_run_directory(os.environ.get(RUN_DIRECTORY_VARIABLE, ""))
    if folder is None:
        why = "there is no pair here whose control socket we may use"
        raise Failure("reach supervisord", why, "run it in the container, as the user of its first process")
    if arguments[0] == "usage":
        return _usage(folder, arguments[1:])
    # The configuration file names the socket by this.
    os.environ[RUN_DIRECTORY_VARIABLE] = str(folder)
    from supervisor.supervisorctl import main as supervisorctl

    from pillion.image.supervise.daemon import CONFIGURATION

    supervisorctl(["-c", str(CONFIGURATION), *arguments])
    return 0


def _usage(folder: Path, options: list[str]) -> int:
    if options not in ([], ["--json"]):
        raise Refusal("tell the usage", f"{' '.join(options)!r} is asked", "see pillion ctl --help")
    usage = pair_usage(folder, TIMEOUT_S)
    print(usage.to_json() if options else "\n".join(usage.lines()))
    return 0
