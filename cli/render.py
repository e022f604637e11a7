"""`pillion render PAIR --layout L --to T`: the pair as a file for another platform."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import sys
from pathlib import Path

from pillion.cli.arguments import Arguments, writable_file
from pillion.cli.pair import add_pair, read_written
from pillion.compare.render import IMAGE_NAME, LAYOUTS, TARGETS, Request
from pillion.image.refusal import Failure, Refusal


def main(arguments: list[str]) -> int:
    """The file on standard output or in -o FILE, what its reader should know on standard error."""
    parser = Arguments(
        "render",
        "Print the pair as a manifest, a Compose file or a Containerfile, in one container or in two.\n"
        "References to Secrets and ConfigMaps stay references; values that look secret are left out and named.",
        "pillion render pod.yaml --layout shared --to kubernetes | kubectl apply -f -",
    )
    add_pair(parser)
    parser.add_argument("--layout", default="shared", choices=LAYOUTS, help="default: %(default)s")
    parser.add_argument("--to", required=True, choices=TARGETS, help="what to render")
    parser.add_argument("-o", "--out", type=writable_file, metavar="FILE", help="write there, and print nothing")
    parser.add_argument(
        "--image", type=_image_name, metavar="NAME", help="of the combined image (the backend's, -combined)"
    )
    native = "kubernetes, separate: the proxy as an init container that keeps running (1.29)"
    parser.add_argument("--native-sidecar", action="store_true", help=native)
    with_secrets = "write the values that look secret, too"
    parser.add_argument("--with-secrets", action="store_true", help=with_secrets)
    given = parser.parse_args(arguments)
    if given.native_sidecar and (given.to, given.layout) != ("kubernetes", "separate"):
        why = "--native-sidecar has a meaning for --to kubernetes --layout separate only"
        raise Refusal("render the pair", why, "leave it out")
    pair, written = read_written(given)
    command = shlex.join(["pillion", "render", *arguments])
    request = Request(pair, written, given.layout, given.image or "", command, given.native_sidecar, given.with_secrets)
    rendered = TARGETS[given.to](request)
    for notice in rendered.notices:
        print(f"note: {notice}", file=sys.stderr)
    if given.out:
        _write(given.out, rendered.text, 0o600 if rendered.secret else 0o666)
    else:
        print(rendered.text, end="", flush=True)
    return 0


def _image_name(text: str) -> str:
    if not IMAGE_NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no name of an image")
    return text


def _write(path: Path, text: str, mode: int) -> None:
    """Beside, then renamed: never half a file. A device or a pipe is written to, and a link followed."""
    target = path.resolve()
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")
            return
        with open(beside, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            file.write(text)
        beside.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise Failure(f"write {path}", error.strerror or str(error), "choose another file") from error
