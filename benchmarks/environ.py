"""`pillion env lint` against the frozen cases: how many incidents it names, how many false alarms, and how fast it is.

    python -m benchmarks.environ

A conflict counts as named when a finding has its name; as shown when one has it at S2 or above, which is what the
command prints by itself; as placed and rated when file and line, and severity, are right too. In the healthy cases
every finding at S0 or S1 is a false alarm. The cases were frozen before there was a rule
(tests/environ_cases/README.md).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pillion.image.environ.catalogue import Catalogue
from pillion.image.environ.lint.finding import LintFinding
from pillion.image.environ.lint.judge import judge
from pillion.image.lint.read import Wish, read_files
from tests.environ_cases import cases

LINES, FILES = 5000, 1000


class Result(NamedTuple):
    """One case with what was found of it, as the scoring takes it: also a finding's further places."""

    case: cases.Case
    findings: tuple[cases.Finding, ...]
    score: cases.Score

    @property
    def shown(self) -> int:
        """How many are named by what the command prints by itself."""
        loud = {finding.name for finding in self.findings if finding.severity < "S3"}
        return sum(not loud.isdisjoint(names) for names in map(_names, self.case.expected))


def _names(expected: cases.Expected) -> set[str]:
    return {expected.name, *expected.aka}


def results() -> list[Result]:
    """Every case linted as one call over all of its files, without an option."""
    return [_lint(case) for case in cases.load_all()]


def _lint(case: cases.Case) -> Result:
    folder = cases.FOLDER / ("healthy" if case.healthy else "incidents") / case.name
    files = [str(folder / file.name) for file in case.files]
    found = judge(read_files(files, Wish()).reading, Catalogue())
    scored = tuple(each for finding in found for each in _placed(case, finding))
    return Result(case, scored, cases.score(case, scored))


def _placed(case: cases.Case, finding: LintFinding) -> Iterator[cases.Finding]:
    for place in (finding.place, *(named.place for named in finding.also)):
        file = Path(place.file).name
        yield cases.Finding(case.name, file, place.line, finding.subject, finding.severity, finding.rule)


def report(found: list[Result]) -> str:
    """What of the incidents is named, with the names of the missed, and the false alarms."""
    incidents = [each for each in found if not each.case.healthy]
    healthy = [each for each in found if each.case.healthy]
    expected = sum(each.score.expected for each in incidents)
    lines = [f"{len(incidents)} incidents, {expected} conflicts expected"]
    for what, count in (
        ("named", sum(each.score.named for each in incidents)),
        ("shown by default", sum(each.shown for each in incidents)),
        ("placed", sum(each.score.placed for each in incidents)),
        ("rated", sum(each.score.rated for each in incidents)),
    ):
        lines.append(f"  {what:17} {count:3} of {expected}")
    for each in incidents:
        lines += [f"  missed: {missed.name} in {each.case.name} ({missed.needs})" for missed in each.score.missed]
    alarms = {(each.case.name, alarm.name, alarm.severity) for each in healthy for alarm in each.score.false_alarms}
    lines.append(f"{len(healthy)} healthy manifests, {len(alarms)} false alarms")
    lines += [f"  {severity} {name} in {case}" for case, name, severity in sorted(alarms)]
    return "\n".join(lines)


def _pod(number: int) -> str:
    """A Deployment of 25 lines with two containers."""
    return f"""apiVersion: apps/v1
kind: Deployment
metadata:
  name: orders-{number}
spec:
  template:
    spec:
      containers:
        - name: backend
          image: example/orders:{number}
          command: [gunicorn, "orders:app"]
          env:
            - {{name: PORT, value: "8000"}}
            - name: SECRET_KEY
              valueFrom:
                secretKeyRef: {{name: orders, key: backend}}
            - name: LOG_LEVEL
              value: info
        - name: proxy
          image: nginx
          env:
            - name: PORT
              value: "8080"
            - name: LOG_LEVEL
              value: warn
"""


def _seconds(files: list[str]) -> float:
    start = time.perf_counter()
    judge(read_files(files, Wish()).reading, Catalogue())
    return time.perf_counter() - start


def speed() -> str:
    """Seconds over one manifest of 5,000 lines, and over 1,000 files, without the start of Python."""
    with tempfile.TemporaryDirectory(prefix="pillion-bench-") as folder:
        one = Path(folder, "one.yaml")
        text = "---\n".join(_pod(number) for number in range(LINES // 25))
        one.write_text(text)
        many = [Path(folder, f"{number}.yaml") for number in range(FILES)]
        for number, path in enumerate(many):
            path.write_text(_pod(number))
        single, thousand = _seconds([str(one)]), _seconds([str(path) for path in many])
    lines = text.count("\n")
    return f"{lines} lines in one file: {single:.2f} s\n{FILES} files: {thousand:.2f} s"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    print(report(results()))
    print(speed())
    return 0


if __name__ == "__main__":
    sys.exit(main())
