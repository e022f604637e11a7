"""The long bodies' way through the kernel: what it waits for, and when."""

from __future__ import annotations

import socket
from types import SimpleNamespace

from pillion.proxy import relay
from pillion.proxy.framing import LengthReader

SIZE = 4 * 1024**2


def test_it_never_waits_for_more_while_it_holds_some(monkeypatch):
    """F7: a turn that ends on bytes that the sink did not take yet must not leave them in the pipe until more come."""
    monkeypatch.setattr(relay, "_IN_A_ROW", 0)
    sender, incoming = socket.socketpair()
    outgoing, reader = socket.socketpair()
    left = bytearray(b"x" * SIZE)
    arrived = 0

    def feed() -> None:
        assert source.received == sink.sent, "waits for the source with bytes in hand"
        del left[: sender.send(left)]

    def drain() -> None:
        nonlocal arrived
        arrived += len(reader.recv(20011))

    def count(size: int) -> None:
        source.received += size

    source = SimpleNamespace(socket=incoming, received=0, read_patience=1.0, wait_to_read=feed, passed_by=count)
    sink = SimpleNamespace(socket=outgoing, sent=0, wait_to_write=drain)
    with sender, incoming, outgoing, reader:
        for end in (sender, incoming, outgoing, reader):
            end.setblocking(False)
        relay.relay(LengthReader(SIZE), source, sink)
        outgoing.close()
        while data := reader.recv(65536):
            arrived += len(data)
    assert arrived == SIZE
