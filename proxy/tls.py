"""TLS on both sides: an object of OpenSSL between two buffers, over a socket that never blocks."""

from __future__ import annotations

import ssl
from _socket import MSG_PEEK, SHUT_RD
from time import monotonic
from typing import Any

import gevent

from pillion.proxy.errors import ConnectTimeout, HandshakeFailed, UpstreamTimeout, UpstreamUntrusted
from pillion.proxy.sides import ClientStream, UpstreamStream
from pillion.proxy.stream import READS_IN_A_ROW, RECEIVE_SIZE, Socket, Stream

_RECORDS = 65536  # bytes of text that are encrypted at once


class TlsSocket:
    """Text in and out; raises BlockingIOError where a socket would."""

    def __init__(self, socket: Socket, context: ssl.SSLContext, name: str | None) -> None:
        """`name` is whom we expect there; None if it is we who were asked for."""
        self._socket = socket
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=name is None, server_hostname=name)
        self._unsent = b""  # records
        self._seen = b""  # was only looked at
        self.reads = 0
        self.spoken_to = False  # whether anything has come, be it no TLS

    def handshake(self) -> None:
        """Raises BlockingIOError when it is the peer's turn."""
        while True:
            try:
                self._tls.do_handshake()
                return
            except ssl.SSLWantReadError:
                self.flush()
                self._take_in()
            finally:
                self._flush_what_goes()

    def recv(self, size: int, flags: int = 0) -> bytes:
        if flags & MSG_PEEK:
            self._seen = self._seen or self._read(1)
            return self._seen
        if self._seen:
            data, self._seen = self._seen, b""
            return data
        return self._read(size)

    def _read(self, size: int) -> bytes:
        while True:
            try:
                return self._tls.read(size)
            except ssl.SSLWantReadError:
                self._flush_what_goes()
                self._take_in()
            except ssl.SSLZeroReturnError:
                return b""
            except ssl.SSLError as error:
                # An end without TLS's own farewell may be somebody else's doing: it is no end of a message.
                raise ConnectionResetError(str(error)) from None

    def send(self, data: bytes | memoryview) -> int:
        self.flush()
        try:
            done = self._tls.write(data[:_RECORDS])
        except ssl.SSLWantReadError:
            raise BlockingIOError from None
        except ssl.SSLError as error:
            raise ConnectionResetError(str(error)) from None
        self._flush_what_goes()
        return done

    def flush(self) -> None:
        """Send the records that are ready. Raises BlockingIOError if some are left."""
        self._unsent += self._out.read()
        while self._unsent:
            self._unsent = self._unsent[self._socket.send(self._unsent) :]

    @property
    def unsent(self) -> bool:
        return bool(self._unsent)

    def fileno(self) -> int:
        return self._socket.fileno()

    def getsockname(self) -> Any:
        return self._socket.getsockname()

    def shutdown(self, how: int) -> None:
        if how != SHUT_RD:
            self._say_farewell()
        self._socket.shutdown(how)

    def setsockopt(self, level: int, option: int, value: int | bytes) -> None:
        self._socket.setsockopt(level, option, value)

    def close(self) -> None:
        self._say_farewell()
        self._socket.close()

    def abandon(self) -> None:
        """Close without a farewell: the peer shall not take this for an end."""
        self._socket.close()

    def _say_farewell(self) -> None:
        try:
            self._tls.unwrap()
        except (OSError, ValueError):
            pass  # SSLWantReadError among them: the peer's own farewell is not waited for
        try:
            self.flush()
        except OSError:
            pass

    def _take_in(self) -> None:
        data = self._socket.recv(RECEIVE_SIZE)
        if data:
            self.spoken_to = True
            self._in.write(data)
        else:
            self._in.write_eof()

    def _flush_what_goes(self) -> None:
        try:
            self.flush()
        except BlockingIOError:
            pass


class _Secured(Stream):
    """A connection with TLS on it."""

    plain = False

    __slots__ = ()
    _tls: TlsSocket

    def receive(self, most: int = RECEIVE_SIZE) -> bytes:
        if not self.pending:
            self._tls.reads += 1
            if not self._tls.reads % READS_IN_A_ROW:
                gevent.sleep(0)  # the event loop is not asked as long as there is something
        data = super().receive(most)
        self._more = 1  # what OpenSSL holds, the event loop knows nothing of: read before waiting
        return data

    def let_others_go_first(self) -> None:
        self._tls.reads = READS_IN_A_ROW - 1

    def send(self, data: bytes) -> None:
        super().send(data)
        while self._tls.unsent:
            self.wait_to_write()
            try:
                self._tls.flush()
            except BlockingIOError:
                pass
            except OSError:
                raise self.reset_by_peer(f"the {self.peer} closed the connection") from None

    def reset(self) -> None:
        self._reset_on_close()
        self.detach()
        self._tls.abandon()

    def on_unasked(self) -> None:
        if self.quiet():
            self._watch()  # a session ticket, nothing that was said
        else:
            super().on_unasked()

    def handshake(self, within: float) -> None:
        """`within` seconds for all of it. Raises OSError if there can be no TLS, and what waiting raises."""
        deadline = monotonic() + within
        patience = self.write_patience
        while True:
            try:
                self._tls.handshake()
                break
            except BlockingIOError:
                self.read_patience = self.write_patience = max(deadline - monotonic(), 0.0)
                if self._tls.unsent:
                    self.wait_to_write()
                else:
                    self.wait_to_read()
        self.write_patience = patience
        self._more = 1


class TlsUpstream(_Secured, UpstreamStream):
    """A connection to the backend with TLS on it."""

    __slots__ = ("_tls",)

    def __init__(self, socket: TlsSocket, patience: float) -> None:
        super().__init__(socket, patience)
        self._tls = socket


class TlsClient(_Secured, ClientStream):
    """A client's connection with TLS on it."""

    __slots__ = ("_tls",)

    def __init__(self, socket: TlsSocket, patience: float, half_closed_patience: float) -> None:
        super().__init__(socket, patience, half_closed_patience)
        self._tls = socket

    def agree(self, within: float) -> None:
        """Raises HandshakeFailed if there can be no TLS, ClientTimeout if it takes too long."""
        try:
            self.handshake(within)
        except OSError as error:
            raise HandshakeFailed(f"no TLS: {getattr(error, 'reason', None) or error}") from None


def secure(plain: UpstreamStream, context: ssl.SSLContext, name: str, timeout: float) -> UpstreamStream:
    """The same connection with TLS on it; `timeout` in seconds. Raises UpstreamUntrusted and ConnectTimeout."""
    socket = plain.detach()
    stream: TlsUpstream | None = None
    try:
        stream = TlsUpstream(TlsSocket(socket, context, name), timeout)
        stream.handshake(timeout)
    except UpstreamTimeout:
        (stream or socket).close()
        raise ConnectTimeout("the backend did not finish the TLS handshake in time") from None
    except ssl.SSLCertVerificationError as error:
        (stream or socket).close()
        raise UpstreamUntrusted(f"the backend's certificate: {error.verify_message}") from None
    except OSError as error:
        (stream or socket).close()
        raise UpstreamUntrusted(f"no TLS with the backend: {getattr(error, 'reason', None) or error}") from None
    except BaseException:
        (stream or socket).close()
        raise
    return stream
