"""`pillion env COMMAND`: finds the command's module and runs it."""

from __future__ import annotations

import importlib

from pillion.image.refusal import Refusal

COMMANDS = {
    "lint": "what would collide if these processes shared one container",
    "explain": "who sees one variable, from where and why",
    "show": "every variable that one program sees",
    "diff": "what a program sees in one layout and not, or not alike, in another",
    "convert": "the same environment for the other layout",
    "learn": "which variables the two programs read, by running them once",
    "audit": "what each process of a running pair holds, against what it should",
}


def usage() -> str:
    """What `pillion env --help` shows."""
    rows = "\n".join(f"  {name:8} {what}" for name, what in COMMANDS.items())
    return (
        "usage: pillion env COMMAND [ARGUMENTS]\n\n"
        "Who sees which environment variable; a value is never shown.\n\n"
        f"{rows}\n\nexample: pillion env lint pod.yaml"
    )


def main(arguments: list[str]) -> int:
    """Run one of them."""
    if arguments[:1] in (["-h"], ["--help"]):
        print(usage())
        return 0
    if not arguments or arguments[0] not in COMMANDS:
        said = repr(arguments[0]) if arguments else "nothing"
        raise Refusal(
            "run pillion env", f"it takes {', '.join(COMMANDS)} and was given {said}", "see pillion env --help"
        )
    return int(importlib.import_module(f"pillion.cli.env_{arguments[0]}").main(arguments[1:]))
