"""The concerns in their order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic_ns

from pillion.proxy.concerns.correlation import Correlation
from pillion.proxy.concerns.edits import NO_EDITS, Edits
from pillion.proxy.concerns.headers import HeaderRules
from pillion.proxy.concerns.passage import Concern, Passage
from pillion.proxy.concerns.rate_limit import Buckets, RateLimit
from pillion.proxy.concerns.settings import ConcernSettings


class Chain:
    """Each concern in turn, on the way there and on the way back: the last one has the last word."""

    def __init__(self, concerns: Sequence[Concern]) -> None:
        self._of_requests = [each.request for each in concerns if type(each).request is not Concern.request]
        self._of_responses = [each.response for each in concerns if type(each).response is not Concern.response]

    def request(self, passage: Passage) -> None:
        """Fill in the passage. Raises Declined at the first concern that does."""
        edits = NO_EDITS
        for request in self._of_requests:
            edits = edits.then(request(passage))
        passage.edits = edits

    def response(self, passage: Passage, status: int) -> Edits:
        """What changes in the head of the answer: the backend's, or ours."""
        edits = NO_EDITS
        for response in self._of_responses:
            edits = edits.then(response(passage, status))
        return edits


def chain_of(settings: ConcernSettings, clock: Callable[[], int] = monotonic_ns) -> Chain | None:
    """Name the request, see whether it may pass, change what is to be changed; None if nothing of that is wanted."""
    wanted = (_correlation(settings), _rate_limit(settings, clock), _header_rules(settings))
    concerns = [concern for concern in wanted if concern is not None]
    return Chain(concerns) if concerns else None


def _correlation(settings: ConcernSettings) -> Concern | None:
    if not settings.request_id and not settings.traceparent:
        return None
    return Correlation(settings.request_id_field if settings.request_id else b"", settings.traceparent)


def _rate_limit(settings: ConcernSettings, clock: Callable[[], int]) -> Concern | None:
    if not settings.rate_limit:
        return None
    buckets = Buckets(settings.rate_limit, settings.rate_limit_burst, settings.rate_limit_clients)
    return RateLimit(
        buckets,
        settings.forwarded_allow_ips,
        by_client=settings.rate_limit_by == "client",
        uncounted=settings.ready_path.encode("ascii"),
        clock=clock,
    )


def _header_rules(settings: ConcernSettings) -> Concern | None:
    rules = (settings.request_headers, settings.response_headers)
    return None if rules == (NO_EDITS, NO_EDITS) else HeaderRules(*rules)
