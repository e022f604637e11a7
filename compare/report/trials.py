"""What was done to a program under load, and what became of the requests, ready to be shown (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from markupsafe import Markup

from pillion.compare.report.measures import NONE
from pillion.compare.report.pictures.svg import both
from pillion.compare.report.pictures.timeline import timeline
from pillion.compare.result import MIB

Experiment = Mapping[str, Any]


class Shown(NamedTuple):
    """One layout's trial, as cells of a table, and its picture."""

    layout: str
    failed: str
    down: str
    slowest: str
    detected: str
    restarts: str
    kinds: str
    shipped: str
    note: str
    logs: tuple[str, ...]
    picture: Markup


class Group(NamedTuple):
    """The same thing done in every layout."""

    heading: str
    says: str
    kind: str
    trials: tuple[Shown, ...]


def groups(experiments: Sequence[Experiment]) -> list[Group]:
    """One for each thing that was done to each program, in the order in which they were."""
    found: dict[tuple[str, str], list[Experiment]] = {}
    for each in experiments:
        found.setdefault((str(each["name"]), str(each["program"])), []).append(each)
    return [
        Group(heading(trials[0]), trials[0]["says"], trials[0]["kind"], tuple(_shown(each, trials) for each in trials))
        for trials in found.values()
    ]


def measured(experiment: Experiment) -> bool:
    """Whether it has figures; else its note says why not."""
    return bool(experiment["asked"])


def shipped(experiment: Experiment) -> str:
    """What a change adds to an image store; "" where nothing is."""
    size = experiment.get("bytes_shipped")
    return "" if size is None else f"{size / MIB:.2f} MiB"


def heading(experiment: Experiment) -> str:
    """`Kill: the backend`."""
    name = str(experiment["name"]).replace("_", " ")
    return f"{name[:1].upper()}{name[1:]}: the {experiment['program']}"


def restarts(experiment: Experiment) -> str:
    """`backend 1`; "none"."""
    return ", ".join(f"{name} {count}" for name, count in experiment["restarts"].items() if count) or "none"


def detected(experiment: Experiment) -> str:
    """In seconds from when it was done; "-" of what was not measured."""
    if not measured(experiment):
        return NONE
    return "not noticed" if experiment["detected_s"] is None else f"{experiment['detected_s']:.1f} s"


def _end(bins: Sequence[Sequence[float]]) -> float:
    """When the last one ends: they are alike."""
    return float(2 * bins[-1][0] - bins[-2][0]) if len(bins) > 1 else 0.1


def _shown(trial: Experiment, trials: Sequence[Experiment]) -> Shown:
    if not measured(trial):
        why = str(trial["note"])
        return Shown(str(trial["layout"]), NONE, NONE, NONE, NONE, NONE, "", "", why, (), Markup(""))
    slowest = trial.get("slowest_ms")
    layout, moment = str(trial["layout"]), (float(trial["at_s"]), str(trial["name"]).replace("_", " "))
    bins = [(float(at), float(answered), float(failed)) for at, answered, failed in trial["timeline"]]
    # The layouts' pictures stand one below the other, on one axis of time.
    until = max((_end(each["timeline"]) for each in trials), default=0.0)
    title = (
        f"{heading(trial)} in {layout}: {trial['failed']} of {trial['asked']} requests failed, "
        f"{trial['down_s']:.1f} seconds down"
    )
    draw = partial(timeline, title, layout, bins, moment, until)
    return Shown(
        layout=layout,
        failed=f"{trial['failed']} of {trial['asked']}",
        down=f"{trial['down_s']:.1f} s",
        slowest=NONE if slowest is None else f"{slowest:.0f} ms",
        detected=detected(trial),
        restarts=restarts(trial),
        kinds=", ".join(f"{count} {kind}" for kind, count in trial["failures"].items() if count),
        shipped=shipped(trial),
        note=str(trial["note"]),
        logs=tuple(map(str, trial["logs"])),
        picture=both(draw) if bins else Markup(""),
    )
