"""What `pillion build` says on a terminal: findings, what would collide, and the resulting config."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from pillion.cli.build_document import collisions, resulting
from pillion.image.compose.composition import Composed, Composition
from pillion.image.environ.finding import Finding

WIDTH = 80
STYLES = {"S0": "bold red", "S1": "red", "S2": "yellow", "S3": "dim"}


def show_findings(findings: Iterable[Finding]) -> None:
    """One a line on stderr, for a build that went on nevertheless."""
    console = Console(stderr=True, highlight=False)
    for finding in findings:
        console.print(Text(f"note: {finding}", style=STYLES[finding.severity]), soft_wrap=True)


def show_check(composition: Composition) -> None:
    """Tables of at most 80 columns."""
    console = Console(highlight=False)
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
    for member, value in resulting(composed).items():
        table.add_row(Text(member), Text(value if isinstance(value, str) else ", ".join(map(str, value))))
    return table


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


@contextmanager
def bar() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on stderr for each thing that is being done, gone when all is."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(24), DownloadColumn(), TimeElapsedColumn())
    progress = Progress(*columns, console=Console(stderr=True), transient=True)
    tasks: dict[str, TaskID] = {}

    def step(what: str, total: int, done: int) -> None:
        if what not in tasks:
            tasks[what] = progress.add_task(what, total=total)
        progress.update(tasks[what], advance=done)

    with progress:
        yield step
