"""No two entries claim the same: where each source is given an address of its own, no other entry gives that address.

What would be the same key of a map (two forwards of one port, two 1:1 entries of one address) is refused by
`language/check` already.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from nvi_operator.invariants.boxes import boxes_of
from nvi_operator.invariants.gateway import ResolvedGateway
from nvi_operator.invariants.result import Violation
from nvi_operator.language.check.addresses import (
    AddressSpan,
    declared_networks,
    explicit,
    overlapping,
    own_addresses,
    span_of,
)
from nvi_operator.language.load.yaml_reader import Path
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.interfaces import UplinkSpec
from nvi_operator.language.model.one_to_one import pieces
from nvi_operator.language.model.values import FAMILIES, Address
from nvi_operator.topology.model import Topology

if TYPE_CHECKING:
    from nvi_operator.explain.packet import Packet


class _Claim(NamedTuple):
    section: str
    name: str
    path: Path
    exclusive: bool

    @property
    def words(self) -> str:
        return f"{self.section} {self.name!r}"


def claimed_twice(gateway: ResolvedGateway) -> Iterator[Violation]:
    """Addresses that `overload: false` promises to one source each, and that others are given as well."""
    spec, topology = gateway.spec, gateway.topology
    if all(rule.as_.overload for rule in spec.source_nat):
        return

    def apart(one: _Claim, other: _Claim) -> bool:
        return one.path == other.path or not (one.exclusive or other.exclusive)

    reported: set[tuple[Path, Path]] = set()
    for later, earlier in overlapping(_claims(spec), apart):
        mine, theirs = (later.owner, earlier.owner) if later.owner.exclusive else (earlier.owner, later.owner)
        if (mine.path, theirs.path) not in reported:
            reported.add((mine.path, theirs.path))
            message = (
                f"{mine.words} gives each source an address of its own (overload: false), and {theirs.words} gives "
                "some of these addresses to others"
            )
            hint = "use other addresses in one of them"
            yield Violation((*mine.path, "as"), message, hint, _packet(topology, mine), (theirs.path,))


def _claims(spec: GatewaySpec) -> Iterator[AddressSpan[_Claim]]:
    for number, rule in enumerate(spec.source_nat):
        claim = _Claim("sourceNat", rule.name, ("spec", "sourceNat", number), not rule.as_.overload)
        for pool in rule.as_.pool or ():
            yield AddressSpan(pool.family, int(pool.first), int(pool.last), number, claim)
        for address in {a for name in rule.as_.names for a in _primary(spec.uplinks[name])}:
            yield AddressSpan(address.version, int(address), int(address), number, claim)
    own, declared = own_addresses(spec), declared_networks(spec)
    for order, (name, static) in enumerate(spec.static.items(), start=len(spec.source_nat)):
        claim = _Claim("static", name, ("spec", "static", name), exclusive=False)
        for _, mapped in pieces(static, own, declared):
            yield span_of(mapped, order, claim)


def _primary(uplink: UplinkSpec) -> Iterator[Address]:
    """The address of each family that its name stands for, where it is written."""
    written = (*(uplink.translate_to or ()), *explicit(uplink))
    for family in FAMILIES:
        yield from [address for address in written if address.version == family][:1]


def _packet(topology: Topology, claim: _Claim) -> Packet | None:
    """One that the entry is about."""
    from nvi_operator.invariants.examples import example

    rule = next((rule for rule in topology.source_rules if rule.name == claim.name), None)
    inside = [i.interface.ifname for i in topology.inside_interfaces]
    return example(next(boxes_of(rule.conditions, inside))) if rule else None
