"""A comparison as one page that needs nothing else: from its document alone, and the same for the same document."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from shlex import join
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, UndefinedError
from markupsafe import Markup

from pillion.compare.decision import decide
from pillion.compare.report.illustrations import illustration, shipped, strip
from pillion.compare.report.measures import measures, said_interval, said_value
from pillion.compare.report.pictures.marks import mark, verdict_class
from pillion.compare.report.pictures.svg import layout_class
from pillion.compare.report.trials import groups
from pillion.compare.result import MIB

_TEMPLATES = Path(__file__).parent / "templates"


class Tally(NamedTuple):
    """How many claims came out so."""

    outcome: str
    claims: int


def page(document: Mapping[str, Any]) -> str:
    """HTML. Raises KeyError, TypeError, ValueError or AttributeError if it is not the document of a comparison."""
    try:
        return (
            _environment()
            .get_template("page.html")
            .render(
                document=document,
                style=Markup(_style()),
                title=f"{document['pair']['name']}: one container or two",
                date=_date(document.get("when")),
                claims=[{**claim, "anchor": f"claim-{place}"} for place, claim in enumerate(document["claims"], 1)],
                tally=_tally(document["claims"]),
                rows=measures(document),
                compared={"shared", "separate"} <= document["layouts"].keys(),
                pairs=_by_pair([*document["differences"], *document.get("other_differences", ())]),
                decision=decide(document),
                experiments=groups(document.get("experiments") or ()),
                facts=_facts(document),
                shipped=shipped(document),
                command=join(document.get("command") or ()),
            )
        )
    except UndefinedError as error:
        raise KeyError(str(error)) from None


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    functions: Mapping[str, Callable[..., object]] = {
        "illustration": illustration,
        "interval": said_interval,
        "layout_class": layout_class,
        "mark": mark,
        "sentence": _sentence,
        "strip": strip,
        "value": said_value,
        "verdict_class": verdict_class,
    }
    environment.globals.update(functions)
    return environment


@cache
def _style() -> str:
    return (_TEMPLATES / "page.css").read_text()


def _sentence(said: str) -> str:
    """With a capital, and nothing else changed."""
    return said[:1].upper() + said[1:]


def _date(when: str | None) -> str:
    return datetime.fromisoformat(when.replace("Z", "+00:00")).strftime("%-d %B %Y, %H:%M UTC") if when else ""


def _tally(claims: Sequence[Mapping[str, Any]]) -> list[Tally]:
    outcomes = [str(claim["outcome"]) for claim in claims]
    return [Tally(outcome, outcomes.count(outcome)) for outcome in dict.fromkeys(outcomes)]


def _by_pair(differences: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for each in differences:
        found.setdefault(f"{each['one']} \N{MINUS SIGN} {each['other']}", []).append(each)
    return found


def _facts(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Of the machine and of what ran there."""
    machine = document.get("machine") or {}
    processors = document.get("processors") or {}
    facts = [("Date", _date(document.get("when")))]
    if document.get("took_s"):
        facts.append(("Took", f"{document['took_s'] / 60:.1f} minutes"))
    if machine.get("processor"):
        virtual = ", virtual" if machine.get("virtual") else ""
        count = f"{machine['processors']} processor{'' if machine['processors'] == 1 else 's'}"
        if machine.get("allowed", machine["processors"]) != machine["processors"]:
            count += f", {machine['allowed']} allowed"
        facts.append(("Processor", f"{machine['processor']} ({count}{virtual})"))
    if machine.get("memory_bytes"):
        facts.append(("Memory", f"{machine['memory_bytes'] / MIB / 1024:.1f} GiB"))
    facts.append(("System", ", ".join(str(machine[name]) for name in ("system", "kernel") if machine.get(name))))
    facts += [(f"Engine {name}", str(said)) for name, said in (document.get("engine_facts") or {}).items()]
    facts.append(("Pillion", document.get("pillion", "")))
    facts.append(("Python", machine.get("python", "")))
    if processors.get("generator"):
        numbers = {who: ", ".join(map(str, processors[who])) for who in ("generator", "programs")}
        facts.append(("Processors used", f"load generator {numbers['generator']}; programs {numbers['programs']}"))
    facts.append(("Seed", str(document["schedule"].get("seed", ""))))
    return [(name, said) for name, said in facts if said]
