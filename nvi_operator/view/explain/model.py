"""An explanation: walks, and what follows from each. Made by `nvictl explain`; shown in several forms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from nvi_operator.dataclass import dataclass
from nvi_operator.explain.machine import Machine
from nvi_operator.explain.verdict import NotModelled
from nvi_operator.explain.walk import Walk
from nvi_operator.topology.model import Topology


@dataclass(frozen=True)
class WalkTree:
    """One walk: of the packet, of the answer to it, or of an ICMP error about it. `after` follows from it.

    `others`: what chains of other tables on its way may do to it, in words.
    """

    walk: Walk
    kind: Literal["packet", "answer", "error"] = "packet"
    after: tuple[WalkTree, ...] = ()
    others: tuple[str, ...] = ()

    def all(self) -> Iterator[WalkTree]:
        yield self
        for way in self.after:
            yield from way.all()


@dataclass(frozen=True)
class Explanation:
    """`about`: what was asked, in words. `is_assumed`: the host is one that is as the spec says, and not this one.

    `notes`: what else was assumed.
    """

    gateway: str
    about: str
    is_assumed: bool
    notes: tuple[str, ...]
    topology: Topology
    machine: Machine
    ways: tuple[WalkTree, ...]

    @property
    def is_whole(self) -> bool:
        """Was all of it modelled?"""
        return not any(isinstance(each.walk.verdict, NotModelled) for way in self.ways for each in way.all())
