"""--strict and --verbatim: for commands that split the caller's own environment."""

from __future__ import annotations

import argparse

from pillion.image.environ.overrides import OPTIONS
from pillion.image.refusal import Refusal

_HELP = {
    "--strict": "refuse names that go to the backend because nobody said for whom they are",
    "--verbatim": "leave the backend's HOME, USER, LOGNAME, PATH and NO_PROXY as they are",
}


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """Both; a pair file has no use for them."""
    for option, variable in OPTIONS.items():
        parser.add_argument(option, action="store_true", help=f"{_HELP[option]} ({variable}=1); without PAIR")


def overrides(given: argparse.Namespace) -> list[str]:
    """The variables that the options set."""
    return [variable for option, variable in OPTIONS.items() if getattr(given, option.removeprefix("--"))]


def refuse_overrides(given: argparse.Namespace, command: str) -> None:
    """Raise Refusal if there is one where a pair file says for whom each variable is."""
    for option in OPTIONS:
        if getattr(given, option.removeprefix("--")):
            why = f"{option} is for an environment that is to be split; a pair file addresses every variable"
            raise Refusal(f"run pillion {command}", why, "leave it out")
