"""Under which numbers a program runs, and what passwd says of them."""

from __future__ import annotations

import os
import pwd
from typing import NamedTuple

from pillion.image.environ.split import Identity
from pillion.image.refusal import Refusal


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
    """The account for `UID` or `UID:GID`, or for "" the one this process has; only root can take another's.

    Raises Refusal if the text is no such numbers: names mean nothing without the image's passwd.
    """
    own = os.geteuid()
    if not user:
        return Account(-1, -1, _identity(own))
    uid_text, colon, gid_text = user.partition(":")
    if not _is_number(uid_text) or (colon and not _is_number(gid_text)):
        raise Refusal("start the pair", f"the user {user!r} of the pair record is not UID or UID:GID", "give numbers")
    uid = int(uid_text)
    if own != 0:
        return Account(-1, -1, _identity(own), None if uid == own else uid)
    return Account(uid, int(gid_text) if colon else _primary_group(uid), _identity(uid))


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
