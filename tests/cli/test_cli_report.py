"""`pillion report`: a comparison that was written, rendered again."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from pillion.compare.report.markdown import markdown
from pillion.compare.report.page import page
from tests.compare.made_up import documents
from tests.conftest import ENTRY


def report(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """What the command says of these arguments."""
    return subprocess.run([ENTRY, "report", *arguments], capture_output=True, text=True, timeout=60, check=False)


def test_the_page_and_the_markdown_come_from_the_file_alone(tmp_path: Path) -> None:
    """Without a file to write, Markdown on stdout; it is the same each time."""
    document = documents()["everything"]
    file, html, text = tmp_path / "result.json", tmp_path / "page.html", tmp_path / "summary.md"
    file.write_text(json.dumps(document))
    done = report(file, "--html", html, "--markdown", text)
    assert done.returncode == 0 and done.stdout == "" and f"Written: {html}" in done.stderr
    assert html.read_text() == page(document) and text.read_text() == markdown(document)
    assert report(file).stdout == markdown(document)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "No such file"),
        ("{", "it is not JSON"),
        ("{}", "it is not what --json writes"),
        (json.dumps({"version": 1, "layouts": {}}), "it is not what --json writes: KeyError"),
        (json.dumps({**documents()["old"], "claims": [{}]}), "it is not what --json writes"),
        (json.dumps({**documents()["old"], "layouts": {"direct": None}}), "it is not what --json writes"),
    ],
)
def test_what_is_no_comparison_is_refused(tmp_path: Path, text: str | None, why: str) -> None:
    """Exit code 2, in one line that names the file; nothing is written."""
    file, html = tmp_path / "result.json", tmp_path / "page.html"
    if text is not None:
        file.write_text(text)
    done = report(file, "--html", html)
    assert done.returncode == 2 and done.stderr.startswith(f"pillion: cannot read {file}: ") and why in done.stderr
    assert len(done.stderr.splitlines()) == 1 and not html.exists()
