"""Do a packet and its first answer arrive, on a gateway as it is and as it will be? By walks of one packet. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_address

from nvi_operator.dataclass import dataclass
from nvi_operator.explain.machine import Machine
from nvi_operator.explain.packet import TCP, Packet
from nvi_operator.explain.verdict import Dropped, Refused, Verdict
from nvi_operator.explain.walk import reply, walks
from nvi_operator.language.model.values import Address

_ANY = {4: ip_address("0.0.0.0"), 6: ip_address("::")}
_PORT = 49152  # of the gateway's own packets: the first dynamic one (RFC 6335)


@dataclass(frozen=True)
class Exchange:
    """Each of `packets` may be the one that is meant: it is not known where it comes in."""

    what: str
    packets: tuple[Packet, ...]


def asked(what: str, addresses: Iterable[Address], port: int) -> Exchange:
    """What the gateway itself asks of another host, at one of its addresses, from the address that its route has."""
    return Exchange(what, tuple(Packet(None, TCP, _ANY[to.version], to, _PORT, port) for to in addresses))


def cut(before: Machine, after: Machine, exchanges: Iterable[Exchange]) -> Iterator[str]:
    """The exchanges of which a packet arrives before, and none after, in words: what would become of them."""
    for each in exchanges:
        alive = [packet for packet in each.packets if not _lost(before, packet)]
        ends = [_lost(after, packet) for packet in alive]
        if ends and all(ends):
            yield f"{each.what} would {ends[0]}"


def _lost(machine: Machine, packet: Packet) -> str:
    """What becomes of it, or of its answer, where neither may arrive; empty where it may, or that is not known."""
    ends = []
    for walk in walks(machine, packet):
        end = _end(walk.verdict)
        if not end:
            backs = [_end(back.verdict) for back in reply(machine, walk)]
            end = f"get no answer: that would {backs[0]}" if backs and all(backs) else ""
        ends.append(end)
    return ends[0] if ends and all(ends) else ""


def _end(verdict: Verdict) -> str:
    match verdict:
        case Dropped(where, counter):
            return f"be dropped at {where}" + (f" as {counter}" if counter else "")
        case Refused(_, where):
            return f"be refused at {where}"
    return ""
