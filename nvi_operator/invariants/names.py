"""Entries of the spec in messages."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from nvi_operator.language.load.yaml_reader import Path
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.wording import listed


def entry_words(spec: GatewaySpec, paths: Sequence[Path]) -> str:
    """`static 'host' and sourceNat 'all', 'lan'`"""
    return " and ".join(
        f"{section} {listed(repr(entry_name(spec, path)) for path in of_section)}"
        for section, of_section in groupby(paths, key=lambda path: str(path[1]))
    )


def entry_name(spec: GatewaySpec, path: Path) -> str:
    """The entry at this path, as the spec calls it. LookupError for another path."""
    match path[1:]:
        case ("sourceNat", int(number)):
            return spec.source_nat[number].name
        case ("routes", int(number)):
            return spec.routes[number].name
        case (_, name):
            return str(name)
    raise LookupError(path)
