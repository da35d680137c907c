"""What a change would lock out: ssh sessions with the gateway, its git remote, and addresses that a user protects."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Collection
from ipaddress import ip_address
from threading import Thread
from urllib.parse import urlsplit

from nvi_operator.errors import KernelError
from nvi_operator.explain.exchange import Exchange, asked, cut
from nvi_operator.explain.machine import Machine
from nvi_operator.explain.own_route import Protected, cut_off, own_way
from nvi_operator.explain.packet import TCP, Packet
from nvi_operator.explain.routing import Router
from nvi_operator.explain.surroundings import machine_of
from nvi_operator.kernel.inspect.other_routes import read_other_routing
from nvi_operator.kernel.inspect.sessions import ssh_sessions
from nvi_operator.language.model.values import FAMILIES, Address
from nvi_operator.language.operator.git import GitUrl
from nvi_operator.plan.change import Plan
from nvi_operator.reconcile.compiler import Compiler
from nvi_operator.reconcile.cycle import AnyKernel
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.lockout import Session, lost
from nvi_operator.topology.model import Topology
from nvi_operator.topology.resolve import resolve

PATIENCE = 3.0  # seconds for name servers: where none answers, the remote is not looked after
HINT = "change the route, or the rule that takes the packet; --force continues all the same"


class LockOut:
    """`protect` and the git `remote` are those of the Operator document. `say` gets what could not be looked at."""

    def __init__(
        self, protect: Collection[Address] = (), remote: GitUrl | None = None, say: Callable[[str], None] = print
    ) -> None:
        self._protect = tuple(protect)
        self._remote = remote
        self._say = say
        self._resolved: tuple[Address, ...] = ()

    def packets(self, kernel: AnyKernel, compiler: Compiler, plan: Plan, *, sessions: bool) -> list[str]:
        """The packets that would be lost, with what takes them. `sessions`: those of ssh as well."""
        spec = compiler.spec
        if spec is None or not plan:
            return []
        try:
            there = ssh_sessions() if sessions else []
            if (protected := self._protected(spec.protect or ())) or there:
                facts = kernel.facts(compiler.wires, compiler.flow_cache)
                topology = plan.topology or resolve(compiler.name, spec, facts)
                return [*lost(topology, there)] or _cut(
                    plan, topology, facts, spec.numbers.protocol, protected, there
                )
        except KernelError as error:
            self._say(f"{error.message}: what would be locked out is not known")
        return []

    def _protected(self, declared: Collection[Address]) -> list[Protected]:
        addresses = dict.fromkeys((*self._protect, *declared))
        found = [Protected("which `protect` names", (address,)) for address in addresses]
        endpoint = _endpoint(self._remote) if self._remote is not None else None
        if endpoint is not None:
            host, port = endpoint
            self._resolved = self._resolved or _resolve(host)
            if self._resolved:
                found.append(Protected(f"the way to the git remote {host}", self._resolved, port))
            else:
                self._say(f"{host}: its address is not known: the way to the git remote is not looked after")
        return found


def _cut(
    plan: Plan,
    topology: Topology,
    facts: Facts,
    protocol: int,
    protected: Collection[Protected],
    sessions: Collection[Session],
) -> list[str]:
    """By routes, or where these tell of no loss, by what becomes of an answer and of what comes in."""
    addresses = {address for each in protected for address in each.addresses}
    addresses |= {ip_address(session.peer) for session in sessions}
    rules, routes = read_other_routing(addresses, facts.links, protocol)
    known = [rule for rule in rules if not rule.other]  # by user, tunnel: they are passed over
    before, after = (
        machine_of(topology, state, facts, routes=routes, rules=known) for state in (plan.before, plan.after)
    )
    found = list(cut_off(before, after, protected))
    if not found and _may_be_dropped(topology, addresses):
        asks = (asked(each.packet(each.addresses[0]), each.addresses, each.port or 443) for each in protected)
        found += cut(before, after, (*asks, *(_of_session(each, before, facts) for each in sessions)))
    return found


def _may_be_dropped(topology: Topology, addresses: Collection[Address]) -> bool:
    """Is anything known of one of them? A walk among 100,000 forwards takes half a second."""
    if topology.guards.anti_spoof == "strict":
        return True
    known = [network for family in FAMILIES for network in (*topology.inside_networks(family), *topology.far(family))]
    known += [network for uplink in topology.uplinks for network in uplink.routed]
    return any(address in network for address in addresses for network in known)


def _of_session(session: Session, machine: Machine, facts: Facts) -> Exchange:
    """Its packets come in where answers leave, or where the address is that they ask."""
    peer, local = ip_address(session.peer), ip_address(session.local)
    way = own_way(Router(machine), peer, session.peer_port).dev
    has = (name for name, link in facts.links.items() if any(address.ip == local for address in link.addresses))
    ways = dict.fromkeys(name for name in (way, *has) if name in facts.links)
    return Exchange(
        str(session), tuple(Packet(name, TCP, peer, local, session.peer_port, session.port) for name in ways)
    )


def _endpoint(remote: GitUrl) -> tuple[str, int] | None:
    """Where its packets go: to a proxy, where git uses one."""
    proxy = os.environ.get("https_proxy") or os.environ.get("HTTPS_PROXY") if remote.transport == "https" else None
    if proxy:
        parts = urlsplit(proxy if "//" in proxy else f"//{proxy}")
        return (parts.hostname, parts.port or 1080) if parts.hostname else None
    return remote.endpoint


def _resolve(host: str) -> tuple[Address, ...]:
    """Empty where no name server answers in time."""
    found: list[Address] = []

    def ask() -> None:
        try:
            told = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except OSError:
            return
        found.extend(ip_address(str(address[0]).partition("%")[0]) for *_, address in told)

    asking = Thread(target=ask, daemon=True)
    asking.start()
    asking.join(PATIENCE)
    return tuple(dict.fromkeys(found))
