"""JSON with a checksum of itself and the version that wrote it, for files that another nvictl may read: damaged or
edited ones are refused. Pure.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from nvi_operator import __version__
from nvi_operator.errors import printable
from nvi_operator.plan.typed_json import written

_BY = "nvictl"  # the version that wrote the file


def sealed(data: Mapping[str, Any]) -> bytes:
    """The data as a file has it: with the version of nvictl and a checksum."""
    text = _text({_BY: __version__, **data})
    return text[:-1] + f',"sha256":"{hashlib.sha256(text).hexdigest()}"}}\n'.encode()


def opened(found: Mapping[str, Any]) -> dict[str, Any]:
    """What was sealed, from the JSON of the file. ValueError where it is something else."""
    rest = {name: value for name, value in found.items() if name != "sha256"}
    if found.get("sha256") != hashlib.sha256(_text(rest)).hexdigest():
        raise ValueError("its checksum differs: it was damaged or edited")
    return rest


def other_version(found: Mapping[str, Any]) -> str:
    """The version of nvictl that wrote the file, in at most 20 printable characters; empty where it is this one."""
    by = str(found.get(_BY, "unknown"))
    return "" if by == __version__ else printable(by)[:20]


def resealed(text: str) -> str:
    """A file whose values were replaced, with the checksum of those. ValueError where it is no JSON."""
    found = json.loads(text)
    found.pop("sha256", None)
    return sealed(found).decode()


def _text(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, separators=(",", ":"), sort_keys=True, default=written).encode()
