"""What a user says against the policy's own judgement: stricter in general, milder by name with a reason (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pillion.image.environ.finding import Finding
from pillion.image.environ.names import SEPARATOR, Namespaces
from pillion.image.refusal import Refusal

# What runtimes, shells and Kubernetes set in every container: nobody can address these.
_SET_BY_ITSELF = frozenset(
    ("HOSTNAME", "TERM", "container", "PWD", "OLDPWD", "SHLVL", "_", "LINES", "COLUMNS", "DEBIAN_FRONTEND")
)


STRICT, VERBATIM = "PILLION_STRICT", "PILLION_VERBATIM"
# The options of commands that split, and what they set.
OPTIONS = {"--strict": STRICT, "--verbatim": VERBATIM}


def is_strict(environ: Mapping[str, str]) -> bool:
    """Whether it is asked that every name be addressed. Raises Refusal if it is neither 0 nor 1."""
    return _switch(environ, STRICT)


def is_verbatim(environ: Mapping[str, str]) -> bool:
    """Whether it is asked that nothing be changed by derivation. Raises Refusal if it is neither 0 nor 1."""
    return _switch(environ, VERBATIM)


def _switch(environ: Mapping[str, str], name: str) -> bool:
    value = environ.get(name, "")
    if value not in ("", "0", "1"):
        raise Refusal("split the environment", f"{name} is neither 0 nor 1", "set one of them")
    return value == "1"


def allowances(environ: Mapping[str, str]) -> dict[str, str]:
    """The names that PILLION_ALLOW takes findings from, and the reasons. Raises Refusal for a name without one."""
    reasons: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in environ.get("PILLION_ALLOW", "").split(";"))):
        name, _, reason = part.partition(":")
        if not name.strip() or not reason.strip():
            why = f"PILLION_ALLOW gives no reason for {name.strip()!r}" if name.strip() else "PILLION_ALLOW has no name"
            raise Refusal("split the environment", why, "write NAME: REASON; NAME: REASON")
        reasons[name.strip()] = reason.strip()
    return reasons


def allowed(findings: Iterable[Finding], reasons: Mapping[str, str]) -> tuple[Finding, ...]:
    """The findings, those that are allowed at S3 and with the reason."""
    return tuple(
        finding._replace(severity="S3", mend=f"allowed: {reasons[finding.subject]}")
        if finding.subject in reasons
        else finding
        for finding in findings
    )


def unaddressed(names: Iterable[str], namespaces: Namespaces) -> list[Finding]:
    """The findings under PILLION_STRICT: names that reached the backend because nobody said for whom they are."""
    return [
        Finding("S1", name, "is addressed to no program", f"write {namespaces.backend}{SEPARATOR}{name}")
        for name in names
        if name not in _SET_BY_ITSELF and not name.startswith("KUBERNETES_")
    ]
