"""Long bodies of known length, from one socket to the other inside the kernel: no byte of them is copied to us."""

from __future__ import annotations

import fcntl
import os
from math import inf
from time import monotonic

from pillion.proxy.framing import LengthReader
from pillion.proxy.stream import Stream

WORTHWHILE = 131072  # bytes: below, a pipe costs more than copying

_PIPE_SIZE = 262144  # bytes asked for; who may not have them gets 64 KiB
_IN_A_ROW = 16 * _PIPE_SIZE  # bytes, then it is the others' turn
_KEPT = 16  # pipes

_free: list[tuple[int, int]] = []  # empty pipes, for the next body


def can_relay(source: Stream, sink: Stream) -> bool:
    """Whether both are sockets of the kernel, with nothing in between."""
    return source.plain and sink.plain and hasattr(os, "splice")


def relay(body: LengthReader, source: Stream, sink: Stream, deadline: float = inf) -> None:
    """Move what is left of the body; nothing of it may be in our hands. `deadline` is monotonic.

    Ends early, with the body incomplete, if the source does, or if there can be no pipe.
    """
    try:
        pipe = _free.pop() if _free else _new_pipe()
    except OSError:
        return  # no descriptors: who called goes on by copying
    empty = False
    try:
        _through(pipe, body, source, sink, deadline)
        empty = True
    finally:
        if empty and len(_free) < _KEPT:
            _free.append(pipe)
        else:
            os.close(pipe[0])
            os.close(pipe[1])


def _through(pipe: tuple[int, int], body: LengthReader, source: Stream, sink: Stream, deadline: float) -> None:
    exit_, entry = pipe
    incoming, outgoing = source.socket.fileno(), sink.socket.fileno()
    patience = source.read_patience
    held = turn = 0
    ended = False
    while held or (body.remaining and not ended):
        if body.remaining and not ended and held < _PIPE_SIZE:
            try:
                count = os.splice(incoming, entry, min(body.remaining, _PIPE_SIZE), flags=os.SPLICE_F_NONBLOCK)
            except BlockingIOError:
                if not held:
                    left = deadline - monotonic()
                    if left <= 0:
                        raise source.timed_out(f"the {source.peer} took too long for its body") from None
                    source.read_patience = min(patience, left)
                    source.wait_to_read()
                    turn = 0
                    continue
            except OSError:
                raise source.reset_by_peer(f"the {source.peer} reset the connection") from None
            else:
                ended = not count
                held += count
                source.passed_by(count)
                body.skip(count)
        try:
            count = os.splice(exit_, outgoing, held, flags=os.SPLICE_F_NONBLOCK) if held else 0
        except BlockingIOError:
            sink.wait_to_write()
            turn = 0
        except OSError:
            raise sink.reset_by_peer(f"the {sink.peer} closed the connection") from None
        else:
            held -= count
            sink.sent += count
            turn += count
            if turn > _IN_A_ROW:
                turn = 0
                if held:  # waiting for the source would keep these back until it sends again
                    sink.wait_to_write()
                elif body.remaining and not ended:
                    source.read_patience = patience
                    source.wait_to_read()


def _new_pipe() -> tuple[int, int]:
    exit_, entry = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.fcntl(entry, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
    except OSError:
        pass
    return exit_, entry
