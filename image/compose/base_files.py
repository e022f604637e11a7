"""Whether the backend's image can hold the sidecar's layer without anything changing outside our prefix (pure)."""

from __future__ import annotations

from collections.abc import Iterator

from pillion.image.compose.layer_files import PREFIX, Files, LayerFiles
from pillion.image.compose.tar_headers import DIRECTORY, SYMLINK, Entry
from pillion.image.environ.finding import Finding

_FOLDER = "opt"
_SEARCHABLE = 0o001


def judge_files(files: Files, sidecar: LayerFiles | None) -> Iterator[Finding]:
    """A layer brings its directories with their modes, and theirs then count: `/opt` must be a plain directory."""
    there = files.present.get(_FOLDER)
    if there is not None and there.kind == SYMLINK:
        happens = f"is a symbolic link to {there.link}, which the sidecar's layer would replace"
        yield Finding("S1", "/opt", happens, "make it a directory in the backend's image")
    elif there is not None and there.kind != DIRECTORY:
        yield Finding("S1", "/opt", "is a file, which the sidecar's layer would replace", "move it elsewhere")
    elif there is not None:
        yield from _judge_folder(there, sidecar.present.get(_FOLDER) if sidecar else None)
    if files.occupied:
        happens = "is there already, and the sidecar's files would mix with it"
        yield Finding("S1", f"/{PREFIX}", happens, "remove it, or replace an earlier sidecar with --rebase")


def _judge_folder(there: Entry, ours: Entry | None) -> Iterator[Finding]:
    if not there.mode & _SEARCHABLE:
        happens = f"has mode {there.mode:04o}: only its owner could reach /{PREFIX}, or the layer would open it to all"
        yield Finding("S1", "/opt", happens, "chmod 755 /opt in the backend's image")
    elif ours and (there.mode, there.uid, there.gid) != (ours.mode, ours.uid, ours.gid):
        before, after = (f"{each.mode:04o} {each.uid}:{each.gid}" for each in (there, ours))
        yield Finding("S2", "/opt", f"turns from {before} to {after}", "make it so in the backend's image")
