"""A gateway as it was observed, in a file: a plan can be made of it on another machine, and without root. Pure.

It answers what `reconcile.cycle.dry_run` asks of a kernel. It is no record of flows, and of no routes but those that
facts have: what an apply would strand or lock out needs the gateway itself.
"""

from __future__ import annotations

import json
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from nvi_operator import __version__
from nvi_operator.dataclass import dataclass
from nvi_operator.errors import ConflictError, NviError
from nvi_operator.kinds import KINDS
from nvi_operator.kinds.module import MODULE
from nvi_operator.kmod.verdict import judge
from nvi_operator.language.model.settings import Numbers
from nvi_operator.nft.ast import NamedSet, Table
from nvi_operator.nft.wire.attributes import WireError
from nvi_operator.nft.wire.packed_elements import packed
from nvi_operator.plan.sealed import opened, other_version, sealed
from nvi_operator.plan.typed_json import reader
from nvi_operator.state.host import HostState, Object
from nvi_operator.topology.facts import Facts, LinkFact

VERSION = 1  # of the file
_AGAIN = "take it again on the gateway: nvictl show state DIR > FILE"


@dataclass(frozen=True)
class Observation:
    """`found` are the facts, with the routes of every interface; `live` the owned objects of a gateway with these
    `numbers`. `taken`: when, as text. `flow_cache`: was it asked what speaks against one?
    """

    taken: str
    numbers: Numbers
    found: Facts
    live: HostState
    flow_cache: bool = False

    def facts(self, wires: frozenset[str], flow_cache: object = None) -> Facts:
        """The facts for a spec whose uplinks are at `wires`."""
        links = {name: link if name in wires else _inside(link) for name, link in self.found.links.items()}
        leased = {name: each for name, each in self.found.leased_prefixes.items() if name in wires}
        return replace(self.found, links=MappingProxyType(links), leased_prefixes=MappingProxyType(leased))

    def observe(self, desired: HostState) -> HostState:
        """A module has no owner: it is listed only where one is desired."""
        modules = desired.of_kind(MODULE.name) if judge(self.found.module).in_kernel else []
        return self.live.plus((MODULE.name, module) for module in modules)

    def refuse_other_numbers(self, numbers: Numbers) -> None:
        """ConflictError: what such a gateway owns was not looked for."""
        if numbers != self.numbers:
            raise ConflictError(
                "saved state: it was taken with other numbers than those of the spec (spec.numbers)",
                hint="take it with the spec: nvictl show state DIR > FILE",
            )

    def json(self) -> bytes:
        kept = ((ref.kind, obj) for ref, obj in self.live if ref.kind != MODULE.name)
        data = {
            "nviState": VERSION,
            "taken": self.taken,
            "numbers": self.numbers.model_dump(mode="json", by_alias=True),
            "flowCache": self.flow_cache,
            "facts": self.found,
            "objects": list(kept),
        }
        return sealed(data)


def read_observation(data: bytes, name: str) -> Observation:
    """What `json` wrote, of the file with this name. NviError where it is none, or damaged, or of another version."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise NviError(f"{name}: reading the saved state: it is damaged, or no JSON: {error}", hint=_AGAIN) from error
    if not isinstance(found, dict) or "nviState" not in found:
        raise NviError(f"{name}: reading the saved state: it is JSON, but not a saved state", hint=_AGAIN)
    by = other_version(found)
    other = f" of nvictl {by} by {__version__}" if by else ""
    try:
        found = opened(found)
        if found["nviState"] != VERSION:
            raise ValueError(f"its format is {found['nviState']!r:.20}, and this nvictl knows {VERSION}")
        return Observation(
            reader(str)(found["taken"]),
            Numbers.model_validate(found["numbers"]),
            reader(Facts)(found["facts"]),
            HostState.of(map(_object, found["objects"])),
            reader(bool)(found["flowCache"]),
        )
    except KeyError as error:
        raise NviError(f"{name}: reading the saved state{other}: {error} is missing", hint=_AGAIN) from error
    except (ValueError, TypeError, RecursionError) as error:
        why = " ".join(str(error).split())
        raise NviError(f"{name}: reading the saved state{other}: {why}", hint=_AGAIN) from error


def _object(data: Any) -> tuple[str, Object]:
    kind, told = reader(tuple[str, Any])(data)
    if kind not in KINDS:
        raise ValueError(f"{kind!r:.40} is not a kind of object")
    type_: Any = KINDS[kind].type
    obj = reader(type_)(told)
    return kind, replace(obj, sets=frozenset(map(_packed, obj.sets))) if isinstance(obj, Table) else obj


def _packed(named: NamedSet) -> NamedSet:
    """As it was observed: elements that the kernel has in another form stay as they are told."""
    try:
        return packed(named)
    except WireError:
        return named


def _inside(link: LinkFact) -> LinkFact:
    return replace(link, routes=(), crowded=False)
