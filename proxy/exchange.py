"""One request and its response, from the client to the backend and back, both streamed at once."""

from __future__ import annotations

from time import monotonic_ns
from typing import TYPE_CHECKING

from greenlet import getcurrent

from pillion.proxy.answers import final_recipient_answer, own_answer
from pillion.proxy.concerns.edits import NO_EDITS, Edits
from pillion.proxy.concerns.passage import Asked, Passage
from pillion.proxy.delivery import Delivery
from pillion.proxy.errors import BadRequest, ClientLost, ExchangeError, UpstreamLost, UpstreamMalformed
from pillion.proxy.fields import Origin, hops_left, request_block, response_head, wanted_upgrade, with_fields
from pillion.proxy.framing import (
    BODYLESS,
    LABORIOUS,
    NO_BODY,
    BodyReader,
    ChunkedReader,
    Kind,
    LengthReader,
    MalformedBody,
    request_framing,
    response_framing,
    response_reader,
)
from pillion.proxy.head import RequestHead, ResponseHead
from pillion.proxy.relay import WORTHWHILE, can_relay, relay
from pillion.proxy.sides import ClientStream
from pillion.proxy.tunnel import Tunnel

if TYPE_CHECKING:
    from pillion.proxy.concerns.chain import Chain
    from pillion.proxy.gateway import Gateway

LINGER = 2.0  # seconds
_OF_KNOWN_LENGTH = (Kind.LENGTH, Kind.NONE)


class Exchange:
    """One exchange. `run` does it; the rest of the attributes say afterwards how it went."""

    __slots__ = (
        "_client",
        "_delivery",
        "_ends_by_close",
        "_framing",
        "_gateway",
        "_head",
        "_hops",
        "_origin",
        "_passage",
        "_upgrade",
        "answered_at",
        "failure",
        "status",
    )

    def __init__(self, gateway: Gateway, client: ClientStream, head: RequestHead, origin: Origin) -> None:
        """Raises BadRequest if the request's framing is ambiguous, or if it is more than the settings allow."""
        settings = gateway.settings
        self._gateway = gateway
        self._client = client
        self._head = head
        self._origin = origin
        control = head.block.control
        if len(head.block.fields) > settings.max_fields:
            raise BadRequest("the request has too many fields", 431)
        self._framing = request_framing(head)
        if self._framing.length > settings.max_body_bytes > 0:
            raise BadRequest("the request's body is too long", 413)
        self._upgrade = wanted_upgrade(head, self._framing) if b"upgrade" in control else None
        self._hops = hops_left(head) if b"max-forwards" in control else None
        self._delivery = Delivery(gateway, client, head, self._framing, self._upgrade)
        self._passage: Passage | None = None
        self._ends_by_close = False
        self.status = 0  # of the response whose head was sent, ours or the backend's
        self.answered_at = 0  # monotonic, in nanoseconds: when the head of the backend's final response was there
        self.failure: ExchangeError | None = None

    @property
    def retried(self) -> bool:
        """Whether the request was sent to the backend twice."""
        return self._delivery.retried

    @property
    def request_id(self) -> bytes:
        """b"" if it has none."""
        return b"" if self._passage is None else self._passage.request_id

    def run(self) -> bool:
        """Serve the request; whether the client's connection can carry another one."""
        client, delivery = self._client, self._delivery
        client.owner = getcurrent()
        try:
            payload = b"" if self._framing is NO_BODY else delivery.body_at_hand()
            if self._gateway.concerns is not None:
                self._pass(self._gateway.concerns)
            if self._hops == 0:
                return self._answer_as_final_recipient()
            response = delivery.run(self._request_head() + payload)
            if response.status == 101:
                return self._tunnel(response)
            return self._respond(response)
        except ExchangeError as error:
            return self._fail(error)
        except BaseException:
            # Cut off by the end of a drain: what ends by close must not look as if it had ended.
            if self.status and self._ends_by_close:
                client.reset()
            raise
        finally:
            client.owner = None
            if delivery.upload is not None:
                delivery.upload.stop()
            if delivery.upstream is not None:
                delivery.release(reusable=False)

    def _pass(self, concerns: Chain) -> None:
        """Let the concerns see the request. Raises Declined if one of them turns it away."""
        head, origin = self._head, self._origin
        self._passage = Passage(Asked(head.method, head.target, head.block.fields, origin.address, origin.trusted))
        concerns.request(self._passage)

    def _edits_of_response(self, status: int) -> Edits:
        concerns = self._gateway.concerns
        return NO_EDITS if concerns is None or self._passage is None else concerns.response(self._passage, status)

    def _request_head(self) -> bytes:
        """As the backend gets it."""
        head = self._head
        edits = NO_EDITS if self._passage is None else self._passage.edits
        request = (
            head.minor,
            head.host,
            self._framing.kind is Kind.CHUNKED,
            self._upgrade,
            None if self._hops is None else self._hops - 1,
            self._origin,
            self._gateway.authority,
            edits.drop,
        )
        line = b"%b %b HTTP/1.1\r\n" % (head.method, head.target)
        block = request_block(head.block, request)
        return line + (with_fields(block, edits.add) if edits.add else block)

    # The response

    def _respond(self, response: ResponseHead) -> bool:
        """Pass the final response on; whether the client's connection can carry another request."""
        delivery, client, minor = self._delivery, self._client, self._head.minor
        upstream = delivery.upstream
        assert upstream is not None
        framing = response_framing(response, self._head.method)
        at_hand = upstream.pending
        if framing.length == len(at_hand) and framing.kind in _OF_KNOWN_LENGTH:
            upstream.pending = b""
            body: BodyReader = BODYLESS
        else:
            at_hand = b""
            body = response_reader(framing, minor)
        self._ends_by_close = minor == 0 and framing.kind in (Kind.CHUNKED, Kind.UNTIL_CLOSE)
        # A client that is still sending is answered early, and the rest of its body is not wanted.
        close = self._ends_by_close or not delivery.sent or not self._persistent
        edits = None if self._passage is None else self._edits_of_response(response.status)
        message = response_head(response, framing.kind, minor, close=close, edits=edits) + at_hand
        if upstream.pending and not body.complete:
            message += self._feed(body, upstream.receive())
        self.answered_at = monotonic_ns()
        self.status = response.status
        client.send(message)
        if not body.complete:
            upstream.read_patience = self._gateway.settings.response_idle_timeout
            if framing.length > WORTHWHILE and isinstance(body, LengthReader) and can_relay(upstream, client):
                relay(body, upstream, client)
            while not body.complete:
                data = upstream.receive()
                out = self._feed(body, data)
                if out:
                    client.send(out)
                if len(data) > LABORIOUS and isinstance(body, ChunkedReader):
                    upstream.let_others_go_first()
        complete = delivery.sent
        delivery.release(
            reusable=complete
            and response.persistent
            and framing.kind is not Kind.UNTIL_CLOSE
            and not (body.surplus or upstream.pending)
            and not (response.status == 204 and _may_send_more(response))
        )
        if not complete:
            self._turn_away()
        return complete and not close

    def _feed(self, body: BodyReader, data: bytes) -> bytes:
        try:
            if data:
                return body.feed(data)
            upload = self._delivery.upload
            if upload is not None and upload.failure is not None:
                raise upload.failure  # it was us who ended the connection
            return body.end()
        except MalformedBody as error:
            cause = UpstreamMalformed if data else UpstreamLost
            raise cause(f"the backend's answer: {error}") from None

    def _tunnel(self, response: ResponseHead) -> bool:
        upstream, client = self._delivery.upstream, self._client
        assert upstream is not None
        client.owner = None  # from now on its bytes and its end are read at once
        self.answered_at = monotonic_ns()
        self.status = response.status
        client.send(response_head(response, Kind.NONE, 1, close=False, edits=self._edits_of_response(101)))
        Tunnel(client, upstream, self._gateway.settings.tunnel_idle_timeout).run()
        return False

    def _answer_as_final_recipient(self) -> bool:
        keep = self._persistent and self._delivery.body.complete
        status, answer = final_recipient_answer(self._head, close=not keep, edits=self._edits_of_response(200))
        self.status = status
        self._client.send(answer)
        if not self._delivery.body.complete:
            self._client.linger(LINGER)
        return keep

    # The end

    @property
    def _persistent(self) -> bool:
        return self._head.persistent and not self._gateway.draining

    def _fail(self, error: ExchangeError) -> bool:
        """Answer for the backend if the response has not begun, cut it off if it has."""
        delivery = self._delivery
        delivery.stop()
        if delivery.upload is not None:
            error = delivery.upload.failure or error
        self.failure = error
        if self.status:
            if self._ends_by_close:
                self._client.reset()  # a plain end would look like the end of the body
            return False
        if isinstance(error, ClientLost):
            return False
        keep = delivery.sent and self._persistent
        delivery.release(reusable=False)
        self.status = error.status
        try:
            self._client.send(
                own_answer(
                    error,
                    method=self._head.method,
                    minor=self._head.minor,
                    close=not keep,
                    retry_after=self._gateway.settings.retry_after,
                    edits=self._edits_of_response(error.status),
                )
            )
        except ExchangeError:
            return False
        if not delivery.sent:
            self._turn_away()
        return keep

    def _turn_away(self) -> None:
        """Stop taking the body that nobody wants, without losing the answer that the client has not read yet."""
        self._delivery.stop()
        self._delivery.release(reusable=False)
        self._client.linger(LINGER)


def _may_send_more(response: ResponseHead) -> bool:
    """Whether a 204 announces content that it must not have (RFC 9110 section 8.6) and may send all the same."""
    lengths = response.control.get(b"content-length", [])
    return b"transfer-encoding" in response.control or any(length.strip(b"0") for length in lengths)
