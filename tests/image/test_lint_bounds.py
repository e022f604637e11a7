"""What a file may be made to cost: references that multiply, words without end, programs without number."""

from __future__ import annotations

from pathlib import Path

import pytest

from pillion.image.environ.catalogue import Catalogue
from pillion.image.environ.lint.finding import LintFinding
from pillion.image.environ.lint.judge import MOST_PROGRAMS, judge
from pillion.image.environ.readers import command_words
from pillion.image.lint.read import Read, Wish, read_files
from tests.image.lint_files import write

LONG = "x" * 100_000
DOUBLED = 60
POD = "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n"


def judged(folder: Path, name: str, text: str) -> tuple[Read, list[LintFinding]]:
    """What comes of one file; that it comes at all within the test's time and this machine's memory is the point."""
    got = read_files(write(folder, {name: text}), Wish())
    return got, judge(got.reading, Catalogue())


def test_references_to_references_end(tmp_path: Path) -> None:
    """Sixty doublings of eight bytes would be some exabytes."""
    _, found = judged(tmp_path, "Dockerfile", "FROM x\nENV A=xxxxxxxx\n" + "ENV A=$A$A\n" * DOUBLED)
    assert ("size", "S1", "A") in {(each.rule, each.severity, each.subject) for each in found}
    lines = "".join(f"    - {{name: A{n}, value: '$(A{n - 1})$(A{n - 1})'}}\n" for n in range(1, DOUBLED))
    _, found = judged(tmp_path, "p.yaml", f"{POD}  - name: a\n    env:\n    - {{name: A0, value: {LONG}}}\n{lines}")
    assert {each.rule for each in found} >= {"size"}
    chain = "A0=xxxxxxxx\n" + "".join(f"A{n}=$A{n - 1}$A{n - 1}\n" for n in range(1, DOUBLED))
    got, _ = judged(tmp_path, "a.env", chain)
    assert "grows by more than" in got.broken[0].why and got.broken[0].place.line > 10


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Dockerfile", f"FROM x\nENV A={LONG}\n" + "".join(f"ENV B{n}=$A\n" for n in range(2000))),
        ("p.yaml", f"{POD}  - name: a\n    env:\n    - {{name: A, value: {LONG}}}\n"
            + "".join(f"    - {{name: B{n}, value: $(A)}}\n" for n in range(2000))),
    ],
)  # fmt: skip
def test_copies_of_one_long_value_are_not_kept_without_end(tmp_path: Path, name: str, text: str) -> None:
    """200 MB of them: what is beyond the account counts as unknown."""
    got, _ = judged(tmp_path, name, text)
    (program,) = got.reading.groups[0].programs
    known = [each for each in program.declared.values() if each.value is not None]
    assert len(program.declared) == 2001 and 100 < len(known) < 1000


def test_words_without_end_are_parted_by_white_space(tmp_path: Path) -> None:
    """What shlex takes grows with the square of a word: these would take minutes."""
    assert command_words("a 'b c'") == ("a", "b c") and command_words("a 'b") == ("a", "'b")
    assert command_words("'" + "x " * 3_000_000)[0] == "'x"
    million = "x" * 1_000_000
    for name, text in (
        ("a.sh", f"{'$' * 2_000_000}\n"),
        ("Dockerfile", f'FROM x\nCMD ["sh", "-c", "{million}"]\n'),
        ("b/Dockerfile", f"FROM x\nCMD {million}\n"),
        ("compose.yaml", f"services: {{a: {{command: '{million}'}}}}\n"),
        ("a.conf", f'[supervisord]\n[program:a]\ncommand=x "{million}"\n'),
    ):
        assert not judged(tmp_path, name, text)[0].broken
    _, found = judged(tmp_path, "b.conf", f'[supervisord]\nenvironment=A="{million}"\n')
    assert [each.subject for each in found if each.rule == "size"] == ["environment"]


def test_a_container_of_thousands_is_looked_at_in_part(tmp_path: Path) -> None:
    """Each would be compared with each."""
    lines = "".join(f"  - {{name: c{n}, env: [{{name: A{n}, value: x}}]}}\n" for n in range(3000))
    _, found = judged(tmp_path, "p.yaml", POD + lines)
    (size,) = (each for each in found if each.rule == "size")
    assert f"has 3000 programs, of which the first {MOST_PROGRAMS} are looked at" in size.happens
