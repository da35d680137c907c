"""Where what the gateway itself sends to an address leads: what a change would cut the gateway off from. Pure.

For a socket that is bound to nothing, as those of ssh and git are: no source, no interface, no mark.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nvi_operator.dataclass import dataclass
from nvi_operator.explain.machine import Machine
from nvi_operator.explain.packet import TCP, Packet, address
from nvi_operator.explain.passing import entering
from nvi_operator.explain.region import Region
from nvi_operator.explain.routing import FibLookup, FibResult, Router
from nvi_operator.explain.step import HostRoute
from nvi_operator.kinds.route import Route
from nvi_operator.language.model.values import Address
from nvi_operator.state.fib_rule import FibRule


def own_way(router: Router, to: Address, port: int | None) -> FibResult:
    """`port` None: none is known, and rules about ports do not match."""
    packet = Packet(None, TCP, address(to.version, 0), to, None, port)
    passing = entering(Region.of_packet(packet), None)
    ends = passing.now["source"], passing.now["destination"]
    (_, way), *_ = router.routed(passing, FibLookup("lo", *ends, 0, own=True, has_ports=port is not None))
    return way


@dataclass(frozen=True)
class Protected:
    """What the gateway must go on reaching: one of `addresses`, at `port` where one is known."""

    what: str  # `the git remote git.example.net`
    addresses: tuple[Address, ...]
    port: int | None = None

    def packet(self, address: Address) -> str:
        """What is sent to one of them, in words."""
        shown = f"[{address}]" if address.version == 6 and self.port else f"{address}"
        sent = f"tcp to {shown}:{self.port}" if self.port else f"what is sent to {shown}"
        return f"{sent}, {self.what},"


def cut_off(before: Machine, after: Machine, protected: Iterable[Protected]) -> Iterator[str]:
    """The packet that would be lost, and by what, of each that is reached now. Another way is no loss."""
    now, then = Router(before), Router(after)
    for each in protected:
        reached = [to for to in each.addresses if own_way(now, to, each.port).refused is None]
        ways = {to: own_way(then, to, each.port) for to in reached}
        if ways and all(way.refused for way in ways.values()):
            to, way = next(iter(ways.items()))
            yield f"{each.packet(to)} would {_refused(way)}"


def _refused(way: FibResult) -> str:
    by = way.by[-1] if way.by else None
    if isinstance(by, Route | HostRoute):
        return f"be refused by the route `unreachable {by.destination}` in table {by.table}"
    return f"be refused by the FIB rule `{by}`" if isinstance(by, FibRule) else "have no route"
