"""`pillion env lint FILE...`: what would collide if these processes shared one container; never a value."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from typing import Any, NamedTuple

from pillion.cli.arguments import Arguments
from pillion.cli.printable import printable
from pillion.image.environ.catalogue import CATALOGUE, Catalogue
from pillion.image.environ.lint.finding import SEVERITIES, LintFinding
from pillion.image.environ.lint.judge import judge
from pillion.image.environ.lint.program import Place
from pillion.image.environ.lint.sarif import sarif_log
from pillion.image.lint.catalogue_file import read_catalogue
from pillion.image.lint.read import Read, Wish, read_files
from pillion.image.refusal import Refusal

_NOISE = "S3"


class Verdict(NamedTuple):
    """What was found, what of it was allowed and why, and what was read."""

    findings: list[LintFinding]
    allowed: list[tuple[LintFinding, str]]
    read: Read


def main(arguments: list[str]) -> int:
    """Lint the files: 0 nothing at or above --fail-on, 1 something, 2 a file could not be read."""
    given = _parser().parse_args(arguments)
    rows = read_catalogue(given.catalogue) if given.catalogue else ()
    catalogue = Catalogue((*rows, *CATALOGUE))
    allowed = dict(_allowance(text) for text in given.allow)
    read = read_files(given.files, Wish(tuple(given.profile), given.together))
    findings: list[LintFinding] = []
    passed: list[tuple[LintFinding, str]] = []
    for finding in judge(read.reading, catalogue):
        if finding.subject in allowed:
            passed.append((finding, allowed[finding.subject]))
        else:
            findings.append(finding)
    verdict = Verdict(findings, passed, read)
    if given.sarif:
        broken = [(each.place, each.why) for each in read.broken]
        print(json.dumps(sarif_log(findings, passed, broken, version("pillion")), indent=1))
    elif given.json:
        print(json.dumps(_document(verdict), indent=1))
    else:
        _show(verdict, everything=given.all)
    for unreadable in read.broken:
        print(f"pillion: cannot read {printable(str(unreadable))}", file=sys.stderr)
    if read.broken:
        return Refusal.exit_code
    return int(any(finding.severity <= given.fail_on for finding in findings))


def _parser() -> Arguments:
    parser = Arguments(
        "env lint",
        "What would collide if these processes shared one container, or does because they do.\n"
        "Reads Kubernetes manifests, Compose files, Containerfiles, supervisord.conf, .env files, OCI images,\n"
        "and sources that read variables.",
        "pillion env lint deploy/*.yaml Dockerfile supervisord.conf",
    )
    parser.add_argument("files", metavar="FILE", nargs="+", help="a file, a folder, oci:DIR or an image archive")
    parser.add_argument("--together", action="store_true", help="all files are of one container, whatever they say")
    parser.add_argument("--profile", action="append", default=[], metavar="NAME", help="a Compose profile; * for all")
    parser.add_argument("--catalogue", metavar="FILE", help="further variables and who reads them (docs/env.md)")
    parser.add_argument(
        "--allow", action="append", default=[], metavar="NAME=REASON", help="what is found of NAME does not count"
    )
    parser.add_argument(
        "--fail-on", choices=SEVERITIES, default="S1", help="exit 1 from this severity on (default %(default)s)"
    )
    parser.add_argument("--all", action="store_true", help="show what is noise (S3), too")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true")
    form.add_argument("--sarif", action="store_true", help="SARIF 2.1.0")
    return parser


def _allowance(text: str) -> tuple[str, str]:
    name, equals, reason = text.partition("=")
    if not name or not equals or not reason.strip():
        raise Refusal(
            "run pillion env lint", "--allow takes a name and a reason", 'as in --allow "PORT=only one reads it"'
        )
    return name, reason.strip()


def _show(verdict: Verdict, *, everything: bool) -> None:
    findings = verdict.findings
    for finding in findings:
        if everything or finding.severity != _NOISE:
            print(printable(str(finding)))
            for named in finding.also:
                print(printable(f"  {named.place}: {named.why}"))
    for finding, reason in verdict.allowed:
        print(printable(f"{finding.place}: allowed {finding.subject}: {reason} [{finding.rule}]"))
    for file, why in verdict.read.reading.skipped.items():
        print(printable(f"{file}: skipped: {why}"))
    print(_summary(verdict, everything=everything))


def _summary(verdict: Verdict, *, everything: bool) -> str:
    counts = {each: sum(finding.severity == each for finding in verdict.findings) for each in SEVERITIES}
    loud = ", ".join(f"{count} {each}" for each, count in counts.items() if count and (everything or each != _NOISE))
    quiet = f"; {counts[_NOISE]} more at S3 (--all)" if counts[_NOISE] and not everything else ""
    programs = sum(len(group.programs) for group in verdict.read.reading.groups)
    return f"{loud or 'no conflict'} among {programs} programs in {len(verdict.read.reading.groups)} containers{quiet}"


def _document(verdict: Verdict) -> dict[str, Any]:
    return {
        "version": 1,
        "findings": [_finding(finding) for finding in verdict.findings],
        "allowed": [{**_finding(finding), "reason": reason} for finding, reason in verdict.allowed],
        "skipped": dict(verdict.read.reading.skipped),
        "broken": [{**_place(each.place), "why": each.why, "mend": each.mend} for each in verdict.read.broken],
    }


def _finding(finding: LintFinding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "severity": finding.severity,
        "subject": finding.subject,
        **_place(finding.place),
        "happens": finding.happens,
        "mend": finding.mend,
        "programs": list(finding.programs),
        "group": finding.group,
        "seen_in": finding.seen_in,
        "also": [{**_place(named.place), "why": named.why} for named in finding.also],
    }


def _place(place: Place) -> dict[str, Any]:
    return dict(zip(("file", "line", "column"), place, strict=True))
