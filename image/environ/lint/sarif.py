"""Findings as a SARIF 2.1.0 log, which code-scanning services read (pure).

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from pillion.image.environ.lint.finding import RULES, LintFinding
from pillion.image.environ.lint.program import Place

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {"S0": "error", "S1": "error", "S2": "warning", "S3": "note"}
_IDS = tuple(RULES)


def sarif_log(
    findings: Sequence[LintFinding],
    allowed: Sequence[tuple[LintFinding, str]],
    broken: Sequence[tuple[Place, str]],
    version: str,
) -> dict[str, Any]:
    """`allowed` are findings with the reason for which they do not count; `broken` files that could not be read."""
    rules = [
        {"id": name, "shortDescription": {"text": f"{text[0].upper()}{text[1:]}."}} for name, text in RULES.items()
    ]
    results = [_result(finding) for finding in findings]
    results += [
        {**_result(finding), "suppressions": [{"kind": "external", "justification": reason}]}
        for finding, reason in allowed
    ]
    notifications = [
        {"level": "error", "message": {"text": why}, "locations": [_location(place)]} for place, why in broken
    ]
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "pillion env lint", "version": version, "rules": rules}},
                "columnKind": "unicodeCodePoints",
                "invocations": [
                    {"executionSuccessful": not broken, "toolExecutionNotifications": notifications},
                ],
                "results": results,
            }
        ],
    }


def _result(finding: LintFinding) -> dict[str, Any]:
    mend = f"; {finding.mend}" if finding.mend else ""
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": _IDS.index(finding.rule),
        "level": _LEVELS[finding.severity],
        "message": {"text": f"{finding.subject}: {finding.happens}{mend}"},
        "locations": [_location(finding.place)],
        "partialFingerprints": {"pillion/v1": _fingerprint(finding)},
        "properties": {
            "severity": finding.severity,
            "subject": finding.subject,
            "programs": list(finding.programs),
            "group": finding.group,
        },
    }
    if finding.also:
        result["relatedLocations"] = [
            {**_location(named.place), "message": {"text": named.why}} for named in finding.also
        ]
    return result


def _fingerprint(finding: LintFinding) -> str:
    """The same finding after lines were added above it: by what it is about and not by where it stands."""
    parts = (finding.rule, finding.subject, finding.place.file, finding.group, *finding.programs)
    return hashlib.sha256("\0".join(parts).encode(errors="surrogateescape")).hexdigest()


def _location(place: Place) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": {"uri": _uri(place.file)}}
    if place.line:
        region: Mapping[str, int] = {"startLine": place.line, "startColumn": max(place.column, 1)}
        physical["region"] = region
    return {"physicalLocation": physical}


def _uri(file: str) -> str:
    path = PurePath(file)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix(), safe="/:", errors="surrogateescape")
