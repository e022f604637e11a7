"""What gevent can do at best: bytes from one socket to the other, nothing read, nothing written anew. PORT BACKEND."""

from __future__ import annotations

import sys

import gevent
from gevent import socket
from gevent.server import StreamServer


def carry(source: socket.socket, sink: socket.socket) -> None:
    while data := source.recv(65536):
        sink.sendall(data)


def pump(client: socket.socket, _address: object) -> None:
    backend = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
    for sock in (client, backend):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    other = gevent.spawn(carry, backend, client)
    try:
        carry(client, backend)
    except OSError:
        pass
    finally:
        other.kill()
        backend.close()


StreamServer(("127.0.0.1", int(sys.argv[1])), pump, backlog=2048).serve_forever()
