"""Being in another network namespace for a moment: sockets and processes that are made there stay there (setns(2))."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

from pillion.image.refusal import Failure

_WHAT = "join the containers' network"
_CLONE_NEWNET = 0x40000000


@contextmanager
def network_of(pid: int) -> Iterator[None]:
    """For the calling thread, the network of the process `pid`. Needs CAP_SYS_ADMIN. Raises Failure."""
    with _namespace("thread-self") as own:
        with _namespace(str(pid)) as target:
            _enter(target)
        try:
            yield
        finally:
            _enter(own)


@contextmanager
def _namespace(process: str) -> Iterator[int]:
    try:
        descriptor = os.open(f"/proc/{process}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise Failure(_WHAT, f"process {process}: {error.strerror}", "see whether the container has ended") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _enter(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET):
        raise Failure(_WHAT, os.strerror(ctypes.get_errno()), "run it as root")
