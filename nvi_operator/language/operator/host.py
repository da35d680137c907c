"""What an Operator document calls its machine, without a look at the rest of it: every command asks."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from nvi_operator.errors import SpecError
from nvi_operator.language.load.yaml_reader import parse
from nvi_operator.language.model.values import HOST_PATTERN
from nvi_operator.language.operator.values import may_have_operator

FILE = "operator.yaml"
_MOST_BYTES = 1 << 20


def host_beside(directory: Path) -> str | None:
    """`host` of the Operator document in a spec directory. What is wrong in it `nvictl validate` tells."""
    with suppress(OSError, SpecError):
        path = directory / FILE
        with open(path, "rb") as file:
            data = file.read(_MOST_BYTES)
        for document in parse(data, str(path)) if b"host" in data and may_have_operator(data) else ():
            root = document.data
            if isinstance(root, dict) and root.get("kind") == "Operator" and isinstance(root.get("spec"), dict):
                host = root["spec"].get("host")
                return host if isinstance(host, str) and HOST_PATTERN.fullmatch(host) else None
    return None
