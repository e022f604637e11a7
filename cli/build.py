"""`pillion build BASE -o OUT`: compose the combined image, or with `--check` only say what would collide."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pillion.cli.arguments import Arguments
from pillion.cli.build_document import as_document, written
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
    if to and to.name and name:
        raise Refusal(WHAT, f"--name {given.name} and -o {given.out} both name the image", "leave --name out")
    request = Request(
        base=read_reference(given.base, WHAT),
        sidecar=read_reference(given.sidecar, WHAT) if given.sidecar else None,
        options=Options(created_at(os.environ.get("SOURCE_DATE_EPOCH", "")), dict(given.env)),
        platform=read_platform(given.platform) if given.platform else None,
        verify=given.verify,
        rebase=given.rebase,
        family=FORMATS.get(given.format),
        cache=cache_folder(os.environ),
        to=to,
        tls_verify=given.tls_verify,
    )
    with stop_on_signals(), _progress() as step:
        composed = composition.compose(request, step)
        try:
            if given.check:
                return _check(composed, given)
            if stopping := refusing(composed.findings):
                raise Refusal("build the combined image", f"{given.base}: " + "; ".join(map(str, stopping)))
            assert to is not None
            digest = composition.write(composed, name, to, step)
        finally:
            composed.close()
    if given.json:
        print(json.dumps(written(composed, digest, to, name), indent=1))
        return 0
    if findings := [finding for finding in composed.findings if finding.severity != "S3"]:
        from pillion.cli.build_report import show_findings

        show_findings(findings)
    if (name or to.tag) and composition.unnamed_there(composed, to):
        note = "note: podman and skopeo find no tag of a Docker manifest in a layout; --format oci gives one"
        print(note, file=sys.stderr)
    if why := composition.not_for_docker(composed, to):
        print(f"note: podman and skopeo load this archive, docker 20.10 does not: {why}", file=sys.stderr)
    print(f"Written: {to}" + (f" ({name})" if name else ""))
    print(digest)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Arguments(
        "build",
        "Compose the combined image: the backend's image as it is, the sidecar's layer on top, a config for both.\n"
        "Images are files, for which no daemon is needed: oci:DIR[:TAG], oci-archive:FILE[:TAG],\n"
        "docker-archive:FILE[:NAME] or a path; or they stand in the store of podman, containers-storage:NAME, or of\n"
        "docker, docker-daemon:NAME, where the backend's layers stay if the result goes there too; or in a registry,\n"
        "docker://REGISTRY/NAME (needs skopeo).",
        "pillion build containers-storage:backend --sidecar containers-storage:sidecar -o containers-storage:orders:1",
    )
    parser.add_argument("base", metavar="BASE", help="the backend's image")
    parser.add_argument(
        "-o", "--out", metavar="OUT", help="where to write; an archive loads in podman, docker and skopeo"
    )
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
    tls = "=false: the registry may speak plain HTTP, or have a certificate that nobody knows"
    parser.add_argument("--tls-verify", type=_truth, default=True, metavar="BOOL", help=tls)
    trust = "trust the base: verify no layer, look at no file of it"
    parser.add_argument("--no-verify", dest="verify", action="store_false", help=trust)
    return parser


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name or "\0" in text:
        raise argparse.ArgumentTypeError(f"{name!r} is not NAME=VALUE")
    return name, value


def _truth(text: str) -> bool:
    if text not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r} is not true or false")
    return text == "true"


def _check(composed: Composition, given: argparse.Namespace) -> int:
    if given.json:
        print(json.dumps(as_document(composed), indent=1))
    else:
        from pillion.cli.build_report import show_check

        show_check(composed)
    failing = SEVERITIES[: SEVERITIES.index(given.fail_on) + 1]
    return int(any(finding.severity in failing for finding in composed.findings))


@contextmanager
def _progress() -> Iterator[composition.Progress]:
    """A bar on a terminal, nothing elsewhere; what draws it takes as long to import as all the rest."""
    if not sys.stderr.isatty():
        yield lambda what, total, done: None
        return
    from pillion.cli.build_report import bar

    with bar() as step:
        yield step
