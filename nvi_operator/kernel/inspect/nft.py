"""nft, as seen through its command in a process of its own: other people's tables can crash libnftables.

Table by table, so that one that cannot be listed hides no other, and so that the owned one, which may be large, is
never read. The kernel says which there are, and their flags: nft 1.0.6 reads all of them to list their names, and
prints flags as any bytes. The contents of named sets are left out (-t): they may be many, and no check needs them,
except those of verdict maps, by which Docker 29's nftables backend finds the chain of a container.
"""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from nvi_operator.dataclass import dataclass
from nvi_operator.doctor.ruleset import parse_ruleset
from nvi_operator.doctor.survey import Binding
from nvi_operator.errors import NviError
from nvi_operator.kernel.inspect.process import run
from nvi_operator.kernel.inspect.xt import translated
from nvi_operator.kernel.netlink.nfnetlink import Nfnetlink
from nvi_operator.nft.wire.tables import IngressChain, NftTableFact
from nvi_operator.ruleset.table import TABLE

_SECONDS = 20.0  # for each table: an older nft may never finish one that a newer nft made

_PROBE = """
import json
from importlib.metadata import PackageNotFoundError, version
import nftables
context = nftables.Nftables()
context.set_json_output(True)
context.set_terse_output(True)
code, output, error = context.cmd("list chains")  # this reads no sets: some kill it, and the owned table is large
try:
    package = version("nftables")
except PackageNotFoundError:
    package = None
library = json.loads(output)["nftables"][0]["metainfo"]["version"] if output else None
refused = code and "Operation not permitted" not in error
print(json.dumps({"library": library, "package": package, "error": error.strip() if refused else ""}))
"""


def nft_version() -> str | None:
    """The version of the nft command; None if there is none that runs."""
    code, output, _ = run(["nft", "--version"])
    match = re.search(r"v(\d+(?:\.\d+)+)", output)
    return match[1] if code == 0 and match else None


@dataclass(frozen=True)
class ForeignNft:
    """All tables but the owned one: their objects, and what could not be listed, and why."""

    objects: tuple[Mapping[str, Any], ...] = ()
    tables: tuple[NftTableFact, ...] = ()
    ingress: tuple[IngressChain, ...] = ()
    failures: tuple[str, ...] = ()


def read_ruleset() -> ForeignNft:
    """All tables but the gateway's."""
    objects: list[Mapping[str, Any]] = []
    failures: list[str] = []
    tables: list[NftTableFact] = []
    ingress: list[IngressChain] = []
    try:
        with Nfnetlink() as wire:
            tables = [table for table in wire.tables() if (table.family, table.name) != ("inet", TABLE)]
            ingress = [chain for chain in wire.ingress_chains() if (chain.family, chain.table) != ("inet", TABLE)]
    except NviError as error:
        failures.append(error.message)
    for table in tables:
        listed = _list(["table", table.family, table.name], failures)
        objects += translated([_with_verdicts(entry) for entry in listed])
    return ForeignNft(tuple(objects), tuple(tables), tuple(ingress), tuple(failures))


def _with_verdicts(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """An object of a listing; a map of verdicts with its elements, unless its name is a keyword of nft."""
    named = entry.get("map")
    if not named or named.get("map") != "verdict":
        return entry
    whole = _list(["map", named["family"], named["table"], named["name"]], [], contents=True)
    found = next((other["map"] for other in whole if "map" in other), None)
    return entry if found is None else {"map": {"elem": [], **found}}  # nft prints no `elem` of an empty one


def _list(what: Sequence[str], failures: list[str], *, contents: bool = False) -> list[Mapping[str, Any]]:
    code, output, error = run(["nft", "-j", *([] if contents else ["-t"]), "list", *what], seconds=_SECONDS)
    if code:
        reason = f"nft ended with {signal.Signals(-code).name}" if code < 0 else error.strip().partition("\n")[0]
        failures.append(f"nft list {' '.join(what)}: {reason}")
        return []
    try:
        found = json.loads(output)["nftables"]
    except (ValueError, KeyError, TypeError) as broken:
        failures.append(f"nft list {' '.join(what)}: its output is not a listing in JSON ({broken})")
        return []
    if not _is_whole(found):
        failures.append(f"nft list {' '.join(what)}: its output is not in a form that is known here")
        return []
    return [dict(entry) for entry in found]


def _is_whole(found: Any) -> bool:
    """Can it be read as far as the checks read it?"""
    try:
        parse_ruleset(found)
    except (AttributeError, KeyError, TypeError, ValueError):
        return False
    return True


def probe_binding() -> Binding:
    """Try the Python bindings in a process of its own: a copy that does not fit may crash."""
    code, output, error = run([sys.executable, "-c", _PROBE], seconds=_SECONDS)
    if code:
        last = error.strip().rpartition("\n")[2]
        return Binding(error=f"the interpreter ended with {signal.Signals(-code).name}" if code < 0 else last)
    try:
        return Binding(**json.loads(output))
    except (ValueError, TypeError):
        return Binding(error=f"they printed {output[:80]!r}")
