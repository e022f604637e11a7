"""The backend image's ENV as the combined image carries it (pure).

The dynamic loader and glibc read `LD_*` and `GLIBC_TUNABLES` before any program of ours could set them aside
(ld.so(8)), so they travel as `BACKEND__LD_*`; the rest stays as it is, in its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pillion.image.environ.names import SEPARATOR, Namespaces, read_namespaces
from pillion.image.environ.split import fingerprint
from pillion.image.pair import RECORD_VARIABLE


class MergedEnv(NamedTuple):
    """`entries` are `NAME=VALUE`, in order; `moved` the backend's names that now carry its namespace; `replaced` maps
    names to the entry that was there before one of `added` took its place."""

    entries: tuple[str, ...]
    moved: tuple[str, ...]
    added: tuple[str, ...]
    replaced: Mapping[str, str]

    @property
    def values(self) -> dict[str, str]:
        """Name to value; of doubles the first counts, as for getenv(3)."""
        return read_env(self.entries)

    @property
    def fingerprints(self) -> dict[str, str]:
        """What the pair record keeps of them."""
        return {name: fingerprint(value) for name, value in self.values.items()}


def read_env(entries: Sequence[str]) -> dict[str, str]:
    """Name to value of `NAME=VALUE` entries."""
    values: dict[str, str] = {}
    for entry in entries:
        name, equals, value = entry.partition("=")
        if equals:
            values.setdefault(name, value)
    return values


def is_loader(name: str) -> bool:
    """Whether it acts on every dynamically linked program, ours included."""
    return name.startswith("LD_") or name == "GLIBC_TUNABLES"


def merge_env(entries: Sequence[str], added: Mapping[str, str]) -> MergedEnv:
    """`added` replaces what has the same name. Raises ValueError if PILLION_NAMESPACES cannot be read."""
    values = {**read_env(entries), **added}
    prefix = read_namespaces(values.get("PILLION_NAMESPACES", "")).backend + SEPARATOR
    merged: list[str] = []
    moved: list[str] = []
    replaced: dict[str, str] = {}
    left = {(prefix + name if is_loader(name) else name): value for name, value in added.items()}
    new = tuple(left)
    for entry in entries:
        name, equals, value = entry.partition("=")
        final = name
        if is_loader(name) and equals:
            final = prefix + name
            if name not in moved:
                moved.append(name)
        if final in new:
            replaced.setdefault(final, entry)
            if final in left:
                merged.append(f"{final}={left.pop(final)}")
        else:
            merged.append(f"{final}={value}" if equals else entry)
    merged += [f"{name}={value}" for name, value in left.items()]
    return MergedEnv(tuple(merged), tuple(moved), new, replaced)


def original_env(
    entries: Sequence[str], moved: Sequence[str], added: Sequence[str], replaced: Mapping[str, str]
) -> list[str]:
    """What `merge_env` was given, from what it gave and the pair record it gained (the inverse, for a rebase)."""
    values = read_env(entries)
    prefix = _prefix(values)
    back = {prefix + name: name for name in moved}
    original: list[str] = []
    for entry in entries:
        name, equals, value = entry.partition("=")
        if name == RECORD_VARIABLE:
            continue
        if name in added:
            if name in replaced:
                original.append(replaced[name])
        elif name in back and equals:
            original.append(f"{back[name]}={value}")
        else:
            original.append(entry)
    return original


def _prefix(values: Mapping[str, str]) -> str:
    try:
        return read_namespaces(values.get("PILLION_NAMESPACES", "")).backend + SEPARATOR
    except ValueError:
        return Namespaces().backend + SEPARATOR
