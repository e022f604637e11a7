"""A relay on loopback that makes the backend as far away as is asked, with TLS or without.

`python -m pillion.compare.evidence.relay PARENT PORT ONE_WAY_S [CERT KEY]` forwards each connection to PORT of
loopback, every byte that much later in each direction, and writes the port that it listens on as its first line.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import sys
from collections.abc import Sequence

from pillion.image.orphans import dies_with
from pillion.image.ports import LOOPBACK

_CHUNK = 65536


class Relay:
    """To `port`, `delay_s` later."""

    def __init__(self, port: int, delay_s: float) -> None:
        self._port, self._delay_s = port, delay_s

    async def serve(self, tls: ssl.SSLContext | None) -> None:
        """Until it is killed."""
        server = await asyncio.start_server(self._connected, LOOPBACK, 0, ssl=tls)
        sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()
        async with server:
            await server.serve_forever()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            # As much later as the handshake of a connection to there would be.
            await asyncio.sleep(2 * self._delay_s)
            beyond_reader, beyond = await asyncio.open_connection(LOOPBACK, self._port)
            await asyncio.gather(self._pass_on(reader, beyond), self._pass_on(beyond_reader, writer))

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                loop.call_later(self._delay_s, writer.write, data)
        loop.call_later(self._delay_s, writer.close)


def main(arguments: Sequence[str]) -> int:
    """As above."""
    parent, port, delay_s, *pem = arguments
    dies_with(int(parent), 9)()
    tls = None
    if pem:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*pem)
    asyncio.run(Relay(int(port), float(delay_s)).serve(tls))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
