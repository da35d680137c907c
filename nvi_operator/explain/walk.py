"""The answer: what happens to a packet, hook by hook, and how it ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nvi_operator.explain.flow import Entry
from nvi_operator.explain.limits import Limit
from nvi_operator.explain.machine import Machine
from nvi_operator.explain.packet import Packet
from nvi_operator.explain.region import FIELDS, Region
from nvi_operator.explain.space import Space, Term
from nvi_operator.explain.spans import Spans
from nvi_operator.explain.step import Step
from nvi_operator.explain.verdict import NotModelled, Verdict


@dataclass(frozen=True, eq=False)
class Walk:
    """What happens to a class of packets: all of `region` take the same steps.

    region: the packets, as they come in. `region.example()` is `entering`.
    chosen: what the kernel chooses by itself, so that equal packets may also take another walk: `random server`,
        `port of 203.0.113.1`. Empty: these packets always go this way.
    packet: the example as it leaves, or as it was when it ended. `leaving(field)` has every value in the class.
    entry: the conntrack entry of the example, once it is confirmed; None: it has none.
    """

    region: Region
    entering: Packet
    steps: tuple[Step, ...]
    verdict: Verdict
    packet: Packet
    entry: Entry | None = None
    chosen: tuple[str, ...] = ()
    # How the leaving packet and the entry depend on the packet that came in.
    terms: Mapping[str, Term] = field(default_factory=dict)
    space: Space = field(default_factory=Space)
    tracked: object | None = None

    def leaving(self, name: str) -> Spans:
        """Every value of one of FIELDS (region.py) with which packets of the class leave."""
        return self.space.values(self.terms[name])


def walks(machine: Machine, packet: Packet | Region) -> tuple[Walk, ...]:
    """Everything that may happen to the packet, or to packets of the region.

    One packet has several walks where the kernel chooses (`Walk.chosen`). The regions of the walks of a region cover
    it: every packet of it is in one of them, or in several that differ in what the kernel chose.
    """
    region = packet if isinstance(packet, Region) else Region.of_packet(packet)
    example = region.example()
    if example is None:
        return ()
    terms = {name: Term(name) for name in FIELDS}
    verdict = NotModelled(Limit.NOT_BUILT)
    return (Walk(region, example, (), verdict, example, terms=terms, space=region.space),)


def reply(machine: Machine, walk: Walk) -> tuple[Walk, ...]:
    """The way back of the first answer: from where the packets of the walk arrived, with addresses and ports swapped.

    For a walk that was forwarded or delivered; nothing else is answered, and the result is empty. The regions of the
    result are of answers; `Walk.region` of `walk` is split accordingly.
    """
    return ()
