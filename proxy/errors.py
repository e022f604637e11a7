"""What can go wrong in an exchange, as a flat family of named errors.

Each knows the answer that the client gets if it can still be given one: a status and a reason (RFC 9110 section 15),
and an error type of RFC 9209 for the Proxy-Status field.
"""

from __future__ import annotations


class ExchangeError(Exception):
    """The exchange cannot be completed. `str()` is the reason, fit for the client and the log."""

    status = 500
    error = "proxy_internal_error"
    retry_after: int | None = None  # seconds, where asking again later may help


class BadRequest(ExchangeError):
    """The client's message cannot be forwarded: 400 unless said otherwise. Its connection is closed."""

    status = 400
    error = "http_request_error"

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.status = status


class Declined(ExchangeError):
    """A concern does not let the request pass."""

    error = "http_request_denied"

    def __init__(self, reason: str, status: int, retry_after: int | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.retry_after = retry_after


class ClientLost(ExchangeError):
    """The client went away, or ended inside its message. There is nobody to answer."""


class HandshakeFailed(ClientLost):
    """There can be no TLS with the client."""


class ClientTimeout(ExchangeError):
    """The client paused for too long."""

    status = 408
    error = "http_request_error"


class NotReady(ExchangeError):
    """The backend does not answer yet, or not any more."""

    status = 503
    error = "destination_unavailable"


class UpstreamRefused(ExchangeError):
    """Nobody listens where the backend should. Closes the readiness gate; the client sees NotReady."""

    status = 503
    error = "connection_refused"


class PoolFull(ExchangeError):
    """No connection to the backend came free in time."""

    status = 503
    error = "connection_limit_reached"


class OutOfResources(ExchangeError):
    """This machine has no descriptor or no memory for another connection."""

    status = 503
    error = "proxy_internal_error"


class UpstreamUnreachable(ExchangeError):
    """Connecting failed for another reason than a refusal: routing, name resolution, permission."""

    status = 502
    error = "destination_ip_unroutable"


class UpstreamUntrusted(ExchangeError):
    """The backend's certificate does not verify, or it does not speak our TLS."""

    status = 502
    error = "tls_certificate_error"


class UpstreamLost(ExchangeError):
    """The backend closed or reset the connection inside an exchange."""

    status = 502
    error = "connection_terminated"


class UpstreamReset(UpstreamLost):
    """The same with a reset: if no byte of an answer had come, the backend has not even read the request whole."""


class UpstreamMalformed(ExchangeError):
    """The backend's message is not HTTP, or is framed ambiguously."""

    status = 502
    error = "http_protocol_error"


class ConnectTimeout(ExchangeError):
    """The backend's address did not answer in time."""

    status = 504
    error = "connection_timeout"


class UpstreamTimeout(ExchangeError):
    """The connected backend paused for too long."""

    status = 504
    error = "http_response_timeout"
