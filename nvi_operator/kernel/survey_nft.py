"""nft, as seen through its command in a process of its own: other people's tables can crash libnftables.

Table by table, so that one that cannot be listed hides no other, and so that ours, which may be large, is
never read: which there are says the kernel, since nft 1.0.6 reads all of them to say it. The contents of named sets
are left out (-t): they may be many, and no check needs them.
"""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from nvi_operator.doctor.survey import Binding
from nvi_operator.errors import NviError
from nvi_operator.kernel.nfnetlink import Nfnetlink
from nvi_operator.kernel.survey_process import run
from nvi_operator.kernel.survey_xt import translated

_PROBE = """
import json
from importlib.metadata import PackageNotFoundError, version
import nftables
context = nftables.Nftables()
context.set_json_output(True)
context.set_terse_output(True)
code, output, error = context.cmd("list chains")  # for which it reads no sets: some kill it, and ours is large
try:
    package = version("nftables")
except PackageNotFoundError:
    package = None
library = json.loads(output)["nftables"][0]["metainfo"]["version"] if output else None
refused = code and "Operation not permitted" not in error
print(json.dumps({"library": library, "package": package, "error": error.strip() if refused else ""}))
"""


def nft_version() -> str | None:
    """Of the nft command; None if there is none that runs."""
    code, output, _ = run(["nft", "--version"])
    match = re.search(r"v(\d+(?:\.\d+)+)", output)
    return match[1] if code == 0 and match else None


def read_ruleset(ours: str) -> tuple[tuple[Mapping[str, Any], ...], tuple[str, ...]]:
    """The objects of all tables but `inet OURS`; and what could not be listed, and why."""
    objects: list[Mapping[str, Any]] = []
    failures: list[str] = []
    for family, name in _tables(failures):
        if (family, name) != ("inet", ours):
            objects += translated(_list(["table", family, name], failures))
    return tuple(objects), tuple(failures)


def _tables(failures: list[str]) -> list[tuple[str, str]]:
    try:
        with Nfnetlink() as wire:
            return wire.tables()
    except NviError as error:
        failures.append(error.message)
        return []


def _list(what: Sequence[str], failures: list[str]) -> list[Mapping[str, Any]]:
    code, output, error = run(["nft", "-j", "-t", "list", *what])
    if code:
        reason = f"nft ended with {signal.Signals(-code).name}" if code < 0 else error.strip().partition("\n")[0]
        failures.append(f"nft list {' '.join(what)}: {reason}")
        return []
    try:
        found: list[Mapping[str, Any]] = json.loads(output)["nftables"]
    except json.JSONDecodeError as broken:
        failures.append(f"nft list {' '.join(what)}: its output is no JSON ({broken})")
        return []
    return found


def probe_binding() -> Binding:
    """Try the Python bindings in a process of its own: a copy that does not fit may crash."""
    code, output, error = run([sys.executable, "-c", _PROBE])
    if code:
        last = error.strip().rpartition("\n")[2]
        return Binding(error=f"the interpreter ended with {signal.Signals(-code).name}" if code < 0 else last)
    return Binding(**json.loads(output))
