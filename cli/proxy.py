"""`pillion proxy`: the sidecar alone in front of any URL."""

from __future__ import annotations

import os
import sys
import textwrap
from pathlib import Path
from typing import NoReturn

from pillion.cli.arguments import Arguments
from pillion.image.launch import RUN_DIRECTORY_VARIABLE, SHUT_VARIABLE
from pillion.image.orphans import shut_out_peers
from pillion.proxy.server import serve
from pillion.proxy.settings import SETTINGS, SettingError, read_settings


def main(arguments: list[str]) -> NoReturn:
    """Settings come from the environment; the two that everybody needs are options too."""
    parser = Arguments(
        "proxy",
        f"Forward HTTP requests to one upstream. Every setting is an environment variable:\n\n{_settings()}",
        "pillion proxy --upstream http://127.0.0.1:8000 --listen 127.0.0.1:8080",
    )
    parser.add_argument("--upstream", metavar="URL", help="where requests go (UPSTREAM)")
    parser.add_argument(
        "--listen", metavar="ADDRESS", help="where they come in: HOST:PORT, https://HOST:PORT or unix:/PATH (LISTEN)"
    )
    given = parser.parse_args(arguments)
    if os.environ.pop(SHUT_VARIABLE, "") or os.getpid() == 1:
        # In a container: a backend of our uid has no business with our environment. Whoever measures there is root.
        shut_out_peers()
    environ = dict(os.environ)
    for name in ("UPSTREAM", "LISTEN"):
        if value := getattr(given, name.lower()):
            environ.pop(f"PROXY__{name}", None)
            environ[name] = value
    try:
        settings = read_settings(environ)
    except SettingError as error:
        print(f"pillion: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    run_directory = environ.get(RUN_DIRECTORY_VARIABLE)
    serve(settings, Path(run_directory) if run_directory else None)


def _settings() -> str:
    """The table, for a terminal: name, default and unit, meaning."""
    lines = []
    for row in SETTINGS:
        default = " ".join(part for part in (row.default or "-", "" if row.unit == "URL" else row.unit) if part)
        lines.append(f"  {row.name:22} {default}")
        lines.append(textwrap.fill(row.meaning, 78, initial_indent=" " * 6, subsequent_indent=" " * 6))
    return "\n".join(lines)
