"""The access log: one JSON object a request, one line each, on standard output."""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime, timezone
from time import monotonic_ns

from pillion.proxy.exchange import Exchange
from pillion.proxy.head import RequestHead
from pillion.proxy.stream import ClientStream


class AccessLog:
    """Times one exchange after another on a client's connection. Durations in microseconds, sizes in bytes."""

    def __init__(self, client: ClientStream, address: bytes) -> None:
        self._client = client
        self._address = address.decode("ascii")
        self._start = 0
        self._received = self._sent = 0

    def begin(self) -> None:
        self._start = monotonic_ns()
        self._received, self._sent = self._client.received, self._client.sent

    def end(self, head: RequestHead, exchange: Exchange) -> None:
        line = {
            "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
            "client": self._address,
            "method": head.method.decode("latin-1"),
            "target": head.target.decode("latin-1"),
            "host": (head.host or b"").decode("latin-1"),
            "status": exchange.status,
            "duration_us": (monotonic_ns() - self._start) // 1000,
            "body_in": self._client.received - self._received,
            "sent": self._client.sent - self._sent,
            "retried": exchange.retried,
            "error": exchange.failure.error if exchange.failure is not None else None,
        }
        try:
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()
        except OSError:
            # Nobody reads the log: requests are served all the same.
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 (for the rest of the process)
