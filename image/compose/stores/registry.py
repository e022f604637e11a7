"""Registries, through skopeo: it knows how to log in, the mirrors and the certificates of registries.conf(5)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from pillion.image.compose.image import Platform
from pillion.image.compose.reference import LAYOUT, Reference
from pillion.image.compose.stores.directory import as_layout
from pillion.image.compose.stores.stored import MOVE_S
from pillion.image.refusal import Refusal

_MESSAGE = re.compile(r'level=(?:fatal|error) msg="((?:[^"\\]|\\.)*)"')


def pull(
    reference: Reference, platform: Platform | None, place: Callable[[str], Path], what: str, *, tls_verify: bool
) -> Reference:
    """Copies an image, or all of one for several platforms. Raises Refusal."""
    folder = place("pulled")
    chosen = ["--all"]
    asked: list[str] = []
    if platform:
        chosen = []
        for option, value in zip(("os", "arch", "variant"), platform, strict=True):
            asked += [f"--override-{option}", value] if value else []
    tls = [] if tls_verify else ["--src-tls-verify=false"]
    _skopeo(what, folder.parent, *asked, "copy", "--quiet", *chosen, *tls, str(reference), f"dir:{folder}")
    as_layout(folder, what)
    return Reference(LAYOUT, folder)


def push(layout: Path, to: Reference, what: str, *, tls_verify: bool) -> None:
    """All of a layout that holds one image or index; what the registry has is not sent. Raises Refusal."""
    tls = [] if tls_verify else ["--dest-tls-verify=false"]
    _skopeo(what, layout.parent, "copy", "--quiet", "--all", "--preserve-digests", *tls, f"oci:{layout}", str(to))


def _skopeo(what: str, temporary: Path, *arguments: str) -> None:
    executable = shutil.which("skopeo")
    if executable is None:
        mend = "install skopeo, or name an image in a store, a layout or an archive"
        raise Refusal(what, "registries are reached through skopeo, which is not installed", mend)
    try:
        done = subprocess.run(
            [executable, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            env={**os.environ, "TMPDIR": str(temporary)},
            timeout=MOVE_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Refusal(what, f"skopeo did not end within {MOVE_S:g} s", "look at the registry") from error
    if done.returncode:
        raise Refusal(what, f"skopeo copy: {_said(done.stderr)}", "skopeo inspect tells whether it is there for you")


def _said(stderr: str) -> str:
    """Its last message as one line, without time and level."""
    messages = _MESSAGE.findall(stderr)
    text = messages[-1].replace('\\"', '"').replace("\\n", " ") if messages else stderr.strip().rpartition("\n")[2]
    return " ".join(text.split()) or "it said nothing"
