"""`pillion build BASE -o OUT`: compose the combined image, or with `--check` only say what would collide."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

from pillion.cli.arguments import Arguments
from pillion.cli.build_report import as_document, show_check, show_findings, written
from pillion.cli.signals import stop_on_signals
from pillion.image.compose import composition
from pillion.image.compose.composition import Composition, Request
from pillion.image.compose.image import read_platform
from pillion.image.compose.layer_cache import cache_folder
from pillion.image.compose.media_types import DOCKER, OCI
from pillion.image.compose.merge import Options, created_at
from pillion.image.compose.reference import full_name, read_destination, read_reference
from pillion.image.environ.finding import refusing
from pillion.image.refusal import Refusal

WHAT = "build"
FORMATS = {"oci": OCI, "docker": DOCKER}
SEVERITIES = ("S0", "S1", "S2", "S3")


def main(arguments: list[str]) -> int:
    """0 when it is written; 1 if a check finds something at or above --fail-on; otherwise Refusal."""
    given = _parser().parse_args(arguments)
    if not given.check and not given.out:
        raise Refusal(WHAT, "there is no -o OUT", "name where to write, as in -o oci:combined, or only --check")
    if not given.check and not given.sidecar:
        raise Refusal(WHAT, "there is no --sidecar", "name the sidecar's image, as in --sidecar oci:sidecar")
    to = read_destination(given.out, WHAT) if given.out else None
    name = full_name(given.name, WHAT) if given.name else ""
    request = Request(
        base=read_reference(given.base, WHAT),
        sidecar=read_reference(given.sidecar, WHAT) if given.sidecar else None,
        options=Options(created_at(os.environ.get("SOURCE_DATE_EPOCH", "")), dict(given.env)),
        platform=read_platform(given.platform) if given.platform else None,
        verify=given.verify,
        rebase=given.rebase,
        family=FORMATS.get(given.format),
        cache=cache_folder(os.environ),
    )
    console, errors = Console(highlight=False), Console(stderr=True, highlight=False)
    with stop_on_signals(), _progress(errors) as step:
        composed = composition.compose(request, step)
        if given.check:
            return _check(composed, given, console)
        if stopping := refusing(composed.findings):
            raise Refusal("build the combined image", f"{given.base}: " + "; ".join(map(str, stopping)))
        assert to is not None
        digest = composition.write(composed, name, to, step)
    if given.json:
        print(json.dumps(written(composed, digest, to, name), indent=1))
        return 0
    show_findings([finding for finding in composed.findings if finding.severity != "S3"], errors)
    if (name or to.tag) and composition.unnamed_there(composed, to):
        errors.print("note: podman and skopeo find no tag of a Docker manifest in a layout; --format oci gives one")
    console.print(f"Written: {to}" + (f" ({name})" if name else ""), markup=False, soft_wrap=True)
    console.print(digest, markup=False, soft_wrap=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Arguments(
        "build",
        "Compose the combined image: the backend's image as it is, the sidecar's layer on top, a config for both.\n"
        "No daemon is needed. Images are oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME] or a path.",
        "pillion build oci:backend --sidecar oci:sidecar -o combined.tar --name orders:1",
    )
    parser.add_argument("base", metavar="BASE", help="the backend's image")
    parser.add_argument("-o", "--out", metavar="OUT", help="where to write; archives load in podman, docker and skopeo")
    parser.add_argument("--sidecar", metavar="S", help="the sidecar's image, its bare layer, or a combined image")
    parser.add_argument("--name", metavar="N", help="of the image, as in localhost/orders:1")
    parser.add_argument("--platform", metavar="P", help="one of an image for several, as in linux/amd64")
    env = "one more variable of the image, as in PROXY__LISTEN=:9090"
    parser.add_argument("--env", action="append", default=[], type=_variable, metavar="N=V", help=env)
    parser.add_argument("--format", choices=FORMATS, help="of the manifest (as the base's)")
    parser.add_argument("--rebase", action="store_true", help="BASE is a combined image: replace its sidecar")
    parser.add_argument("--check", action="store_true", help="write nothing: what would collide, and the result")
    parser.add_argument("--json", action="store_true", help="the same as JSON")
    parser.add_argument("--fail-on", default="S1", choices=SEVERITIES, help="what a check fails on (%(default)s)")
    trust = "trust the base: verify no layer, look at no file of it"
    parser.add_argument("--no-verify", dest="verify", action="store_false", help=trust)
    return parser


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name or "\0" in text:
        raise argparse.ArgumentTypeError(f"{name!r} is not NAME=VALUE")
    return name, value


def _check(composed: Composition, given: argparse.Namespace, console: Console) -> int:
    if given.json:
        print(json.dumps(as_document(composed), indent=1))
    else:
        show_check(composed, console)
    failing = SEVERITIES[: SEVERITIES.index(given.fail_on) + 1]
    return int(any(finding.severity in failing for finding in composed.findings))


@contextmanager
def _progress(console: Console) -> Iterator[composition.Progress]:
    """A bar on a terminal, nothing elsewhere."""
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(24),
        DownloadColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    tasks: dict[str, Any] = {}

    def step(what: str, total: int, done: int) -> None:
        if what not in tasks:
            tasks[what] = progress.add_task(what, total=total)
        progress.update(tasks[what], advance=done)

    with progress:
        yield step
