"""The nvi kernel module, where the dataplane is kmod."""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.kinds.kind import Kind, Phase
from nvi_operator.kmod.facts import Module
from nvi_operator.topology.model import Topology


def _desired(topology: Topology) -> Iterator[Module]:
    if topology.dataplane == "kmod":
        yield Module("nvi")


MODULE = Kind("module", _desired, lambda module: Phase.MODULE)
