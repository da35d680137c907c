"""A program at each uplink's egress, which drops untranslated packets even without the table and the FIB rules.

It says by addresses what `ruleset/guard.py` says in the table, and must let the same packets leave. The same program
at the inside interfaces keeps the gateway silent while the table is gone: connections of inside hosts to a public
address would end by its resets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import IntFlag
from ipaddress import ip_network
from typing import Literal

from nvi_operator.dataclass import dataclass
from nvi_operator.kind import Kind, Phase
from nvi_operator.language.model.values import FAMILIES, Family, Network
from nvi_operator.language.wording import counted
from nvi_operator.topology.model import Topology
from nvi_operator.topology.prefixes import ANY, Prefixes, fewest
from nvi_operator.topology.rules import Conditions, Unchanged


class PrefixRole(IntFlag):
    """What a prefix means to one interface. A prefix with none of these is foreign."""

    NONE = 0
    OWN = 1  # a source of this uplink; at an inside interface, of any uplink
    INSIDE = 2  # an inside network, whose addresses leave translated only
    OTHER = 4  # a source of another uplink
    FREE = 8  # leaves: at an inside interface, what is no uplink's; at an uplink, a family that the spec has not


@dataclass(frozen=True)
class GuardEntry:
    """One prefix, as the source or the destination of a packet; the longest match counts.

    `rules` has a bit for each rule of sourceNat or routes that lets such packets leave though their source is not
    the uplink's: a packet leaves if a rule has its bit at both ends and stage 1 has seen the packet.
    """

    side: Literal["source", "destination"]
    network: str
    standing: PrefixRole = PrefixRole.NONE
    rules: int = 0


@dataclass(frozen=True)
class EgressGuard:
    """`stage_mask` is None when the live program is not one that this version would load, or not where it belongs."""

    ifname: str
    stage_mask: int | None
    entries: frozenset[GuardEntry]

    @property
    def key(self) -> str:
        return f"{self.ifname} egress"


_BITS = 32  # rules that have a bit of their own; more share them, and then let more leave


def _desired(topology: Topology) -> Iterator[EgressGuard]:
    if not topology.programs:
        return
    present = {interface.ifname for interface in topology.interfaces if interface.ifindex is not None}
    for ifname in topology.uplink_ifnames:
        if ifname in present:
            entries = [entry for family in topology.families for entry in _entries(topology, ifname, family)]
            # The table has no rule about a family that the spec does not have, and so leaves it to the host.
            entries += [_rest_is_free(family) for family in FAMILIES if family not in topology.families]
            yield EgressGuard(ifname, topology.stage_mask, frozenset(entries))
    public = frozenset(_answers(topology))
    for ifname in (
        sorted({inside.interface.ifname for inside in topology.inside_interfaces} & present) if public else ()
    ):
        yield EgressGuard(ifname, topology.stage_mask, public)


def _rest_is_free(family: Family) -> GuardEntry:
    return GuardEntry("source", ANY[family], PrefixRole.FREE)


def _answers(topology: Topology) -> Iterator[GuardEntry]:
    """The entries of an inside interface: the gateway's own answers, from uplinks' addresses, need their stage bit.

    What has another source leaves, in a family without uplinks as well.
    """
    own = [network for family in FAMILIES for network in _sources(topology, family, lambda _: True)]
    if own:
        yield from map(_rest_is_free, FAMILIES)
        yield from (GuardEntry("source", str(network), PrefixRole.OWN) for network in own)


def _entries(topology: Topology, ifname: str, family: Family) -> Iterator[GuardEntry]:
    inside = Prefixes(topology.inside_networks(family))
    own = Prefixes(_sources(topology, family, lambda name: name == ifname))
    further = [ip_network(a) for a, uplink in topology.unlisted(family).items() if uplink.interface.ifname != ifname]
    other = Prefixes(fewest((*_sources(topology, family, lambda _: True), *topology.displaced, *further), family))
    rules = tuple(_rules(topology, ifname, family))

    def standing(network: Network) -> PrefixRole:
        for prefixes, found in ((own, PrefixRole.OWN), (other, PrefixRole.OTHER), (inside, PrefixRole.INSIDE)):
            if prefixes.cover(network):
                return found
        return PrefixRole.NONE

    for network in _distinct(inside, own, other, *(rule.sources for rule in rules)):
        bits = _bits(rule for rule in rules if rule.sources.cover(network)) if rules else 0
        if inside.cover(network):
            bits &= _bits(rule for rule in rules if rule.inside)
        yield GuardEntry("source", str(network), standing(network), bits)
    for network in _distinct(inside, *((*rule.destinations, *rule.parts) for rule in rules)) if rules else ():
        is_inside = inside.cover(network)
        bits = _bits(
            rule
            for rule in rules
            if rule.parts.cover(network) or (not is_inside and rule.destinations.cover(network))
        )
        yield GuardEntry("destination", str(network), rules=bits)


def _sources(topology: Topology, family: Family, on: Callable[[str], bool]) -> tuple[Network, ...]:
    return fewest((n for u in topology.uplinks if on(u.interface.ifname) for n in u.sources(family)), family)


@dataclass(frozen=True)
class _Rule:
    """A rule that lets a source leave that is not the uplink's: by networks, as in the table and in FIB rules.

    `inside`: also one of an inside network. `parts` are destinations within inside networks.
    """

    number: int
    inside: bool
    sources: Prefixes
    destinations: Prefixes
    parts: Prefixes


def _rules(topology: Topology, ifname: str, family: Family) -> Iterator[_Rule]:
    everything = (ip_network(ANY[family]),)
    conditions: list[tuple[Conditions, bool]] = [
        (rule.conditions, True) for rule in topology.source_rules if isinstance(rule.action, Unchanged)
    ]
    conditions += [
        (route.conditions, False)
        for route in topology.routes
        if topology.uplink(route.uplink).interface.ifname == ifname
    ]
    far = topology.far(family, ifname)
    if far and (answering := topology.answering(family)):
        conditions.append((Conditions(family, answering, far), True))
    for number, (each, inside) in enumerate((c, inside) for c, inside in conditions if c.family == family):
        named = each.destinations
        parts = tuple(n for n in named if inside is False or topology.is_part_of_inside(n))
        others = tuple(n for n in named if n not in parts)
        sources, rest = each.sources or everything, others or (() if parts else everything)
        yield _Rule(number, inside, Prefixes(sources), Prefixes(rest), Prefixes(parts))


def _bits(rules: Iterable[_Rule]) -> int:
    bits = 0
    for rule in rules:
        bits |= 1 << rule.number % _BITS
    return bits


def _distinct(*groups: Iterable[Network]) -> list[Network]:
    return list(dict.fromkeys(network for group in groups for network in group))


def _describe(guard: EgressGuard) -> str:
    if guard.stage_mask is None:
        return f"{guard.key}: a foreign program"
    sources = [entry for entry in guard.entries if entry.side == "source"]
    parts = [
        f"{word} {', '.join(networks)}"
        for word, standing in (("own", PrefixRole.OWN), ("inside", PrefixRole.INSIDE), ("other", PrefixRole.OTHER))
        if (networks := sorted(entry.network for entry in sources if entry.standing & standing))
    ]
    free = {entry.network for entry in sources if entry.standing & PrefixRole.FREE}
    if len(free) == 1:
        parts.append(f"all of {min(free)} leaves")
    elif free:
        parts = [*(part.replace("own", "public", 1) for part in parts), "all else leaves"]
    return f"{guard.key}: {'; '.join(parts)}{_exceptions(guard.entries)}"


def _exceptions(entries: frozenset[GuardEntry]) -> str:
    count = max((entry.rules.bit_length() for entry in entries), default=0)
    verb = "leaves" if count == 1 else "leave"
    return f"; {counted(count, 'line')} {verb} untranslated" if count else ""


EGRESS_GUARD = Kind(
    "egress-guard",
    EgressGuard,
    "guards at the uplinks' egress",
    _desired,
    phase=lambda guard: Phase.BACKSTOP,
    describe=_describe,
    noun="eBPF program",
    lives_on=lambda guard: guard.ifname,
)
