"""Does a spec need `layers.py`? A quick answer, before anything is parsed. Most specs do not."""

from __future__ import annotations

from collections.abc import Mapping

from nvi_operator.language.load.yaml_errors import encoded
from nvi_operator.pattern import pattern

MARK = "${"  # begins a variable

_VARIABLE = MARK.encode()
_HOST = pattern(rb"""\bkind["']? *: *["']?Host\b""")


def has_layers(texts: Mapping[str, bytes | str]) -> bool:
    """May there be variables, address sets or documents of hosts in YAML files, by name?"""
    return any(
        _VARIABLE in data or b"addressSets" in data or may_have_host(data) for data in map(encoded, texts.values())
    )


def may_have_host(data: bytes) -> bool:
    return b"Host" in data and _HOST.search(data) is not None
