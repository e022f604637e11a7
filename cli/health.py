"""`pillion health live|ready`: for a container's HEALTHCHECK and for exec probes; no other program is needed."""

from __future__ import annotations

import os

from pillion.image.control import check_live, check_ready, pair_state, sidecar_state
from pillion.image.refusal import Failure, Refusal
from pillion.image.run_directory import RUN_DIRECTORY_VARIABLE, find_run_directory

HELP = """usage: pillion health live|ready [--timeout SECONDS]

In the container of the pair, or of the sidecar alone. live: supervisord (the sidecar) answers, so that nobody needs to
restart the container. ready: nothing is being stopped, both programs are up and the backend answers.
The sidecar alone is asked at its ADMIN_LISTEN, where it has one: only there it says that it is being stopped.
Exit code 0: yes; 1: no, and why. The time limit is 2 seconds.
example: HEALTHCHECK CMD ["/opt/pillion/bin/pillion", "health", "ready"]
"""
TIMEOUT_S = 2.0


def main(arguments: list[str]) -> int:
    """No argument parser: this runs every few seconds for as long as the container lives."""
    if arguments[:1] in (["-h"], ["--help"]):
        print(HELP)
        return 0
    what, timeout_s = _read(arguments)
    try:
        folder = find_run_directory(os.environ.get(RUN_DIRECTORY_VARIABLE, ""))
        state = pair_state(folder, timeout_s) if folder else sidecar_state(os.environ)
        (check_live if what == "live" else check_ready)(state, timeout_s)
    except Failure as failure:
        # Why it is not is the answer, not an error.
        print(f"not {what}: {failure.what}: {failure.why}" + (f"; {failure.mend}" if failure.mend else ""))
        return 1
    print(what)
    return 0


def _read(arguments: list[str]) -> tuple[str, float]:
    match arguments:
        case ["live" | "ready" as what]:
            return what, TIMEOUT_S
        case ["live" | "ready" as what, "--timeout", text]:
            try:
                timeout_s = float(text)
            except ValueError:
                timeout_s = 0.0
            if 0 < timeout_s <= 3600:
                return what, timeout_s
    raise Refusal("tell the health", f"{' '.join(arguments) or 'nothing'!r} is asked", "see pillion health --help")
