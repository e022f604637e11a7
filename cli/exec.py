"""`pillion exec NAME`: become the program whose launch record `pillion enter` handed over."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from pillion.image.launch import DESCRIPTORS_VARIABLE, become, read_descriptors, take
from pillion.image.refusal import Refusal


def main(arguments: list[str]) -> NoReturn:
    """Becomes the program; the other one's record is closed first."""
    if arguments[:1] in (["-h"], ["--help"]):
        print("usage: pillion exec NAME\n\nIn the container only: supervisord starts `proxy` and `backend` by it.")
        sys.exit(0)
    descriptors = read_descriptors(os.environ.get(DESCRIPTORS_VARIABLE, ""))
    if len(arguments) != 1 or arguments[0] not in descriptors:
        raise Refusal("start a program", f"there is none of the name {arguments}", f"one of {sorted(descriptors)}")
    record = take(descriptors[arguments[0]])
    for descriptor in descriptors.values():
        os.close(descriptor)
    become(record)
