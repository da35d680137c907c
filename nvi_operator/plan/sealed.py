"""JSON with a checksum of itself, for files that leave the machine: damaged or edited ones are refused. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from nvi_operator.plan.typed_json import written


def sealed(data: Mapping[str, Any]) -> bytes:
    """The data as a file has it: with a checksum."""
    text = _text(data)
    return text[:-1] + f',"sha256":"{hashlib.sha256(text).hexdigest()}"}}\n'.encode()


def opened(found: Mapping[str, Any]) -> dict[str, Any]:
    """What was sealed, from the JSON of the file. ValueError where it is something else."""
    rest = {name: value for name, value in found.items() if name != "sha256"}
    if found.get("sha256") != hashlib.sha256(_text(rest)).hexdigest():
        raise ValueError("its checksum differs: it was damaged or edited")
    return rest


def resealed(text: str) -> str:
    """A file whose values were replaced, with the checksum of those. ValueError where it is no JSON."""
    found = json.loads(text)
    found.pop("sha256", None)
    return sealed(found).decode()


def _text(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, separators=(",", ":"), sort_keys=True, default=written).encode()
