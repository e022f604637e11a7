"""Kubernetes' `$(VAR)` references in environment values, commands and arguments.

https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
and, for the corners, k8s.io/kubernetes/third_party/forked/golang/expansion.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pillion.image.pairfile.variable import MAX_STRING_BYTES

_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")


def expand(text: str, env: Mapping[str, str]) -> str:
    """`text` with each `$(NAME)` replaced by its value; unknown names stay as written, `$$` is a literal `$`.

    Raises ValueError if the result is longer than Linux takes as one string (references to references multiply).
    """

    def value(reference: re.Match[str]) -> str:
        return "$" if reference[1] is None else env.get(reference[1], reference[0])

    growth = sum(len(value(reference)) - len(reference[0]) for reference in _REFERENCE.finditer(text))
    if len(text) + growth > MAX_STRING_BYTES:
        raise ValueError(f"is longer than {MAX_STRING_BYTES} bytes once expanded")
    return _REFERENCE.sub(value, text)
