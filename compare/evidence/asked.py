"""What a pair's containers ask for: requests and limits, as Kubernetes and Compose files have them (pure)."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from pillion.compare.evidence.evidence import Asked
from pillion.image.pairfile.quantity import quantity
from pillion.image.pairfile.written import COMPOSE, Part, Written


def asked(written: Written) -> dict[str, Asked]:
    """By program. What is no quantity counts as not given: it is another command's to refuse."""
    read = _compose if written.form == COMPOSE else _kubernetes
    return {"backend": read(written.backend), "proxy": read(written.proxy)}


def _kubernetes(part: Part) -> Asked:
    resources = _mapping(part.values.get("resources"))
    limits = _mapping(resources.get("limits"))
    requests = {**limits, **_mapping(resources.get("requests"))}
    least, most = ((_number(each, "cpu"), _number(each, "memory")) for each in (requests, limits))
    return Asked(*least, *most)


def _compose(part: Part) -> Asked:
    resources = _mapping(_mapping(part.values.get("deploy")).get("resources"))
    limits, requests = (_mapping(resources.get(name)) for name in ("limits", "reservations"))
    return Asked(_number(requests, "cpus"), _size(requests), _number(limits, "cpus"), _size(limits))


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(values: dict[str, Any], name: str) -> float | None:
    try:
        return float(quantity(str(values[name])))
    except (KeyError, ValueError):
        return None


_UNITS = {"b": 1, "k": 2**10, "kb": 2**10, "m": 2**20, "mb": 2**20, "g": 2**30, "gb": 2**30, "": 1}


def _size(values: dict[str, Any]) -> float | None:
    text = str(values.get("memory", "")).strip().lower()
    digits = text.rstrip("bkmg")
    try:
        return float(Fraction(digits) * _UNITS[text[len(digits) :]])
    except (KeyError, ValueError, ZeroDivisionError):
        return None
