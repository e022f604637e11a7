"""Plain values as readable YAML that every reader takes for the same values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from pillion.image.pairfile.document import reads_as_text


class _Dumper(yaml.SafeDumper):
    """Block style without anchors; lists stand indented, as kubectl and most people write them."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # What PyYAML takes for text may be a number to Go's YAML (1e3, 0o17), which kubectl and Compose read it with.
    lines = text.split("\n")
    if not reads_as_text(text) or not all(line.isprintable() for line in lines):
        style: str | None = '"'
    else:
        style = "|" if "\n" in text.rstrip("\n") and not any(line[-1:].isspace() for line in lines) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def to_yaml(documents: Sequence[Any]) -> str:
    """The documents, one after the other, keys in their order."""
    return yaml.dump_all(
        documents, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100_000, default_flow_style=False
    )
