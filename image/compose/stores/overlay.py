"""Looks at the few paths that matter in the directories of an overlay store, one a layer, never through a link.

Layers lie there unpacked, with whiteouts as overlayfs has them (Documentation/filesystems/overlayfs.rst), or as in a
tar where fuse-overlayfs mounts them.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pillion.image.compose.layer_files import (
    ELF_HEADER,
    ENTRY,
    GROUP,
    LONGEST_ACCOUNTS,
    OPAQUE,
    PASSWD,
    PREFIX,
    WHITEOUT,
    LayerFiles,
)
from pillion.image.compose.tar_headers import DIRECTORY, REGULAR, SYMLINK, Entry

_OTHER = "3"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# How much of each is read.
_WANTED = {"opt": 0, "etc": 0, PREFIX: 0, PASSWD: LONGEST_ACCOUNTS, GROUP: LONGEST_ACCOUNTS, ENTRY: ELF_HEADER}
_FOLDERS = ("", "opt", "etc", PREFIX)


def layer_directories(driver: Mapping[str, Any]) -> list[Path]:
    """By an engine's GraphDriver of an image, lowest first; [] if it is no overlay."""
    data = driver.get("Data") or {}
    upper = data.get("UpperDir")
    if not str(driver.get("Name")).startswith("overlay") or not upper:
        return []
    lower = [path for path in str(data.get("LowerDir") or "").split(":") if path]
    return [*map(Path, reversed(lower)), Path(upper)]


def look_into_all(driver: Mapping[str, Any], layers: int) -> tuple[LayerFiles, ...] | None:
    """Lowest first; None if that is not for us to see (only root sees the real owners)."""
    directories = layer_directories(driver)
    if os.geteuid() != 0 or len(directories) != layers:
        return None
    try:
        return tuple(map(_look_into, directories))
    except OSError:
        return None


def _look_into(root: Path) -> LayerFiles:
    top = os.open(root, _FOLDER)
    try:
        found = {path: _entry(top, path, longest) for path, longest in _WANTED.items()}
        removed = {path for path, entry in found.items() if entry == _GONE or _has(top, _whiteout(path))}
        opaque = {path for path in _FOLDERS if _is_opaque(top, path)}
        present = {path: entry for path, entry in found.items() if entry and entry != _GONE}
        outside = next((name for name in _names(top, ".") if name != "opt"), "")
        beside = next((f"opt/{name}" for name in _names(top, "opt") if f"opt/{name}" != PREFIX), "")
    finally:
        os.close(top)
    return LayerFiles(present, frozenset(removed), frozenset(opaque), int(PREFIX in present), outside or beside)


_GONE = Entry("", _OTHER, 0, 0, 0, 0, "")


def _whiteout(path: str) -> str:
    folder, _, name = path.rpartition("/")
    return f"{folder}/{WHITEOUT}{name}".lstrip("/")


def _folder(top: int, path: str) -> int | None:
    """A descriptor of the directory; None if there is none at that very path."""
    at = os.dup(top)
    for name in filter(None, path.split("/")):
        try:
            below = os.open(name, _FOLDER, dir_fd=at)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                raise
            return None
        finally:
            os.close(at)
        at = below
    return at


def _entry(top: int, path: str, longest: int) -> Entry | None:
    """What is there, _GONE for a whiteout."""
    above, _, name = path.rpartition("/")
    folder = _folder(top, above)
    if folder is None:
        return None
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
            return _GONE
        link = os.readlink(name, dir_fd=folder) if stat.S_ISLNK(status.st_mode) else ""
        kind = _kind(status.st_mode)
        content = _read(folder, name, longest) if kind == REGULAR and longest else b""
        return Entry(path, kind, status.st_mode & 0o7777, status.st_uid, status.st_gid, status.st_size, link, content)
    except FileNotFoundError:
        return None
    finally:
        os.close(folder)


def _has(top: int, path: str) -> bool:
    return _entry(top, path, 0) is not None


def _is_opaque(top: int, path: str) -> bool:
    folder = _folder(top, path)
    if folder is None:
        return False
    try:
        names = os.listxattr(folder)
        marks = [name for name in names if name.endswith("overlay.opaque")]
        return any(os.getxattr(folder, name) == b"y" for name in marks) or _has(folder, OPAQUE)
    finally:
        os.close(folder)


def _kind(mode: int) -> str:
    if stat.S_ISREG(mode):
        return REGULAR
    return DIRECTORY if stat.S_ISDIR(mode) else SYMLINK if stat.S_ISLNK(mode) else _OTHER


def _read(folder: int, name: str, longest: int) -> bytes:
    with os.fdopen(os.open(name, _FILE, dir_fd=folder), "rb") as file:
        return file.read(longest)


def _names(top: int, path: str) -> list[str]:
    folder = _folder(top, path)
    if folder is None:
        return []
    try:
        with os.scandir(folder) as found:
            return sorted(each.name for each in found)
    finally:
        os.close(folder)
