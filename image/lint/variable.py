"""What is wrong with a variable by itself, whoever sees it."""

from __future__ import annotations

from pillion.image.environ.lint.program import Declaration, Remark
from pillion.image.environ.names import Namespaces, near_miss
from pillion.image.pairfile.variable import MAX_STRING_BYTES, fits

# All that references of one file, or project, may be replaced by.
_MOST_BYTES = 32 << 20


class Growth:
    """Keeps account of values that references make: references to references multiply, and names are many."""

    def __init__(self) -> None:
        self._left = _MOST_BYTES

    def allows(self, value: str) -> bool:
        """Whether there is room for one more; without it, it counts as unknown."""
        self._left -= len(value)
        return self._left >= 0


def check(declaration: Declaration) -> list[Remark]:
    """Values that no process can be given, and names that are almost addressed to one program."""
    name, place = declaration.name, declaration.place
    found = []
    if declaration.value is not None and "\0" in declaration.value:
        found.append(Remark("nul", "S1", name, place, "holds a NUL character, which no variable can", "remove it"))
    elif declaration.value is not None and not fits(name, declaration.value):
        happens = f"is longer than the {MAX_STRING_BYTES} bytes that Linux takes"
        found.append(Remark("size", "S1", name, place, happens, "shorten it, or give a file"))
    if miss := near_miss(name, Namespaces()):
        happens = "is almost addressed to one program, and so goes to the backend as it stands"
        found.append(Remark("near-miss", "S2", name, place, happens, f"did you mean {miss.suggestion}?"))
    return found
