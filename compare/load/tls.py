"""TLS for the generator: an object of OpenSSL between two buffers, over a socket that never blocks."""

from __future__ import annotations

import socket
import ssl
from typing import cast

_RECORDS = 65536  # bytes that are encrypted at once


def trusting(certificate: str) -> ssl.SSLContext:
    """Trusts who shows this certificate and nobody else, whatever name it is for: the pair's own, asked at loopback.

    Raises OSError if the file cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(certificate)
    return context


class TlsSocket:
    """Like a socket that does not block; the first writes are the handshake."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self._sock = sock
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out)
        self._records = b""  # not sent yet

    @property
    def unsent(self) -> bool:
        """Whether records wait for the socket; if not, what could not be written waits for the peer."""
        return bool(self._records)

    def send(self, data: memoryview) -> int:
        """Raises BlockingIOError while it is the peer's turn, OSError if there can be no TLS. Without data, what
        is left of earlier records goes."""
        self._flush()
        if self._records:
            raise BlockingIOError
        if not data:
            return 0
        try:
            return self._tls.write(data[:_RECORDS])
        except ssl.SSLWantReadError:
            raise BlockingIOError from None
        finally:
            self._flush()

    def recv_into(self, buffer: memoryview) -> int:
        """0 at the end; raises BlockingIOError when there is no more text in what has come."""
        while True:
            try:
                return cast(int, self._tls.read(len(buffer), buffer))  # with a buffer it is a size
            except ssl.SSLWantReadError:
                self._flush()
                data = self._sock.recv(len(buffer))
                self._in.write(data) if data else self._in.write_eof()
            except ssl.SSLZeroReturnError:
                return 0

    def fileno(self) -> int:
        return self._sock.fileno()

    def close(self) -> None:
        self._sock.close()

    def _flush(self) -> None:
        self._records += self._out.read()
        try:
            while self._records:
                self._records = self._records[self._sock.send(self._records) :]
        except BlockingIOError:
            pass
