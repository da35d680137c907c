"""The machine that a packet is explained on: a spec's, a revision's, or this host as it is."""

from __future__ import annotations

import os
import socket
from argparse import Namespace
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from nvi_operator.cli import revisions
from nvi_operator.cli.context import Context
from nvi_operator.dataclass import dataclass
from nvi_operator.errors import NviError, SpecError
from nvi_operator.explain.flow import ConntrackEntry, entry_of, tuple_of
from nvi_operator.explain.icmp_errors import error
from nvi_operator.explain.machine import Machine
from nvi_operator.explain.packet import WITH_PORTS, Packet
from nvi_operator.explain.step import HostRoute
from nvi_operator.explain.surroundings import machine_of
from nvi_operator.explain.walk import Walk, reply, walks
from nvi_operator.explain.words import PacketError, parse_packet
from nvi_operator.language.load.loader import LoadedSpec
from nvi_operator.language.wording import nearest, shown
from nvi_operator.plan.compile import desired_state
from nvi_operator.plan.origins import Origins
from nvi_operator.state.host import HostState
from nvi_operator.topology.assume import assume_inside, assume_leases, assume_missing
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.model import Topology
from nvi_operator.topology.resolve import resolve
from nvi_operator.view.explain.model import Explanation, WalkTree

if TYPE_CHECKING:
    from nvi_operator.doctor.ruleset import Ruleset

_SHOWN = 8  # names in a hint; of more the nearest one


@dataclass(frozen=True)
class ObservedHost:
    """`about`: which one it is, in words. `state`: its owned objects; `entries`: flows that conntrack knows.

    `notes`: what was assumed, or not looked at. `routes`: those of the host; None: as the facts tell of them.
    `others`: the nft tables of other tools; None: they were not read.
    """

    about: str
    facts: Facts
    topology: Topology
    state: HostState
    entries: tuple[ConntrackEntry, ...] = ()
    notes: tuple[str, ...] = ()
    routes: tuple[HostRoute, ...] | None = None
    others: Ruleset | None = None


def explanation_of(context: Context) -> Explanation:
    """What the arguments ask for. Raises NviError."""
    arguments = context.arguments
    packet = parse_packet(arguments.packet, arguments.in_interface)
    loaded, source = named_spec(context)
    host = live_host(context, loaded, source, packet) if arguments.live else _planned(loaded, source)
    origins = Origins(host.topology, loaded.spec, host.state, loaded.where)
    machine = machine_of(
        host.topology, host.state, host.facts, routes=host.routes, entries=host.entries, origin=origins
    )
    _check_interfaces(packet, host.topology, machine)
    _check_source(packet, machine)
    by = arguments.error_by
    if by is not None and by.version != packet.family:
        raise PacketError(f"packet: it is IPv{packet.family}, and {by} is not", hint="name a router of its family")
    ways = tuple(
        _way(host, walk, "packet", tuple(_following(host, machine, walk, arguments)))
        for walk in walks(machine, packet)
    )
    return Explanation(loaded.name, host.about, host.facts.assumed, host.notes, host.topology, machine, ways)


def _way(
    host: ObservedHost, walk: Walk, kind: Literal["packet", "answer", "error"], after: tuple[WalkTree, ...] = ()
) -> WalkTree:
    if host.others is None:
        return WalkTree(walk, kind, after)
    from nvi_operator.doctor.passage import through_others

    met = through_others(host.others, host.topology, walk)
    return WalkTree(met.walk, kind, after if met.walk is walk else (), met.uncertain)


def _following(host: ObservedHost, machine: Machine, walk: Walk, arguments: Namespace) -> Iterator[WalkTree]:
    if arguments.reply:
        yield from (_way(host, each, "answer") for each in reply(machine, walk))
    if arguments.error or arguments.error_by:
        yield from (_way(host, each, "error") for each in error(machine, walk, by=arguments.error_by))


def named_spec(context: Context) -> tuple[LoadedSpec, str]:
    """The spec, and where it is from."""
    arguments = context.arguments
    if not (arguments.live or arguments.rev):
        spec = str(arguments.spec)
        if spec != ".":
            return context.load(), spec
        try:
            return context.load(), "the spec here"
        except SpecError as error:
            error.hint = (
                "the spec was read from the current directory; `--on DIR` names another, and `--live` needs none"
            )
            raise
    from nvi_operator.rollout.content import loaded_from

    with context.history() as history:
        found = revisions.find(history, arguments.rev or revisions.LAST)
        content = history.content(found.number)
    name = f"revision {found.number}"
    if not content.files:
        raise NviError(
            f"{name}: it removed the gateway: there is no spec", hint="`nvictl history` lists the revisions"
        )
    return loaded_from(content, name), name


def _planned(loaded: LoadedSpec, source: str) -> ObservedHost:
    """What an apply would make: on this host if that has the spec's interfaces, otherwise a made-up one."""
    here = {*loaded.spec.interfaces, *loaded.spec.wires} <= {name for _, name in socket.if_nameindex()}
    notes: list[str] = []
    if here:
        facts = _facts(loaded)
    else:
        assumed = assume_missing(loaded.spec, Facts(os.uname().nodename))
        facts = assume_leases(loaded.spec, assume_inside(loaded.spec, assumed), notes.append)
    topology = resolve(loaded.name, loaded.spec, facts)
    on = "this host" if here else "a host as the spec says"
    return ObservedHost(f"by {source}, on {on}", facts, topology, desired_state(topology), notes=tuple(notes))


def _facts(loaded: LoadedSpec) -> Facts:
    from nvi_operator.kernel.kernel import Kernel
    from nvi_operator.reconcile.compiler import Compiler

    compiler = Compiler(loaded.name, loaded.spec)
    with Kernel(loaded.spec.numbers) as kernel:
        return kernel.facts(compiler.wires, compiler.flow_cache)


def live_host(context: Context, loaded: LoadedSpec, source: str, packet: Packet | None = None) -> ObservedHost:
    """By the objects, and the flows of the packet, that the kernel holds; the spec names whose they are."""
    from nvi_operator.doctor.ruleset import parse_ruleset
    from nvi_operator.kernel.inspect.host_routes import read_host_routes
    from nvi_operator.kernel.inspect.nft import read_ruleset
    from nvi_operator.kernel.kernel import Kernel
    from nvi_operator.reconcile.compiler import Compiler

    compiler = Compiler(loaded.name, loaded.spec)
    with Kernel(loaded.spec.numbers, observes=True) as kernel:
        kernel.health = context.health(loaded.spec)
        facts = kernel.facts(compiler.wires, compiler.flow_cache)
        topology = resolve(loaded.name, loaded.spec, facts)
        state = kernel.observe(desired_state(topology))
        routes = read_host_routes(facts.links, loaded.spec.numbers.protocol)
    entries = tuple(known_flows(packet)) if packet else ()
    foreign = read_ruleset()
    others = parse_ruleset(foreign.objects, foreign.tables)
    notes = tuple(f"not looked at: {failure}" for failure in foreign.failures)
    about = f"as this host is now; names by {source}"
    return ObservedHost(about, facts, topology, state, entries, notes, routes, others)


def known_flows(packet: Packet) -> Iterator[ConntrackEntry]:
    """The flows that the packet may belong to: it is a further one of such a flow, or an answer."""
    from nvi_operator.kernel.inspect.translations import FlowFilter, translations

    if packet.protocol not in WITH_PORTS:  # an echo's identifier is not among what is listed
        return
    for flow in translations(FlowFilter(address=packet.source)):
        entry = entry_of(flow)
        if entry.protocol == packet.protocol and tuple_of(packet) in (entry.original, entry.reply):
            yield entry


def _check_interfaces(packet: Packet, topology: Topology, machine: Machine) -> None:
    by_uplink = {uplink.name: uplink.interface.ifname for uplink in topology.uplinks}
    for name in filter(None, (packet.in_interface, packet.bound_interface)):
        if name not in machine.interfaces or name == machine.device:
            known = sorted(set(machine.interfaces) - {machine.device, "lo"})
            hint = f"there are: {', '.join(known[:_SHOWN])}{', ...' if known[_SHOWN:] else ''}"
            if name in by_uplink:
                hint = f"{name} is an uplink: its interface is {by_uplink[name]}"
            elif len(known) > _SHOWN and (close := nearest(name, known)):
                hint = f"did you mean {close!r}?"
            raise PacketError(f"packet: there is no interface {shown(name)}", hint=hint)


def _check_source(packet: Packet, machine: Machine) -> None:
    """What the gateway sends has an address of its own: mostly, `-i` was forgotten."""
    own = {address.ip for interface in machine.interfaces.values() for address in interface.addresses}
    if packet.in_interface is None and not packet.source.is_unspecified and packet.source not in own:
        raise PacketError(
            f"packet: {packet.source} is not an address of the gateway, which sends it where there is no -i",
            hint="name the interface that it comes in by, as in -i lan0; or write self as the source",
        )
