"""A packet to send, and what has to become of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import field
from enum import Enum

from nvi_operator.dataclass import dataclass
from nvi_operator.explain.packet import Packet
from nvi_operator.language.model.services import PortRange
from nvi_operator.language.model.values import Address, AddressRange

Addresses = tuple[AddressRange, ...]  # empty: any


class Disposition(Enum):
    ARRIVES = "arrives"  # at a far end, and the answer returns
    ANSWERED = "answered"  # by the gateway itself
    TOO_BIG = "too big"  # at a far end, and what a router there says of it reaches the sender
    DROPPED = "dropped"  # nothing of it is seen
    ANY = "any"  # it is only looked at


@dataclass(frozen=True)
class Expected:
    """Where a packet arrives, and how. Empty: anything.

    ifnames: the interfaces behind which it may; uplinks: those whose router may get it, where an uplink is there.
    """

    disposition: Disposition = Disposition.ARRIVES
    ifnames: frozenset[str] = frozenset()
    uplinks: frozenset[str] = frozenset()
    sources: Addresses = ()
    destinations: Addresses = ()
    source_ports: tuple[PortRange, ...] = ()
    destination_ports: tuple[int, ...] = ()


@dataclass(frozen=True)
class PacketProbe:
    """`law`: the heading under which it is told; `entry`: the name of what in the spec it is about; `what`: in words.

    `uplink`: by whose router it comes in; None: a host on the interface sends it.
    """

    law: str
    entry: str
    what: str
    packet: Packet
    expected: Expected
    uplink: str | None = None


@dataclass(frozen=True)
class Sampled:
    """How many entries of a section are tried, of how many; `left_out` says why others are not, by entry."""

    law: str
    tried: int
    total: int
    left_out: tuple[tuple[str, str], ...] = field(default=())

    @staticmethod
    def of(
        law: str,
        names: Collection[str],
        chosen: Set[str],
        probes: Iterable[PacketProbe],
        left_out: Mapping[str, str],
    ) -> Sampled:
        """`chosen` of the `names` are tried by the `probes`, but for those that have none: `left_out` says why."""
        tried = {probe.entry for probe in probes}
        without = {name: why for name, why in left_out.items() if name not in tried}
        return Sampled(law, len(chosen - without.keys()), len(names), tuple(without.items()))


def why_none(protocol: str | None, *, marked: bool) -> str:
    """Why no host can send such a packet; empty if one can."""
    if protocol == "dccp":
        return "packets of DCCP are not made"
    return "a mark is set on the gateway, and not by a host" if marked else ""


def ranges(addresses: Iterable[Address]) -> Addresses:
    return tuple(AddressRange(address, address) for address in addresses)


def is_in(address: Address, addresses: Addresses) -> bool:
    number = int(address)
    return any(r.family == address.version and int(r.first) <= number <= int(r.last) for r in addresses)
