"""What `pillion build` found and wrote, as values: what collides and the resulting config; never a variable's value."""

from __future__ import annotations

from typing import Any

from pillion.image.compose.composition import Composed, Composition
from pillion.image.compose.reference import Reference
from pillion.image.environ.catalogue import look_up
from pillion.image.pair import PROGRAMS

SHOWN = ("Entrypoint", "Cmd", "User", "WorkingDir", "ExposedPorts", "StopSignal", "Healthcheck", "Volumes")


def collisions(composed: Composed) -> list[dict[str, str]]:
    """The image's variables that one environment for both would make collide, worst first, and who sees each."""
    rows = []
    divided, added = composed.merged.divided, composed.merged.added
    # What is computed for a program is its own, whatever the image has under that name.
    given = {program: {name for name, each in divided.programs[program].items() if each.origin} for program in PROGRAMS}
    for name in set().union(*given.values()):
        known = look_up(name)
        if known.proxy_reads or known.severity == "S0":
            rows.append(
                {
                    "name": name,
                    "severity": known.severity,
                    "merged": known.happens,
                    "origin": "--env" if {name, f"BACKEND__{name}", f"PROXY__{name}"} & set(added) else "ENV",
                    "seen_by": " and ".join(program for program in PROGRAMS if name in given[program]),
                }
            )
    return sorted(rows, key=lambda row: (row["severity"], row["name"]))


def resulting(composed: Composed) -> dict[str, Any]:
    """The members that decide how a container starts; of ENV the names alone."""
    settings = composed.merged.config["config"]
    shown = {key: settings[key] for key in SHOWN if settings.get(key)}
    shown["Env"] = [entry.partition("=")[0] for entry in settings["Env"]]
    record = composed.merged.record
    shown["backend port"] = str(record.backend.port or "not declared by one EXPOSE: 8000 unless PORT says more")
    shown["stop"] = f"{record.backend.stop_signal} for the backend, all within {record.deadline_s:g} s"
    return shown


def as_document(composition: Composition) -> dict[str, Any]:
    """A check as JSON."""
    return {
        "findings": [finding._asdict() for finding in composition.findings],
        "images": [
            {
                "platform": str(composed.base.platform),
                "base": composed.base.source,
                "environment": collisions(composed),
                "config": resulting(composed),
            }
            for composed in composition.composed
        ],
    }


def written(composition: Composition, digest: str, to: Reference, name: str) -> dict[str, Any]:
    """A build as JSON. `id` is what podman and docker call the image."""
    return {
        "digest": digest,
        "out": str(to),
        "name": name,
        "images": [
            {
                "platform": str(composed.base.platform),
                "id": composed.merged.manifest["config"]["digest"],
                "sidecar": composed.sidecar.layer.digest,
                "layers": [layer["digest"] for layer in composed.merged.manifest["layers"]],
            }
            for composed in composition.composed
        ],
        "findings": [finding._asdict() for finding in composition.findings],
    }
