"""The nvi kernel module, where the dataplane is kmod."""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.dataclass import dataclass
from nvi_operator.kind import Kind, Phase, command
from nvi_operator.topology.model import Topology


@dataclass(frozen=True)
class Module:
    """A kernel module that has to be loaded."""

    name: str

    @property
    def key(self) -> str:
        return self.name


def _desired(topology: Topology) -> Iterator[Module]:
    if topology.dataplane == "kmod":
        yield Module("nvi")


MODULE = Kind(
    "module",
    Module,
    "kernel modules",
    _desired,
    phase=lambda module: Phase.MODULE,
    describe=lambda module: module.name,
    noun="kernel module",
    script=lambda module, topology: [command("modprobe", module.name)],
)
