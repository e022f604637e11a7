"""The line of a field that a message names by its path."""

from __future__ import annotations

from pathlib import Path

import pytest

from pillion.image.lint.locate import lines_of
from tests.conftest import ORDERS

TEXT = """\
kind: Secret
data: {}
---
kind: Pod
spec:
  containers:
    - name: backend
      env:
        - name: PORT
          value: "1"
        - {name: A.B, value: x}
services:
  a.b:
    environment:
      c.d: e
"""


@pytest.mark.parametrize(
    "field, line",
    [
        ("spec.containers[0].env[0]", 9),
        ("spec.containers[0].env[1].name", 11),
        ("services.a.b.environment.c.d", 15),
        ("spec.containers[0].env[2]", None),
        ("spec.containers[1]", None),
        ("spec.nothing", None),
        ("kind[0]", None),
        ("ConfigMap settings: PORT", None),
    ],
)
def test_a_field_is_found_by_its_path(tmp_path: Path, field: str, line: int | None) -> None:
    """In whichever document has it; keys may hold dots, and what is not there has no line."""
    file = tmp_path / "pod.yaml"
    file.write_text(TEXT)
    assert lines_of(file, [field]).get(field) == line


def test_a_file_that_cannot_be_read_has_no_lines(tmp_path: Path) -> None:
    """Whoever reads it for what is in it says what is wrong."""
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [")
    assert lines_of(broken, ["a"]) == lines_of(tmp_path / "none.yaml", ["a"]) == {}


@pytest.mark.parametrize(
    "name, field", [("pod.yaml", "spec.containers[0].env[0]"), ("compose.yaml", "services.backend.environment.PORT")]
)
def test_the_samples_fields_are_where_they_say(name: str, field: str) -> None:
    """The line has the variable's name."""
    line = lines_of(ORDERS / name, [field])[field]
    assert "PORT" in (ORDERS / name).read_text().splitlines()[line - 1]
