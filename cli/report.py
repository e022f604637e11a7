"""`pillion report FILE.json`: a comparison that was written, as a page or as Markdown."""

from __future__ import annotations

import sys
from pathlib import Path

from pillion.cli.arguments import Arguments
from pillion.cli.pages import STDOUT, add_pages, write_pages
from pillion.compare.report.reading import read_document
from pillion.image.refusal import Refusal

MEND = "name what pillion compare --json wrote"


def main(arguments: list[str]) -> int:
    """Markdown on stdout where no file is named."""
    what = "Render a comparison that pillion compare --json wrote; without a file, Markdown on stdout."
    parser = Arguments("report", what, "pillion report result.json --html result.html")
    parser.add_argument("file", metavar="FILE.json", type=Path, help="what --json wrote")
    add_pages(parser)
    given = parser.parse_args(arguments)
    if given.html is None and given.markdown is None:
        given.markdown = STDOUT
    try:
        files, problems = write_pages(read_document(given.file), given)
    except OSError as error:
        raise Refusal(f"read {given.file}", error.strerror or str(error), MEND) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        why = str(error) if isinstance(error, ValueError) else f"it is not what --json writes: {error!r}"
        raise Refusal(f"read {given.file}", why, MEND) from error
    for file in files:
        print(f"Written: {file}", file=sys.stderr)
    for problem in problems:
        print(f"pillion: {problem}", file=sys.stderr)
    return 1 if problems else 0
