"""Which test puts which scenario of supervision, S1 to S24: those whose docstring begins with its numbers."""

from __future__ import annotations

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent
NUMBERS = tuple(f"S{number}" for number in range(1, 25))
BESIDE, CONTAINERS = ("image", "cli"), "containers"
_BEGINS = re.compile(r"(S\d+(?:, S\d+)*): ")
# What `pillion enter` that is nobody's first process cannot be asked.
ONLY_IN_CONTAINERS = {
    "S13": "there is nothing to restrict outside a container",
    "S14": "every one of these is not PID 1",
    "S20": "timed on a quiet machine: `benchmarks.scoreboard`",
}


def places() -> dict[str, dict[str, set[str]]]:
    """By scenario and folder, the files with a test of it."""
    found: dict[str, dict[str, set[str]]] = {number: {} for number in NUMBERS}
    for folder in (*BESIDE, CONTAINERS):
        for file in sorted((HERE / folder).glob("test_*.py")):
            for number in _numbers(file):
                found[number].setdefault(folder, set()).add(file.stem.removeprefix("test_"))
    return found


def _numbers(file: Path) -> set[str]:
    tests = (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.FunctionDef))
    texts = (ast.get_docstring(node) or "" for node in tests if node.name.startswith("test_"))
    return {number for text in texts if (begin := _BEGINS.match(text)) for number in begin[1].split(", ")}


def table() -> str:
    """In Markdown."""
    lines = ["| | as a process beside others | in containers of podman and docker |", "|---|---|---|"]
    for number, found in places().items():
        beside = _shown(*(found.get(folder, set()) for folder in BESIDE)) or f"- ({ONLY_IN_CONTAINERS[number]})"
        lines.append(f"| {number} | {beside} | {_shown(found.get(CONTAINERS, set()))} |")
    return "\n".join(lines) + "\n"


def _shown(*names: set[str]) -> str:
    return ", ".join(f"`{name}`" for each in names for name in sorted(each))


if __name__ == "__main__":
    print(table(), end="")
