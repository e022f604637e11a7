"""Whether the ports that a layout wants are free on this machine: found out before anything is started."""

from __future__ import annotations

import errno
import socket
from collections.abc import Mapping

from pillion.image.refusal import Refusal


def check_free(ports: Mapping[int, str], what: str) -> None:
    """`ports` maps each to where in the pair file it stands. Raises Refusal."""
    for port, field in ports.items():
        if why := _not_free(port):
            raise Refusal(what, f"port {port} of {field} {why}", "change the port in the file, or mend that")


def _not_free(port: int) -> str:
    """Why nobody can listen on a port now, "" if one can."""
    for host in ("127.0.0.1", "0.0.0.0"):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    return "is in use on this machine"
                return f"cannot be bound: {error.strerror}"
    return ""
