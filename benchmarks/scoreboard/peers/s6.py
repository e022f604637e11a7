"""s6 (Debian's package): s6-svscan is the container's first process. s6-overlay, which builds on it, is not packaged.

Chosen, from its documents: run scripts that set the program's variables and exec; `timeout-kill` within the platform's
grace; in `finish`, s6-permafailon ends the restarts, and then the container is told to end (s6-svscanctl -t) with the
lost program's code, as s6-overlay's documents show, and with a line in the log; `.s6-svscan/finish` gives that code.
The scan directory must be writable, so it is made, of links, in the first place that is, before s6-svscan starts.
Logs are the container's stdout and stderr, inherited, as in s6-overlay by default.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from benchmarks.scoreboard.pair import Command, Pair
from pillion.image.supervision import deadline_for

NAME, DEPTH = "s6", 2
FAILURES = "1-255,SIGKILL,SIGSEGV,SIGABRT,SIGBUS,SIGILL,SIGFPE"
FINISH = """#!/bin/sh
[ "$(s6-svstat -o wantedup .)" = true ] || exit 0
code=$1
[ "$1" -eq 256 ] && code=$((128 + $2))
s6-permafailon 3600 {deaths} {failures} true
[ $? -eq 125 ] || exit 0
echo "$3 is lost: exit code $code" >&2
echo "$code" > ../code
s6-svscanctl -t ..
exit 125
"""
LAST = """#!/bin/sh
exit "$(cat code 2>/dev/null || echo 0)"
"""
START = """
for place in {folder} /run /dev/shm /tmp; do
  cp -Rs {folder}/scan "$place/live" 2>/dev/null && exec s6-svscan "$place/live"
done
exit 1
"""


def missing() -> str:
    """Debian: apt-get install s6."""
    return "" if shutil.which("s6-svscan") and shutil.which("s6-permafailon") else "s6 is not installed"


def version() -> str:
    """As the package says: the programs have no option for it."""
    query = ["dpkg-query", "--show", "--showformat=${Version}", "s6"]
    try:
        return subprocess.run(query, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def command(pair: Pair) -> Command:
    """A scan directory with a service directory for each program."""
    scan = pair.folder / "scan"
    for name, words in pair.programs.items():
        variables = pair.settings.get(name, {})
        exports = "".join(f'export {each}="${name.upper()}__{each}"\n' for each in variables)
        service = scan / name
        _script(service / "run", f"#!/bin/sh\n{exports}exec {shlex.join(words)}\n")
        _script(service / "finish", FINISH.format(deaths=pair.restarts + 1, failures=FAILURES))
        (service / "timeout-kill").write_text(f"{deadline_for(pair.grace_s) * 1000:.0f}\n")
    _script(scan / ".s6-svscan" / "finish", LAST)
    return ("/bin/sh", "-c", START.format(folder=pair.folder)), pair.environ


def control(pair: Pair, verb: str, program: str) -> Sequence[str]:
    """s6-svc."""
    service = str(pair.folder / "live" / program)
    if verb == "reload":
        return "s6-svc", "-h", service
    # Not -r, which knows no timeout-kill.
    return "/bin/sh", "-c", f"s6-svc -wD -d {service} && s6-svc -wu -u {service}"


def health(pair: Pair, what: str) -> Sequence[str]:
    """Readiness is a program's own notification, once; nothing asks it again."""
    del pair, what
    return ()


def _script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
