"""The concerns as values and functions: no socket, no WSGI, and a clock of the test's own."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pillion.proxy.concerns.chain import Chain, chain_of
from pillion.proxy.concerns.correlation import Correlation
from pillion.proxy.concerns.edits import NO_EDITS, Edits, canonical
from pillion.proxy.concerns.headers import header_rules
from pillion.proxy.concerns.passage import Asked, Passage
from pillion.proxy.concerns.rate_limit import Buckets, RateLimit, client_of
from pillion.proxy.concerns.settings import CONCERN_SETTINGS, read_embedded
from pillion.proxy.errors import Declined
from pillion.proxy.setting import SettingError
from pillion.proxy.settings import read_settings
from pillion.proxy.values import peers, rate

SECOND = 10**9
TRACEPARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def asked(*fields: tuple[bytes, bytes], address: bytes = b"192.0.2.1", trusted: bool = False) -> Asked:
    """A request with these fields."""
    return Asked(b"GET", b"/", [(name, name.lower(), value) for name, value in fields], address, trusted)


# Edits

names = st.sampled_from([b"A", b"a", b"B-C", b"b_c", b"D"])
fields = st.lists(st.tuples(names, st.sampled_from([b"1", b"2"])), max_size=5)
edits = st.builds(
    lambda drop, add: Edits(frozenset(map(canonical, drop)), tuple(add)), st.frozensets(names, max_size=3), fields
)


@settings(deadline=None)
@given(edits, edits, fields)
def test_two_edits_made_one_do_what_both_do_in_turn(first, second, given_fields):
    """On any fields; and nothing stays of a name in another spelling."""
    assert first.then(second).apply(given_fields) == second.apply(first.apply(given_fields))
    left = second.keep(first.apply(given_fields))
    assert not {canonical(name) for name, _ in left} & second.drop


# Rate limit


@settings(deadline=None)
@given(
    st.floats(0.01, 5000), st.integers(1, 50), st.lists(st.integers(0, 3 * SECOND), max_size=80), st.integers(0, 10**18)
)
def test_no_stretch_of_time_lets_more_pass_than_burst_and_rate(per_second, burst, pauses, start):
    """Whatever the arrivals; and who waits as long as he is told passes, while one nanosecond less is too early."""
    buckets = Buckets(per_second, burst, 10)
    interval = round(SECOND / per_second)
    now, passed = start, []
    for pause in pauses:
        now += pause
        missing = buckets.take(b"k", now)
        if missing:
            assert buckets.take(b"k", now + missing - 1) > 0
            now += missing
            assert buckets.take(b"k", now) == 0
        passed.append(now)
    for first in range(len(passed)):
        for last in range(first, len(passed)):
            assert last - first + 1 <= burst + (passed[last] - passed[first]) // interval + 1


def test_a_burst_passes_and_then_the_rate():
    """Ten at once, the eleventh has to wait, one more each tenth of a second, and a rest fills the bucket again."""
    buckets = Buckets(10, 10, 5)
    assert [buckets.take(b"a", 7) for _ in range(11)] == [0] * 10 + [SECOND // 10]
    assert buckets.take(b"a", 7 + SECOND // 10) == 0
    assert buckets.take(b"a", 7 + SECOND // 10) == SECOND // 10
    assert [buckets.take(b"a", 10 * SECOND) for _ in range(11)].count(0) == 10
    assert buckets.take(b"b", 10 * SECOND) == 0, "another's bucket is its own"


def test_memory_is_bounded_and_those_seen_last_are_known():
    """A million addresses leave as many buckets as are allowed; one that comes again and again is not forgotten."""
    buckets = Buckets(0.001, 1, 100)
    assert buckets.take(b"often", 0) == 0
    for number in range(2000):
        buckets.take(b"%d" % number, number)
        assert buckets.take(b"often", number) > 0
    assert len(buckets) == 100


def test_what_is_declined_says_when_to_come_again():
    """429, with whole seconds, never too early."""
    now = 0
    limit = RateLimit(Buckets(0.4, 1, 10), peers("10.0.0.1"), by_client=True, clock=lambda: now)
    assert limit.request(Passage(asked())) == NO_EDITS
    with pytest.raises(Declined, match="too many requests") as caught:
        limit.request(Passage(asked()))
    assert (caught.value.status, caught.value.retry_after) == (429, 3)
    limit.request(Passage(asked(address=b"192.0.2.2")))
    now = 3 * SECOND
    limit.request(Passage(asked()))


@pytest.mark.parametrize(
    ("forwarded", "trusted", "expected"),
    [
        ([], True, b"10.0.0.1"),
        ([b"203.0.113.9"], True, b"203.0.113.9"),
        ([b"203.0.113.9"], False, b"10.0.0.1"),
        ([b"198.51.100.1, 203.0.113.9"], True, b"203.0.113.9"),
        ([b"198.51.100.1", b"203.0.113.9, 10.0.0.2"], True, b"203.0.113.9"),
        ([b"10.0.0.3, 10.0.0.2"], True, b"10.0.0.3"),
        ([b"203.0.113.9, nonsense"], True, b"10.0.0.1"),
        ([b"nonsense, 10.0.0.2"], True, b"10.0.0.2"),
        ([b"203.0.113.9:4711"], True, b"203.0.113.9"),
        ([b"[2001:db8:1:2::9]:4711"], True, b"2001:db8:1:2::"),
        ([b"2001:DB8:1:2:ffff:ffff:ffff:ffff"], True, b"2001:db8:1:2::"),
        ([b"::ffff:203.0.113.9"], True, b"203.0.113.9"),
        ([b""], True, b"10.0.0.1"),
    ],
)
def test_whom_a_request_is_from(forwarded, trusted, expected):
    """The last one that a trusted peer speaks for; what the client says of itself is not believed."""
    given_fields = [(b"X-Forwarded-For", value) for value in forwarded]
    found = client_of(asked(*given_fields, address=b"10.0.0.1", trusted=trusted), peers("10.0.0.0/8"))
    assert found == expected


def test_a_peer_without_an_address_is_one_client():
    """One behind a unix socket that says nothing of its clients."""
    assert client_of(asked(address=b"unknown", trusted=True), peers("10.0.0.0/8")) == b"unknown"


@pytest.mark.parametrize(
    ("text", "per_second"), [("", 0), ("100", 100), ("100/s", 100), ("60/m", 1), ("1800/h", 0.5), ("0.5 / s", 0.5)]
)
def test_rates(text, per_second):
    """A second, unless a unit says otherwise; none for no limit."""
    assert rate(text) == per_second


# Correlation


def correlated(*given_fields: tuple[bytes, bytes], traceparent: bool = True) -> tuple[Passage, Edits]:
    """The passage, with ids that can be told from any other, and what changes."""
    passage = Passage(asked(*given_fields))
    concern = Correlation(b"X-Request-ID", traceparent, lambda size: bytes(range(1, size + 1)))
    return passage, concern.request(passage)


MADE = b"0102030405060708090a0b0c0d0e0f10"


@pytest.mark.parametrize("good", [b"7", b"a" * 128, b"req_1/2:3.4~5+6=7@8-9"])
def test_a_good_id_is_the_clients(good):
    """It stands once, in our spelling, on both ways."""
    passage, changed = correlated((b"x-request-id", good), (b"X_Request_Id", b"other"))
    assert passage.request_id == good
    kept = changed.apply([(b"x-request-id", good), (b"X_Request_Id", b"other"), (b"Accept", b"*")])
    assert kept[0] == (b"Accept", b"*") and kept[-1] == (b"X-Request-ID", good)
    assert len([name for name, _ in kept if canonical(name) == b"x-request-id"]) == 1


@pytest.mark.parametrize("bad", [b"", b"a" * 129, b"a b", b'"a"', b"a,b", b"-a", b"\xe4", b"a\tb", b"{x}"])
def test_a_bad_id_is_replaced(bad):
    """Empty, long, or nothing that one would want in a log."""
    passage, _ = correlated((b"X-Request-ID", bad))
    assert passage.request_id == MADE
    passage, _ = correlated((b"X-Request-ID", b"a"), (b"X-Request-ID", b"b"))
    assert passage.request_id == MADE, "two are none"


@pytest.mark.parametrize(
    "good", [TRACEPARENT, TRACEPARENT[:-1] + b"0", b"cc" + TRACEPARENT[2:], b"cc" + TRACEPARENT[2:] + b"-more"]
)
def test_a_good_traceparent_goes_through(good):
    """Its tracestate too; a new request's id is the trace's, a client's own stays."""
    sent = [(b"traceparent", good), (b"tracestate", b"a=b")]
    passage, changed = correlated(*sent)
    assert changed.apply(sent)[:2] == sent
    assert passage.request_id == b"4bf92f3577b34da6a3ce929d0e0e4736"
    assert correlated(*sent, (b"X-Request-ID", b"own"))[0].request_id == b"own"


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        TRACEPARENT + b"-more",
        TRACEPARENT.upper(),
        TRACEPARENT[:-1],
        b"ff" + TRACEPARENT[2:],
        b"cc" + TRACEPARENT[2:] + b"more",
        b"00-" + b"0" * 32 + TRACEPARENT[35:],
        TRACEPARENT[:36] + b"0" * 16 + b"-01",
    ],
)
def test_a_bad_traceparent_is_replaced_with_its_state(bad):
    """As the W3C asks for: a new trace begins, and a state without its parent goes."""
    sent = [(b"Traceparent", bad), (b"TraceState", b"a=b")]
    passage, changed = correlated(*sent)
    assert changed.apply(sent)[0] == (b"traceparent", b"00-%b-0102030405060708-01" % MADE)
    assert passage.request_id == MADE
    assert all(name.lower() != b"tracestate" for name, _ in changed.apply(sent))


def test_one_without_the_other():
    """A traceparent needs no request id, nor the reverse."""
    passage = Passage(asked())
    changed = Correlation(b"", True).request(passage)
    assert [name for name, _ in changed.add] == [b"traceparent"] and passage.request_id == b""
    assert Correlation(b"", True).response(passage, 200) == NO_EDITS
    assert [name for name, _ in correlated(traceparent=False)[1].add] == [b"X-Request-ID"]


def test_new_ids_differ():
    """And are 32 hexadecimal digits."""
    made = set()
    for _ in range(1000):
        passage = Passage(asked())
        Correlation(b"X-Request-ID", False).request(passage)
        made.add(passage.request_id)
    assert len(made) == 1000 and all(len(each) == 32 and int(each, 16) >= 0 for each in made)


# Header rules


def test_rules_in_their_order():
    """`set` leaves one field, `add` one more, `remove` none; a later rule sees what the earlier ones made."""
    rules = header_rules("set X-A: 1\nadd X-A:2\n\n  remove X-B  \nadd X-B: a | b\nset x_c:")
    sent = [(b"X-A", b"0"), (b"x-a", b"0"), (b"X-B", b"0"), (b"X-C", b"0"), (b"D", b"0")]
    assert rules.apply(sent) == [
        (b"D", b"0"), (b"X-A", b"1"), (b"X-A", b"2"), (b"X-B", b"a | b"), (b"x_c", b""),
    ]  # fmt: skip
    assert header_rules("remove A | set B: c; d, e") == Edits(frozenset((b"a", b"b")), ((b"B", b"c; d, e"),))
    assert header_rules("") == NO_EDITS


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("X-A: 1", "rule 1 is none"),
        ("set X-A: 1\nset X-B", "rule 2 is none"),
        ("remove X-A: 1", "rule 1"),
        ("set X A: secret", "rule 1"),
        ("set X-A: sécret", "rule 1"),
        ("add Content-Length: 5", "Content-Length is not to be changed"),
        ("remove Host", "Host is not"),
        ("set transfer_encoding: chunked", "transfer_encoding is not"),
        ("set Connection: close", "Connection is not"),
    ],
)
def test_rules_that_are_none(text, says):
    """Refused by their number, without their values; so are fields that say how long a message is or where it goes."""
    for name in ("REQUEST_HEADERS", "RESPONSE_HEADERS"):
        with pytest.raises(SettingError, match=f"cannot read {name}: .*{says}") as caught:
            read_settings({name: text})
        assert "cret" not in str(caught.value)


# The chain


def test_nothing_is_wanted_by_default():
    """Then there is no chain, and nothing to pay for."""
    assert chain_of(read_settings({})) is None
    assert chain_of(read_embedded({})) is None


def test_the_last_concern_has_the_last_word():
    """Names, then limits, then rules; those that were passed have their say in the answer of one that declines."""
    chain = chain_of(
        read_settings(
            {
                "REQUEST_ID": "on",
                "RATE_LIMIT": "1/h",
                "RATE_LIMIT_BURST": "1",
                "REQUEST_HEADERS": "remove X-Request-ID",
                "RESPONSE_HEADERS": "set Server: none",
            }
        )
    )
    assert isinstance(chain, Chain)
    for attempt in range(2):
        passage = Passage(asked((b"X-Request-ID", b"mine")))
        if attempt:
            with pytest.raises(Declined):
                chain.request(passage)
        else:
            chain.request(passage)
            assert passage.edits.apply([(b"X-Request-ID", b"mine")]) == []
        answer = chain.response(passage, 200).apply([(b"Server", b"x"), (b"X-Request-Id", b"theirs")])
        assert answer == [(b"X-Request-ID", b"mine"), (b"Server", b"none")]


def test_an_embedding_backend_reads_prefixed_names_only():
    """A bare RATE_LIMIT is the backend's own, and so is a LOG_LEVEL that we would not understand."""
    own = {"RATE_LIMIT": "lots", "LOG_LEVEL": "loud", "REQUEST_ID": "on", "PROXY__LOG_LEVEL": "loud"}
    assert chain_of(read_embedded(own)) is None
    assert read_embedded({**own, "PROXY__RATE_LIMIT": "60/m"}).rate_limit == 1
    with pytest.raises(SettingError, match="cannot read RATE_LIMIT: 'lots' is not a rate"):
        read_embedded({"PROXY__RATE_LIMIT": "lots"})
    assert {row.name for row in CONCERN_SETTINGS} >= {"REQUEST_ID", "FORWARDED_ALLOW_IPS"}


def test_embedding_needs_no_server():
    """The backend pays for no gevent and no second gunicorn."""
    code = "import sys, pillion.proxy.concerns.wsgi; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"gevent", "greenlet", "gunicorn", "httptools", "supervisor"} & set(done.stdout.split())
