"""Claim 10: legacy backends on a VM, or a function, can stand behind the sidecar: over TLS, a round trip away."""

from __future__ import annotations

from pillion.compare.claims.claim import A_FEW, FAILS, HOLDS, UNSETTLED, Claim, Judgement
from pillion.compare.evidence.evidence import HTTP, HTTPS, PLAIN
from pillion.compare.result import Comparison


def judge(comparison: Comparison) -> Judgement:
    """Within the margin of latency, and nothing may fail."""
    evidence = comparison.evidence
    ways = {each.way: each for each in evidence.distances}
    if not all(way in ways for way in (PLAIN, HTTP, HTTPS)):
        return Judgement(UNSETTLED, why=evidence.why_not.get("distance", "--claims 10 measures it"))
    plain, secure = ways[PLAIN], ways[HTTPS]
    names = {PLAIN: "without a sidecar", HTTP: "through the sidecar", HTTPS: "through the sidecar, over TLS"}
    said = tuple(
        f"{each.round_trip_ms:g} ms away, {names[each.way]}: p50 {each.p50_us / 1000:.2f} ms, p99 "
        f"{each.p99_us / 1000:.2f} ms, {each.failed} of {each.requests} failed"
        for each in (ways[way] for way in (PLAIN, HTTP, HTTPS))
    )
    margin = max(comparison.margins.latency_us, comparison.margins.latency_share * plain.p50_us)
    low, high = secure.least_us - plain.most_us, secure.most_us - plain.least_us
    added = f"p50 {secure.p50_us - plain.p50_us:+.0f} us ({low:+.0f} to {high:+.0f})"
    said = (*said, f"added by the sidecar with TLS: {added}, margin {margin:.0f} us")
    if secure.failed or ways[HTTP].failed or low > margin:
        return Judgement(FAILS, said)
    return Judgement(HOLDS, said) if high <= margin else Judgement(UNSETTLED, said, A_FEW)


_ALL = "backend and sidecar as processes on any engine, a relay on loopback between them that delays every byte"
CLAIM = Claim(
    number=10,
    name="far backends",
    says="a backend elsewhere, on a VM or as a function, can stand behind the sidecar over TLS at little cost",
    measured={"direct": f"to the relay; {_ALL}", "shared": "not measured: it has its backend", "separate": _ALL},
    rule=(
        "by the p50 of three runs of each: holds where all of them over TLS are within the margin of latency above all "
        "without a sidecar, and no request failed; does not hold where all are beyond it, or one failed"
    ),
    judge=judge,
)
