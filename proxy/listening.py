"""Listening: bound before there is a worker, so that an address that cannot be had ends the start in one sentence."""

from __future__ import annotations

import errno
import os
import socket
import stat
import struct
from array import array
from pathlib import Path
from typing import Any

from pillion.proxy.settings import Settings
from pillion.proxy.values import Address

_BACKLOG = 2048
_SO_ATTACH_FILTER = 26  # socket(7); Python does not name it
# A program of classic BPF (code, two jumps, operand), whose packet begins with TCP's header: let all pass but a SYN.
_INSTRUCTION = struct.Struct("HBBI")
_NO_SYN = b"".join(
    _INSTRUCTION.pack(*instruction)
    for instruction in (
        (0x30, 0, 0, 13),  # load the byte of the flags
        (0x54, 0, 0, 0x12),  # and SYN | ACK
        (0x15, 0, 1, 0x02),  # only SYN?
        (0x06, 0, 0, 0),  # drop
        (0x06, 0, 0, 0xFFFFFFFF),  # take
    )
)


class ListenError(Exception):
    """An address cannot be listened on. Exit code 2."""

    exit_code = 2

    def __init__(self, address: Address, names: str, error: OSError) -> None:
        """`names` are the settings that may be changed."""
        mend = f"stop what listens there, or set {names} to another"
        super().__init__(f"cannot listen on {address}: {(error.strerror or str(error)).lower()}; {mend}")


class Listener:
    """One bound address. `remove_file` removes a unix socket's file, unless somebody else's has taken its place."""

    def __init__(self, address: Address, bound: socket.socket, *, admin: bool) -> None:
        self.address = address
        self.socket = bound
        self.admin = admin
        self._file = _identity(address.path) if address.path else None

    def __str__(self) -> str:
        """What was asked for, with the port that it became."""
        if self.address.path:
            return str(self.address)
        host, port, *_ = self.socket.getsockname()
        return str(self.address._replace(host=host, port=port))

    def remove_file(self) -> None:
        if self._file is not None and self._file == _identity(self.address.path):
            try:
                Path(self.address.path).unlink()
            except OSError:
                pass


def listen(settings: Settings) -> list[Listener]:
    """Bind every address of the settings. Raises ListenError; then nothing is bound."""
    made: list[Listener] = []
    wanted = [(address, "LISTEN or PORT", False) for address in settings.listen]
    wanted += [(address, "ADMIN_LISTEN", True) for address in settings.admin_listen]
    for address, names, admin in wanted:
        try:
            bound = _bind_file(address.path, settings.listen_mode) if address.path else _bind(address)
        except OSError as error:
            for listener in made:
                listener.socket.close()
                listener.remove_file()
            raise ListenError(address, names, error) from None
        made.append(Listener(address, bound, admin=admin))
    return made


def turn_away(bound: Any) -> None:
    """Take no new connections on a listener, but those whose handshake has begun.

    Closing alone would reset who is being accepted; who comes now tries again by itself a second later, and is refused.
    """
    if bound.family == socket.AF_UNIX:
        return
    program = array("B", _NO_SYN)
    try:
        size, where = len(_NO_SYN) // _INSTRUCTION.size, program.buffer_info()[0]
        bound.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", size, where))
    except OSError:
        pass  # a kernel without it


def _bind(address: Address) -> socket.socket:
    """gunicorn's own way of binding tries for five seconds and then exits with 1."""
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, where = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _bind_file(path: str, mode: int) -> socket.socket:
    _clear(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o777 & ~mode)  # there is no moment with other permissions
    try:
        listener.bind(path)
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    finally:
        os.umask(mask)
    return listener


def _clear(path: str) -> None:
    """Remove what a proxy left that was killed: a socket on which nobody listens."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise OSError(errno.EEXIST, "it is there and is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        if probe.connect_ex(path) == errno.ECONNREFUSED:
            Path(path).unlink()


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
