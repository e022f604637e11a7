"""What would have to matter to a user for each layout to be the better one, from what a run measured (pure).

It works on the JSON document of a run, so that one that was written years ago can be asked again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

from pillion.compare.claims.claim import CANNOT
from pillion.compare.claims.images import MARGIN as IMAGE_MARGIN
from pillion.compare.result import MIB
from pillion.compare.statistics.verdict import DIFFERENT, SAME

SHARED, SEPARATE = "shared", "separate"
ALONE = ("direct", "embedded")
# Experiments are one trial or a few, without an interval: only what is twice as much, and this much, is told.
TIMES, FEWEST_SHARE, LEAST_S = 2.0, 0.01, 0.2
FAILED_SHARE = 0.001  # of the requests under an undisturbed load

Document = Mapping[str, Any]


class Condition(NamedTuple):
    """If `matters` is so for the user, the layout is the better one; `evidence` is what was measured."""

    matters: str
    evidence: str


class Choice(NamedTuple):
    """A layout, the one or those that it is held against, and each condition by itself under which it is better."""

    layout: str
    against: str
    conditions: tuple[Condition, ...]


class Decision(NamedTuple):
    """`summary` says first how the two layouts stand. `same` are the figures that cannot decide, `open` those that this
    run did not settle."""

    summary: str
    choices: tuple[Choice, ...]
    same: tuple[str, ...] = ()
    open: tuple[str, ...] = ()

    def fields(self) -> dict[str, Any]:
        """As JSON has them."""
        choices = [
            {**each._asdict(), "conditions": [one._asdict() for one in each.conditions]} for each in self.choices
        ]
        return {**self._asdict(), "choices": choices}


def decide(document: Document) -> Decision:
    """Never a recommendation without its number, and a toss-up where there is none."""
    layouts = document["layouts"]
    alone = [choice for name in ALONE if (choice := _without_sidecar(document, name)).conditions]
    if SHARED not in layouts or SEPARATE not in layouts:
        return Decision("Shared and separate were not both measured: this run does not decide between them.", (*alone,))
    both = [each for each in _differences(document) if (each["one"], each["other"]) == (SHARED, SEPARATE)]
    unfair = _unmeasurable(document)
    found = [each for each in both if each["figure"] not in unfair]
    measured = {
        name: [
            *_figures(found, name),
            *_image(document, name),
            *_failed(document, name),
            *_experiments(document, name),
        ]
        for name in (SHARED, SEPARATE)
    }
    same = tuple(each["says"] for each in found if each["outcome"] == SAME)
    unsettled = [each["says"] for each in found if each["outcome"] not in (SAME, DIFFERENT)]
    unsettled += [f"{each['says']}; {unfair[each['figure']]}" for each in both if each["figure"] in unfair]
    choices = [
        Choice(SHARED, SEPARATE, tuple(measured[SHARED])),
        Choice(SEPARATE, SHARED, (*measured[SEPARATE], *_boundary(document))),
    ]
    summary = _summary(measured, bool(same), len(unsettled))
    return Decision(summary, (*[each for each in choices if each.conditions], *alone), same, tuple(unsettled))


def decision_lines(decision: Decision) -> list[tuple[str, list[str]]]:
    """For a page without a design: headings, and the sentences under each."""
    parts = [
        (f"{each.layout} rather than {each.against}, if it matters that", [": ".join(one) for one in each.conditions])
        for each in decision.choices
    ]
    if decision.same:
        parts.append(("between shared and separate these cannot decide", list(decision.same)))
    if decision.open:
        parts.append(("not settled by this run", list(decision.open)))
    return parts


def _summary(measured: Mapping[str, Sequence[Condition]], any_same: bool, unsettled: int) -> str:
    left = f" {unsettled} of the figures {'is' if unsettled == 1 else 'are'} not settled." if unsettled else ""
    better = [name for name, conditions in measured.items() if conditions]
    if not better and unsettled and not any_same:
        return (
            "A toss-up as far as this run goes: it settles nothing between shared and separate. More rounds or a "
            "quieter machine may; until then take the one that your platform makes easy."
        )
    if not better:
        return (
            "A toss-up: nothing that was measured tells shared from separate by more than its margin."
            f"{left} Take the one that your platform makes easy."
        )
    if len(better) == 1:
        (winner,) = better
        (loser,) = measured.keys() - better
        return (
            f"In all that this run tells apart, {winner} is the better one, and {loser} in nothing.{left} Where none "
            "of it matters to you, it is a toss-up."
        )
    return f"Each of the two is better in something: it depends on which of it matters more to you.{left}"


def _unmeasurable(document: Document) -> dict[str, str]:
    """Figures that this engine has, but not as a claim between the two layouts needs them, and why."""
    return {
        each["figure"]: claim["why"]
        for claim in document["claims"]
        if claim["outcome"] == CANNOT
        for each in claim.get("differences") or ()
        if (each["one"], each["other"]) == (SHARED, SEPARATE)
    }


def _differences(document: Document) -> list[Document]:
    return [*document["differences"], *document.get("other_differences", ())]


def _figures(found: Iterable[Document], better: str) -> Iterator[Condition]:
    """Of each figure that is different, and less in `better`; several differences of one figure are one condition."""
    by_figure: dict[str, list[Document]] = {}
    for each in found:
        if each["outcome"] == DIFFERENT and each["estimate"] is not None:
            less = each["one"] if each["estimate"] < 0 else each["other"]
            if less == better:
                by_figure.setdefault(each["figure"], []).append(each)
    for figure, all_of_it in by_figure.items():
        said = "; ".join(
            f"{each['one']} - {each['other']}: {each['says'].removesuffix(': different')}" for each in all_of_it
        )
        yield Condition(_matters(figure, sorted(abs(each["estimate"]) for each in all_of_it)), said)


def _matters(figure: str, amounts: Sequence[float]) -> str:
    if figure == "latency_us.p50":
        return f"a typical request is {_range(amounts, 1, 0)} us faster"
    if figure == "latency_us.p99":
        return f"the slowest hundredth of the requests is {_range(amounts, 1, 0)} us faster"
    if figure == "memory_bytes":
        hundred = _range(amounts, MIB * 1024 / 100, 1)
        return f"a pair takes {_range(amounts, MIB, 1)} MiB less memory, a hundred of them {hundred} GiB"
    if figure == "cpu_s_per_1000":
        return f"1,000 requests take {_range(amounts, 1, 3)} s less of a processor"
    if figure == "ready_s":
        return f"it is ready {_range(amounts, 1, 2)} s sooner"
    return f"{figure} is less"


def _range(amounts: Sequence[float], scale: float, digits: int) -> str:
    """One number, or from the least to the greatest."""
    ends = dict.fromkeys(f"{amount / scale:.{digits}f}" for amount in (amounts[0], amounts[-1]))
    return " to ".join(ends)


def _image(document: Document, better: str) -> Iterator[Condition]:
    sizes = document.get("image_bytes") or {}
    worse = SEPARATE if better == SHARED else SHARED
    if better in sizes and worse in sizes and sizes[worse] - sizes[better] > IMAGE_MARGIN * sizes[SEPARATE]:
        less = (sizes[worse] - sizes[better]) / MIB
        said = f"{sizes[better] / MIB:.1f} MiB, and {worse} {sizes[worse] / MIB:.1f} MiB, counted"
        yield Condition(f"a machine keeps {less:.1f} MiB less of images", said)


def _failed(document: Document, better: str) -> Iterator[Condition]:
    worse = SEPARATE if better == SHARED else SHARED
    these, those = document["layouts"][better], document["layouts"][worse]
    if not these["requests"] or not those["requests"]:
        return
    little, much = these["failed"] / these["requests"], those["failed"] / those["requests"]
    if much - little > FAILED_SHARE and much >= TIMES * little:
        said = (
            f"{these['failed']} of {these['requests']} failed, and in {worse} {those['failed']} of {those['requests']}"
        )
        yield Condition("requests do not fail under an undisturbed load", said)


def _experiments(document: Document, better: str) -> Iterator[Condition]:
    worse = SEPARATE if better == SHARED else SHARED
    trials: dict[tuple[str, str], dict[str, list[Document]]] = {}
    for each in document.get("experiments") or ():
        if not each["asked"]:
            continue  # it says in its note why it could not be measured
        trials.setdefault((each["name"], each["program"]), {}).setdefault(each["layout"], []).append(each)
    for (name, program), by_layout in trials.items():
        if better in by_layout and worse in by_layout:
            yield from _experiment(f"{name} of the {program}", program, by_layout[better], (worse, by_layout[worse]))


def _experiment(
    what: str, program: str, these: Sequence[Document], worse: tuple[str, Sequence[Document]]
) -> Iterator[Condition]:
    layout, those = worse
    trials = "one trial each" if len(these) == len(those) == 1 else f"medians of {len(these)} and {len(those)} trials"
    shares = [median(each["failed"] / max(each["asked"], 1) for each in side) for side in (these, those)]
    if shares[1] - shares[0] > FEWEST_SHARE and shares[1] >= TIMES * shares[0]:
        said = f"{shares[0]:.1%} of them, and in {layout} {shares[1]:.1%}; {trials}"
        yield Condition(f"fewer requests fail in {what}", said)
    down = [median(each["down_s"] for each in side) for side in (these, those)]
    if down[1] - down[0] > LEAST_S and down[1] >= TIMES * down[0]:
        yield Condition(
            f"the service is down for less long in {what}",
            f"{down[0]:.1f} s, and in {layout} {down[1]:.1f} s; {trials}",
        )
    other = "backend" if program == "proxy" else "proxy"
    hit = [sum(each["restarts"].get(other, 0) for each in side) for side in (these, those)]
    if hit[1] and not hit[0]:
        yield Condition(f"the {other} goes on in {what}", f"in {layout} it was restarted, {trials}")


def _boundary(document: Document) -> Iterator[Condition]:
    """Between programs of one uid the split of the environment is hygiene."""
    names = [each["name"] for each in document.get("conflicts") or () if "secret" in each["happens"]]
    if names:
        said = "in shared that takes a user of its own for each program; the split alone is no boundary"
        yield Condition(f"no bug of one program can read {', '.join(names)} of the other", said)


def _without_sidecar(document: Document, layout: str) -> Choice:
    """What having a sidecar at all costs, in whichever container; against embedded, in a process of its own."""
    against = [name for name in (SHARED, SEPARATE) if name in document["layouts"]]
    found = [
        each
        for each in _differences(document)
        if each["other"] == layout and each["one"] in against and each["outcome"] == DIFFERENT
    ]
    conditions = tuple(_figures(found, layout))
    return Choice(layout, " or ".join(against), conditions)
