"""Under which numbers a program runs, and what passwd says of them."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import NamedTuple

from pillion.image.environ.split import Identity
from pillion.image.refusal import Refusal

# CAP_KILL, CAP_SETGID, CAP_SETUID (capabilities(7)): who has another uid must be stopped as well.
_NEEDED = 1 << 5 | 1 << 6 | 1 << 7
_CAP_SYS_RESOURCE = 1 << 24


class Account(NamedTuple):
    """`uid` and `gid` to take, -1 to stay who we are. `refused` is the uid that was asked for and cannot be taken."""

    uid: int
    gid: int
    identity: Identity
    refused: int | None = None


def own_identity() -> Identity:
    """Who this process is."""
    return _identity(os.geteuid())


def account(user: str) -> Account:
    """The account for `UID` or `UID:GID`, or for "" the one this process has; only root with the capabilities for it
    can take another's.

    Raises Refusal if the text is no such numbers: names mean nothing without the image's passwd.
    """
    own = os.geteuid()
    if not user:
        return Account(-1, -1, _identity(own))
    uid_text, colon, gid_text = user.partition(":")
    if not _is_number(uid_text) or (colon and not _is_number(gid_text)):
        raise Refusal("start the pair", f"the user {user!r} of the pair record is not UID or UID:GID", "give numbers")
    uid = int(uid_text)
    if uid == own and (not colon or int(gid_text) == os.getegid()):
        # As the engine made us, with the groups that it found for us.
        return Account(-1, -1, _identity(own))
    gid = int(gid_text) if colon else _primary_group(uid)
    if own != 0 or not (_may_change() and is_mapped(uid, _map("uid")) and is_mapped(gid, _map("gid"))):
        return Account(-1, -1, _identity(own), None if uid == own else uid)
    return Account(uid, gid, _identity(uid))


def may_raise_limits() -> bool:
    """Whether this process may raise a hard limit (setrlimit(2))."""
    return _holds(_CAP_SYS_RESOURCE)


def _may_change() -> bool:
    if _read("setgroups").strip() == "deny":
        # A user namespace that somebody without privileges made (user_namespaces(7)).
        return False
    return _holds(_NEEDED)


def _holds(capabilities: int) -> bool:
    for line in _read("status").splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16) & capabilities == capabilities
    return True


def is_mapped(number: int, table: str) -> bool:
    """Whether a uid or gid exists in the user namespace whose uid_map or gid_map this is (user_namespaces(7))."""
    ranges = [tuple(map(int, line.split())) for line in table.splitlines()]
    return not ranges or any(first <= number < first + length for first, _, length in ranges)


def _map(kind: str) -> str:
    return _read(f"{kind}_map")


def _read(name: str) -> str:
    try:
        return Path("/proc/self", name).read_text()
    except OSError:
        return ""


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text) < 2**32 - 1


def _identity(uid: int) -> Identity:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return Identity(uid)
    return Identity(uid, entry.pw_name, entry.pw_dir)


def _primary_group(uid: int) -> int:
    try:
        return pwd.getpwuid(uid).pw_gid
    except KeyError:
        return 0
