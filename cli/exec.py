"""`pillion exec NAME`: become the program whose launch record `pillion enter` handed over."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from pillion.image.launch import DESCRIPTORS_VARIABLE, become, read_descriptors, say_refused, take
from pillion.image.refusal import Failure, Refusal


def main(arguments: list[str]) -> NoReturn:
    """Becomes the program; what was handed over is closed first, or by the exec itself."""
    if arguments[:1] in (["-h"], ["--help"]):
        print("usage: pillion exec NAME\n\nIn the container only: supervisord starts `proxy` and `backend` by it.")
        sys.exit(0)
    descriptors = read_descriptors(os.environ.get(DESCRIPTORS_VARIABLE, ""))
    if len(arguments) != 1 or arguments[0] not in descriptors:
        raise Refusal("start a program", f"there is none of the name {arguments}", f"one of {sorted(descriptors)}")
    own = descriptors[arguments[0]]
    record = take(own.record)
    for descriptor in {each for handed in descriptors.values() for each in handed} - {own.refused}:
        os.close(descriptor)
    os.set_inheritable(own.refused, False)
    try:
        become(record)
    except Failure:
        say_refused(own.refused)
        raise
