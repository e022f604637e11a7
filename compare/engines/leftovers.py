"""What a run of ours left behind that was killed before it could tidy up: found by its label and removed.

A label names the process that a container belongs to: its pid namespace, pid and start time, so that neither another
process of the same pid nor one that cannot be seen from here is taken for it.
"""

from __future__ import annotations

import os
from pathlib import Path

from pillion.image.engine import PODMAN, Engine

LABEL = "dev.pillion.owner"
_COMBINED = "localhost/pillion-combined"


def owner() -> str:
    """This process, as the label has it."""
    return f"{_namespace()}-{os.getpid()}-{_started(os.getpid())}"


def image_name() -> str:
    """A new one, for an image that is to last as long as this process."""
    return f"{_COMBINED}:{owner()}-{os.urandom(6).hex()}"


def has_ended(text: str) -> bool:
    """Whether the process that a label names has ended, as far as can be told from here."""
    namespace, _, rest = text.partition("-")
    pid, _, started = rest.partition("-")
    return namespace == _namespace() and pid.isdigit() and started.isdigit() and _started(int(pid)) != started


def remove_leftovers(engine: Engine) -> list[str]:
    """The names of the containers, pods and images that were removed."""
    kinds = [("ps", "--all", "{{.Names}}", ["rm", "--force", "--volumes"])]
    if engine.name == PODMAN:
        kinds.insert(0, ("pod", "ps", "{{.Name}}", ["pod", "rm", "--force"]))
    removed = []
    for command, option, name_field, removal in kinds:
        label = f'{{{{index .Labels "{LABEL}"}}}}' if engine.name == PODMAN else f'{{{{.Label "{LABEL}"}}}}'
        form = f"--format={name_field} {label}"
        done = engine.run(command, option, f"--filter=label={LABEL}", form)
        for line in done.stdout.splitlines():
            name, _, said = line.partition(" ")
            if has_ended(said.strip()) and engine.run(*removal, name).returncode == 0:
                removed.append(name)
    images = engine.run("images", f"--filter=reference={_COMBINED}", "--format={{.Repository}}:{{.Tag}}")
    for name in images.stdout.splitlines():
        said = name.removeprefix(f"{_COMBINED}:").rpartition("-")[0]
        if has_ended(said) and engine.run("rmi", "--force", name).returncode == 0:
            removed.append(name)
    return removed


def _namespace() -> str:
    return "".join(filter(str.isdigit, str(Path("/proc/self/ns/pid").readlink())))


def _started(pid: int) -> str:
    """In ticks since boot (proc_pid_stat(5), field 22); "" if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""
