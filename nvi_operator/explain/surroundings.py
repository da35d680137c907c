"""The machine of a gateway: its owned objects, and what a topology and the facts of the host tell of the rest.

Offline much of the host is assumed, as `render` and `validate` do (topology/assume.py): that inside networks are on
the wire of their interface, and that its address is the first of the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_address, ip_interface, ip_network

from nvi_operator.explain.flow import ConntrackEntry
from nvi_operator.explain.machine import HostInterface, Machine, nowhere
from nvi_operator.explain.step import EntryOrigin, HostRoute, Subject
from nvi_operator.kinds.link import Link
from nvi_operator.kinds.link_group import LinkGroup
from nvi_operator.language.model.values import FAMILIES, Network
from nvi_operator.state.fib_rule import FibRule
from nvi_operator.state.host import HostState
from nvi_operator.topology.facts import Facts, InterfaceAddress, LinkFact
from nvi_operator.topology.model import Topology
from nvi_operator.topology.numbers import DEFAULT, LOCAL, MAIN, MAIN_PRIORITY
from nvi_operator.topology.prefixes import ANY

KERNEL_RULES = tuple(
    FibRule(family, priority, "lookup", table)
    for family in FAMILIES
    for priority, table in ((0, LOCAL), (MAIN_PRIORITY, MAIN), (MAIN_PRIORITY + 1, DEFAULT))
)


def machine_of(
    topology: Topology,
    state: HostState,
    facts: Facts,
    *,
    routes: Iterable[HostRoute] | None = None,
    rules: Iterable[FibRule] | None = None,
    entries: Iterable[ConntrackEntry] = (),
    origin: Callable[[Subject], EntryOrigin | None] = nowhere,
) -> Machine:
    """`routes` are those of `main` and of tables of others, where they were read; None: as the facts tell of them.

    `rules`: all FIB rules that are not owned; None: those of the facts, and the kernel's own.
    """
    interfaces = {name: _interface(fact, topology, facts, state) for name, fact in facts.links.items()}
    interfaces["lo"] = HostInterface("lo", 1, mtu=65536, addresses=(ip_interface("127.0.0.1/8"), ip_interface("::1")))
    for link in state.of_kind("link"):
        assert isinstance(link, Link)
        ifindex = interfaces[link.ifname].ifindex if link.ifname in interfaces else 1 << 20
        interfaces[link.ifname] = HostInterface(link.ifname, ifindex, link.group, link.mtu, up=link.up)
    known = tuple(routes if routes is not None else _routes(topology, facts, interfaces.values()))
    rules = rules if rules is not None else (*KERNEL_RULES, *(each.rule for each in facts.rules))
    owned = {getattr(route, "table", 0) for route in state.of_kind("route")}
    foreign = {each.rule.table or 0: each.table for each in facts.rules} if routes is None else {}
    tables = {number: table for number, table in foreign.items() if number not in owned}
    return Machine(
        state,
        interfaces,
        known,
        tuple(rules),
        tuple(entries),
        tables,
        origin,
        topology.device,
    )


def _interface(fact: LinkFact, topology: Topology, facts: Facts, state: HostState) -> HostInterface:
    groups = {g.ifname: g.group for g in state.of_kind("link-group") if isinstance(g, LinkGroup)}
    addresses: tuple[InterfaceAddress, ...] = (*fact.addresses, *fact.narrow)
    if not addresses and facts.assumed:
        addresses = tuple(_assumed(topology, fact.ifname))
    group = groups.get(fact.ifname, fact.group)
    return HostInterface(
        fact.ifname,
        fact.ifindex,
        group,
        fact.mtu,
        fact.mtu6,
        fact.up,
        fact.carrier,
        addresses,
        fact.kind,
        fact.master,
    )


def _assumed(topology: Topology, ifname: str) -> Iterator[InterfaceAddress]:
    for inside in topology.inside_interfaces:
        if inside.interface.ifname == ifname:
            for network in inside.networks:
                first = network[1] if network.num_addresses > 2 else network[0]
                yield ip_interface(f"{first}/{network.prefixlen}")


def _routes(topology: Topology, facts: Facts, interfaces: Iterable[HostInterface]) -> Iterator[HostRoute]:
    """The routes of `main`: connected networks, what is known through uplinks, the default routes, and what refuses
    the unused rest of a delegated prefix.
    """
    seen: set[tuple[Network, str]] = set()
    for interface in interfaces:
        for address in interface.addresses if interface.up and interface.name != "lo" else ():
            if address.network.prefixlen < address.max_prefixlen and (address.network, interface.name) not in seen:
                seen.add((address.network, interface.name))
                yield HostRoute(address.network, interface.name, source=address.ip)
    for name, fact in facts.links.items():
        for known in fact.routes if fact.up else ():
            if (known.network, name) not in seen:
                yield HostRoute(known.network, name, ip_address(known.via) if known.via else None)
        for family, via in fact.next_hops if fact.up else ():
            best = facts.default_interfaces.get(family) in (None, name)
            yield HostRoute(ip_network(ANY[family]), name, ip_address(via), metric=0 if best else 1024)
        for family in fact.direct if fact.up else ():
            yield HostRoute(ip_network(ANY[family]), name, metric=0)
    for inside in topology.inside_interfaces:
        ifname = inside.interface.ifname
        for network in inside.networks if inside.interface.up and not inside.tenant else ():
            if (network, ifname) not in seen:
                yield HostRoute(network, ifname)
    for family in FAMILIES:
        if family in facts.refuses:
            yield HostRoute(ip_network(ANY[family]), metric=1)
    for prefix in facts.unreachable:
        yield HostRoute(prefix, metric=1024)
