"""What the tables of other tools do with a packet on its way: the walks of explain beside those of doctor. Pure.

A chain that drops the packet by every path ends its way there. One that may drop it, or of which a rule is not
understood, is named.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network
from typing import Literal

from nvi_operator.dataclass import dataclass
from nvi_operator.doctor.packet import Exact, PartialPacket
from nvi_operator.doctor.ruleset import ListedChain, Ruleset
from nvi_operator.doctor.walk import walk as walk_chain
from nvi_operator.explain.step import Step
from nvi_operator.explain.verdict import Delivered, Dropped, Forwarded
from nvi_operator.explain.walk import Walk
from nvi_operator.topology.model import Topology
from nvi_operator.topology.numbers import CONNTRACK

_ORDER = (
    "ingress",
    "prerouting",
    "routing",
    "input",
    "forward",
    "output",
    "postrouting",
    "device",
    "egress",
    "cache",
)
_DSTNAT, _SRCNAT = -100, 100  # where the kernel calls the chains of NAT, whatever their own priorities are
# Statements after which the packet, or what conntrack makes of it, may be another one.
_CHANGING = ("snat", "dnat", "masquerade", "redirect", "mangle", "notrack", "tproxy", "synproxy", "queue")
_PROTOCOLS = {6: "tcp", 17: "udp"}  # the others have several names in nft
_FAMILIES = {4: ("ip", "inet"), 6: ("ip6", "inet")}


@dataclass(frozen=True)
class Met:
    """The walk ends in a chain of another table that drops the packet. `uncertain`: what others may do, in words."""

    walk: Walk
    uncertain: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Crossing:
    """One hook of one pass. `stage` 0: the gateway itself sends it."""

    stage: Literal[0, 1, 2]
    hook: Literal["prerouting", "input", "forward", "output", "postrouting"]


def through_others(ruleset: Ruleset, topology: Topology, walk: Walk) -> Met:
    """The walk as it ends by the chains of `ruleset`, which are those of other tools."""
    uncertain: list[str] = []
    for crossing in _crossings(walk):
        for chain in sorted(ruleset.base_chains(crossing.hook), key=lambda chain: chain.priority):
            if chain.family not in _FAMILIES[walk.region.family]:
                continue
            found = walk_chain(ruleset, chain, _packet(topology, walk, crossing, chain))
            if found.dropped and not found.unreadable:
                rule = next((ending.rule for ending in found.endings if ending.rule), None)
                return Met(_ended(walk, crossing, rule.place if rule else f"{chain.place} policy"), tuple(uncertain))
            place = f"stage {crossing.stage}, {crossing.hook}: {chain.place}"
            if any(ending.end != "accept" for ending in found.endings):
                uncertain.append(f"{place} may drop it: what it asks is not known here")
            # Chains of NAT see the first packet of a flow alone, and conntrack sees no second pass.
            if chain.type != "nat" or (_state(walk) == "new" and crossing.stage < 2):
                changing = (name for rule, _ in found.met for name in _CHANGING if rule.has(name))
                uncertain += (
                    f"{place} may change it ({name}): that is not walked" for name in dict.fromkeys(changing)
                )
    return Met(walk, tuple(uncertain))


def _crossings(walk: Walk) -> Iterator[_Crossing]:
    """The hooks that the packet passes, in their order, as far as its way goes."""
    passed = [*_all(walk)]
    if isinstance(walk.verdict, Forwarded | Delivered):
        yield from passed
        return
    last = max((_place(step) for step in walk.steps), default=(0, 0))
    yield from (crossing for crossing in passed if _place(crossing) <= last)


def _place(step: Step | _Crossing) -> tuple[int, int]:
    return step.stage, _ORDER.index(step.hook)


def _all(walk: Walk) -> Iterator[_Crossing]:
    stages: list[Literal[0, 1, 2]] = [1, 2] if any(step.did == "returned" for step in walk.steps) else [1]
    if walk.entering.in_interface is None:
        yield _Crossing(0, "output")
        yield _Crossing(0, "postrouting")
        stages = [stage for stage in stages if stage == 2]
    for stage in stages:
        yield _Crossing(stage, "prerouting")
        if stage == stages[-1] and isinstance(walk.verdict, Delivered):
            yield _Crossing(stage, "input")
            return
        yield _Crossing(stage, "forward")
        yield _Crossing(stage, "postrouting")


def _packet(topology: Topology, walk: Walk, crossing: _Crossing, chain: ListedChain) -> PartialPacket:
    twice = any(step.did == "returned" for step in walk.steps)
    second = crossing.stage == 2
    out = walk.verdict.interface if isinstance(walk.verdict, Forwarded) else None
    early = crossing.hook == "prerouting" and chain.priority <= CONNTRACK
    source = walk.packet.source if second or crossing.hook == "postrouting" else walk.entering.source
    entry = walk.entry
    return PartialPacket(
        walk.region.family,
        2 if second else 1,
        topology.device,
        topology.stage_mask,
        None if crossing.stage == 0 else walk.entering.in_interface,
        None if crossing.hook in ("prerouting", "input") else out if second or not twice else topology.device,
        "untracked" if second else None if early else _state(walk),
        _PROTOCOLS.get(walk.entering.protocol),
        entry is not None and "dnat" in entry.status,
        (ip_network(source),),
        exact=_exact(walk, crossing, chain),
    )


def _exact(walk: Walk, crossing: _Crossing, chain: ListedChain) -> Exact:
    """Its addresses and ports there: those of the second pass are translated, those of the first in two steps."""
    entering, left = walk.entering, walk.packet
    first = crossing.stage == 1
    asked = entering if first and crossing.hook == "prerouting" and chain.priority <= _DSTNAT else left
    sender = entering if first and (crossing.hook != "postrouting" or chain.priority < _SRCNAT) else left
    return Exact(sender.source, asked.destination, sender.source_port, asked.destination_port)


def _state(walk: Walk) -> str | None:
    note = next((step.note for step in walk.steps if step.did == "tracked"), "")
    return next((state for state in ("new", "established", "related", "invalid") if note.startswith(state)), None)


def _ended(walk: Walk, crossing: _Crossing, place: str) -> Walk:
    steps = tuple(step for step in walk.steps if _place(step) <= _place(crossing))
    step = Step(crossing.stage, crossing.hook, "dropped", note=f"{place} of another tool")
    return replace(walk, steps=(*steps, step), verdict=Dropped(place), entry=None)
