"""The page and the Markdown: functions of the JSON document alone, with whatever it holds shown as text."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pillion.compare.report.document import document
from pillion.compare.report.markdown import markdown
from pillion.compare.report.page import page
from pillion.compare.report.reading import read_document
from tests.compare.made_up import HOSTILE, documents, full

DOCUMENTS = documents()
VOID = {"meta", "link", "br", "img", "input", "hr"}


class Tags(HTMLParser):
    """Which elements a page opens, and whether each is closed where it should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.links: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_page_is_well_formed_and_asks_for_nothing(name: str) -> None:
    """Every element closed; links lead within the page, and each to something; no script."""
    text = page(DOCUMENTS[name])
    tags = Tags(text)
    assert "script" not in tags.seen and (name == "nothing") != ("svg" in tags.seen)
    anchors = {link for link in tags.links if link != "data:,"}
    assert all(link.startswith("#") and f'id="{link[1:]}"' in text for link in anchors)
    assert "url(" not in text and "@import" not in text


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_was_written_can_be_rendered_again(name: str, tmp_path: Path) -> None:
    """From the file, the same page and the same Markdown, time after time."""
    file = tmp_path / "result.json"
    file.write_text(json.dumps(DOCUMENTS[name]))
    again = read_document(file)
    assert page(again) == page(DOCUMENTS[name]) and markdown(again) == markdown(DOCUMENTS[name])


def test_a_hostile_name_stays_text() -> None:
    """In the page, in the names of pictures, and in Markdown, where it must mention nobody and break no table."""
    text = page(DOCUMENTS["hostile"])
    assert HOSTILE not in text and "&lt;script&gt;" in text
    name = "a|b`c`*d* [e](f) @everyone\n# g"
    said = markdown(document(full(("shared", "separate"), 8, pair=full().pair._replace(name=name, source=HOSTILE))))
    assert HOSTILE not in said and "&lt;script&gt;" in said
    assert said.splitlines()[0] == (r"### a\|b\`c\`\*d\* \[e\](f) &#64;everyone \# g: one container or two")


def test_the_verdicts_come_first_with_their_numbers() -> None:
    """Before any other section; what would have to matter comes last."""
    text = page(DOCUMENTS["everything"])
    sections = re.findall(r'<section id="(\w+)"', text)
    assert sections == [
        "verdicts", "figures", "claims", "experiments", "conflicts", "method", "machine", "decision"
    ]  # fmt: skip
    verdicts = text[text.index('id="verdicts"') : text.index('id="figures"')]
    assert "does not hold" in verdicts and re.search(r"memory \(PSS\) \+\d+\.\d MiB \[\+\d", verdicts)


def test_every_difference_that_a_claim_rests_on_is_drawn() -> None:
    """Whichever layout it is taken from."""
    claims = {claim["name"]: claim for claim in DOCUMENTS["everything"]["claims"]}
    for name, pairs in (
        ("memory", [("shared", "separate")]),
        ("memory, embedded", [("embedded", "shared"), ("embedded", "separate")]),
        ("latency", [("shared", "direct"), ("shared", "direct"), ("separate", "direct"), ("separate", "direct")]),
    ):
        drawn = claims[name]["differences"]
        assert [(each["one"], each["other"]) for each in drawn] == pairs and len(claims[name]["evidence"]) == len(drawn)


def test_what_was_gathered_besides_is_drawn() -> None:
    """Edits by program, the edit in an IDE beside that in shared, and the way to a backend that is far away."""
    text = page(DOCUMENTS["everything"])
    for said in (
        "Edits. shared: edit of the backend: 3.10 s, edit of the proxy: 2.60 s; separate: edit of the backend: 1.90 s",
        "Edits of the backend. remote: 0.60 s; shared: 3.10 s; separate: 1.90 s",
        "Latency, p50. no sidecar: 21.40 ms; sidecar: 21.90 ms; with TLS: 22.30 ms",
        "p50 to a backend 20 ms away",
    ):
        assert said in text, said
    alone = {**DOCUMENTS["everything"], "evidence": {"edits": [], "distances": []}}
    assert not any(f"{said}." in page(alone) for said in ("Edits", "Edits of the backend", "Latency, p50"))


def test_the_page_has_what_a_sceptic_asks_for() -> None:
    """The machine, the date, the versions, the command; programs, layers and what an update ships."""
    text = page(DOCUMENTS["everything"])
    for said in (
        "AMD EPYC 9B14 (2 processors, virtual)", "8.0 GiB", "Debian GNU/Linux 12, 6.1.0-18", "24 November 2026",
        "4.3.1 (each layout in a pod of its own)", "pillion compare pod.yaml --engine podman", "supervisord: 19",
        "A change of the sidecar", "signed-rank", "98.75%", "one container stays outside".capitalize(),
    ):  # fmt: skip
        assert said in text, said
    assert "the-value" not in text + json.dumps(DOCUMENTS["everything"])


def test_markdown_is_short_and_folds_the_rest() -> None:
    """Verdicts, one table and the intervals of the two layouts are what is open."""
    said = markdown(DOCUMENTS["everything"])
    outside = re.sub(r"<details>.*?</details>", "", said, flags=re.S)
    assert len(outside.splitlines()) < 95 and said.count("<details>") == said.count("</details>") == 4
    assert "| latency p50, ms |" in outside and "**does not hold**" in outside and "- p50 +" in outside
    assert outside.index("**What would have to matter to you**") > outside.index("| latency p50, ms |")
    widths = {line.count("|") - line.count(r"\|") for line in outside.splitlines() if line.startswith("| latency")}
    assert widths == {7}


def test_a_partial_run_says_so_first() -> None:
    """With how far it came."""
    text = page(DOCUMENTS["partial"])
    assert text.index("This run is partial") < text.index('id="verdicts"')
    assert "direct 3, shared 2 of 15 rounds" in text
    assert "**This run is partial:**" in markdown(DOCUMENTS["partial"])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it is not JSON"),
        ("[]", "it is not what --json writes"),
        ('{"layouts": {}}', "its version is None and not 1"),
        ('{"layouts": {}, "version": 2}', "its version is 2 and not 1"),
    ],
)
def test_what_is_no_comparison_is_refused(text: str, why: str, tmp_path: Path) -> None:
    """With the reason."""
    file = tmp_path / "result.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=re.escape(why)):
        read_document(file)


def test_half_a_document_is_no_page() -> None:
    """An error that the command line can tell, and not half a page."""
    for name in ("pair", "claims", "differences", "conflicts", "not_measured", "schedule"):
        half = {key: value for key, value in DOCUMENTS["everything"].items() if key != name}
        with pytest.raises((KeyError, TypeError)):
            page(half)
