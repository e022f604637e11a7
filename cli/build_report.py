"""What `pillion build` says: findings, what would collide, and the resulting config; never a variable's value."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pillion.image.compose.composition import Composed, Composition
from pillion.image.compose.reference import Reference
from pillion.image.environ.catalogue import look_up
from pillion.image.environ.finding import Finding
from pillion.image.pair import PROGRAMS

WIDTH = 80
STYLES = {"S0": "bold red", "S1": "red", "S2": "yellow", "S3": "dim"}
SHOWN = ("Entrypoint", "Cmd", "User", "WorkingDir", "ExposedPorts", "StopSignal", "Healthcheck", "Volumes")


def show_findings(findings: Iterable[Finding], console: Console) -> None:
    """One a line, for a build that went on nevertheless."""
    for finding in findings:
        console.print(Text(f"note: {finding}", style=STYLES[finding.severity]), soft_wrap=True)


def show_check(composition: Composition, console: Console) -> None:
    """Tables of at most 80 columns."""
    for composed in composition.composed:
        title = f"{composed.base.source}, {composed.base.platform}"
        console.print(Text(title, style="bold"), soft_wrap=True)
        if rows := collisions(composed):
            console.print(_environment(rows))
        console.print(_config(composed))
    if composition.findings:
        console.print(_findings(composition.findings))
    else:
        console.print("Nothing collides.")


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


def _environment(rows: list[dict[str, str]]) -> Table:
    table = _table("If both programs had the image's one environment")
    for column in ("", "variable", "origin", "would mean", "here seen by"):
        table.add_column(column, overflow="fold")
    for row in rows:
        cells = (row["severity"], row["name"], row["origin"], row["merged"], row["seen_by"])
        table.add_row(*(Text(cell) for cell in cells))
    return table


def _config(composed: Composed) -> Table:
    table = _table("The resulting config")
    table.add_column("member", overflow="fold")
    table.add_column("value", overflow="fold")
    for member, value in _resulting(composed).items():
        table.add_row(Text(member), Text(value if isinstance(value, str) else ", ".join(map(str, value))))
    return table


def _resulting(composed: Composed) -> dict[str, Any]:
    """The members that decide how a container starts; of ENV the names alone."""
    settings = composed.merged.config["config"]
    shown = {key: settings[key] for key in SHOWN if settings.get(key)}
    shown["Env"] = [entry.partition("=")[0] for entry in settings["Env"]]
    record = composed.merged.record
    shown["backend port"] = str(record.backend.port or "not declared by one EXPOSE: 8000 unless PORT says more")
    shown["stop"] = f"{record.backend.stop_signal} for the backend, all within {record.deadline_s:g} s"
    return shown


def _findings(findings: Iterable[Finding]) -> Table:
    table = _table("Findings")
    for column in ("", "subject", "what happens", "mend"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        cells = (finding.severity, finding.subject, finding.happens, finding.mend)
        table.add_row(*(Text(cell, style=STYLES[finding.severity]) for cell in cells))
    return table


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", width=WIDTH, header_style="bold")


def as_document(composition: Composition) -> dict[str, Any]:
    """A check as JSON."""
    return {
        "findings": [finding._asdict() for finding in composition.findings],
        "images": [
            {
                "platform": str(composed.base.platform),
                "base": composed.base.source,
                "environment": collisions(composed),
                "config": _resulting(composed),
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
