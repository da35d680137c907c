"""All that decides about a packet, as typed objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from functools import cached_property

from nvi_operator.dataclass import dataclass, replace
from nvi_operator.explain.flow import ConntrackEntry
from nvi_operator.explain.spans import Spans
from nvi_operator.explain.step import EntryOrigin, HostRoute, Subject
from nvi_operator.language.model.values import Family
from nvi_operator.state.fib_rule import FibRule
from nvi_operator.state.host import HostState
from nvi_operator.topology.facts import InterfaceAddress, RouteTableFact


@dataclass(frozen=True)
class HostInterface:
    """An interface as a walk reads it, with what is not known left at its default."""

    name: str
    ifindex: int
    group: int = 0
    mtu: int | None = None  # bytes; None: not known
    mtu6: int | None = None  # of IPv6, where that is less
    up: bool = True
    carrier: bool = True
    addresses: tuple[InterfaceAddress, ...] = ()
    kind: str | None = None
    master: str | None = None  # the bridge, bond, team or VRF that it is a port of


def nowhere(subject: Subject) -> EntryOrigin | None:
    """The origins of a machine whose spec is not at hand."""
    return None


@dataclass(frozen=True, eq=False)
class Machine:
    """What a walk reads. `machine_of` (surroundings.py) makes it of a topology and facts.

    state: the owned objects: `desired_state(topology)`, or what was observed.
    interfaces: of the host, by name, and `lo`; those that are up have routes and receive packets.
    routes: those that are not owned: of `main` and of tables of others.
    rules: FIB rules that are not owned, the kernel's own as well.
    tables: those of others of which no routes are known, but only what the facts tell.
    entries: conntrack entries, made by earlier walks (`Walk.entry`) or read; a packet of one of them belongs to it.
    origin: the entry of the spec that asks for a rule, an element, a FIB rule or a route.
    """

    state: HostState
    interfaces: Mapping[str, HostInterface]
    routes: tuple[HostRoute, ...]
    rules: tuple[FibRule, ...] = ()
    entries: tuple[ConntrackEntry, ...] = ()
    tables: Mapping[int, RouteTableFact] = field(default_factory=dict)
    origin: Callable[[Subject], EntryOrigin | None] = nowhere
    device: str = "nvi0"

    @cached_property
    def _own(self) -> dict[tuple[Family, str | None], Spans]:
        return {}

    def own_addresses(self, family: Family, ifname: str | None = None) -> Spans:
        """The gateway's own addresses, of all interfaces or of one."""
        if (family, ifname) not in self._own:
            found = [
                (int(address.ip), int(address.ip))
                for interface in self.interfaces.values()
                if ifname in (None, interface.name)
                for address in interface.addresses
                if address.version == family
            ]
            if family == 4 and ifname in (None, "lo"):
                found.append((127 << 24, (128 << 24) - 1))
            self._own[family, ifname] = Spans.of(found)
        return self._own[family, ifname]

    def knowing(self, *entries: ConntrackEntry | None) -> Machine:
        """A machine that also has the entries of earlier walks: a further packet of a flow is then no new one."""
        later = tuple(entry for entry in entries if entry is not None)
        flows = {(entry.original, entry.protocol, entry.zone) for entry in later}
        kept = (e for e in self.entries if (e.original, e.protocol, e.zone) not in flows)
        return replace(self, entries=(*kept, *later))
