"""The resources of two containers as those of one (pure).

https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from pillion.image.pairfile.quantity import quantity
from pillion.image.refusal import Refusal

_BINARY = ("Ei", "Pi", "Ti", "Gi", "Mi", "Ki")


def summed(what: str, one: dict[str, Any], other: dict[str, Any], notices: list[str]) -> dict[str, Any]:
    """Requests add up (one that is missing is its limit, else nothing). A limit that only one has cannot be added to
    anything: then there is none. Raises Refusal for what is no quantity."""
    result: dict[str, Any] = {}
    limits = [each.get("limits") or {} for each in (one, other)]
    requests = [{**limit, **(each.get("requests") or {})} for limit, each in zip(limits, (one, other), strict=True)]
    total = {name: _sum(what, name, requests[0].get(name), requests[1].get(name)) for name in requests[0] | requests[1]}
    if total:
        result["requests"] = total
    most: dict[str, str] = {}
    for name in limits[0] | limits[1]:
        if name in limits[0] and name in limits[1]:
            most[name] = _sum(what, name, limits[0][name], limits[1][name])
        elif "/" in name or name.startswith("hugepages-"):
            most[name] = str((limits[0] | limits[1])[name])  # a device is one program's alone, and needs its limit
        else:
            notices.append(f"resources.limits.{name}: only one of the two containers has it, so the shared has none")
    if most:
        result["limits"] = most
    claims = [claim for each in (one, other) for claim in each.get("claims") or []]
    if claims:
        result["claims"] = [claim for at, claim in enumerate(claims) if claim not in claims[:at]]
    return result


def _sum(what: str, name: str, *amounts: Any) -> str:
    given = [str(amount) for amount in amounts if amount is not None]
    if len(given) == 1:
        return given[0]
    try:
        return _written(name, sum((quantity(amount) for amount in given), Fraction(0)))
    except ValueError as error:
        raise Refusal(what, f"resources: {name} {error}", 'write "500m" or "128Mi", say') from None


def _written(name: str, amount: Fraction) -> str:
    if name == "cpu":
        millis = math.ceil(amount * 1000)
        return str(millis // 1000) if millis % 1000 == 0 else f"{millis}m"
    whole = math.ceil(amount)
    for power, unit in zip(range(6, 0, -1), _BINARY, strict=True):
        if whole and whole % 1024**power == 0:
            return f"{whole // 1024**power}{unit}"
    return str(whole)
