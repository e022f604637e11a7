"""An OCI image, or an archive of one, as a program: its ENV, its command, its ports. It has no lines to point to."""

from __future__ import annotations

import re
from pathlib import Path

from pillion.image.environ.lint.program import Declaration, Group, Place, Port, Program, Reading
from pillion.image.lint.tree import Unreadable
from pillion.image.lint.variable import check
from pillion.image.refusal import Refusal

_TRANSPORTS = ("oci:", "oci-archive:", "docker-archive:")


def is_image(path: Path, shown: str) -> bool:
    """Whether it is called an image, or is a folder or a file that holds one."""
    return shown.startswith(_TRANSPORTS) or path.suffix == ".tar" or (path / "oci-layout").is_file()


def read_image(shown: str) -> Reading:
    """The image's one program; of several platforms the first, which share their ENV. Raises Unreadable."""
    # Here and not above: decompressors and archives, which no other file kind needs, take a tenth of a second.
    from pillion.image.compose.environment import read_env
    from pillion.image.compose.load import load
    from pillion.image.compose.reference import read_reference

    place = Place(shown)
    try:
        image = load(read_reference(shown, f"read {shown}"), None, f"read {shown}").images[0]
    except Refusal as refusal:
        raise Unreadable(place, refusal.why, refusal.mend) from None
    settings = image.settings
    declared = {
        name: Declaration(name, value, place, "ENV of the image")
        for name, value in read_env(settings.get("Env") or []).items()
    }
    words = tuple(settings.get("Entrypoint") or ()) + tuple(settings.get("Cmd") or ())
    ports = tuple(Port(int(number), place) for number in re.findall(r"\b(\d{1,5})/tcp", " ".join(_exposed(settings))))
    name = image.name or shown
    program = Program(name, place, name, words, declared, ports)
    remarks = [remark for each in declared.values() for remark in check(each)]
    return Reading((Group(shown, place, (program,)),), tuple(remarks))


def _exposed(settings: object) -> list[str]:
    ports = settings.get("ExposedPorts") if isinstance(settings, dict) else None
    return [str(port) for port in ports or ()]
