"""Nothing leaves an uplink untranslated or with a source of another one, and no packet goes round in circles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from nvi_operator.explain.limits import Limit
from nvi_operator.explain.packet import WITH_PORTS, address
from nvi_operator.explain.spans import Spans
from nvi_operator.explain.verdict import Dropped, Forwarded, NotModelled
from nvi_operator.explain.walk import Walk
from nvi_operator.invariants.classes import Classes
from nvi_operator.invariants.names import entry_words
from nvi_operator.invariants.result import Unknown, Violation, not_modelled
from nvi_operator.language.load.yaml_reader import Path
from nvi_operator.language.model.services import Service, protocol_number
from nvi_operator.state.fib_rule import FibRule
from nvi_operator.topology.rules import Conditions


def nothing_leaves_untranslated(classes: Classes) -> Iterator[Violation | Unknown]:
    """All that inside hosts send to the outside is walked. Of an interface, a family and a way out one is told."""
    reported: set[object] = set()
    for walk in classes.leaving:
        if isinstance(walk.verdict, NotModelled) and walk.verdict.what is not Limit.MULTICAST:
            yield Unknown(_inside_of(walk), not_modelled(walk.verdict))
        if not isinstance(walk.verdict, Forwarded) or not classes.is_uplink(walk.verdict.interface):
            continue
        family = walk.region.family
        way = walk.entering.in_interface, family, walk.verdict.interface
        if way in reported:
            continue
        if wrong := walk.leaving("source") & classes.inside(family) - _free(classes, walk):
            reported.add(way)
            source = address(family, wrong.first)
            message = f"inside source {source} leaves by {walk.verdict.interface} untranslated"
            kept = walk.region.values("source") & wrong
            packet = replace(walk.entering, source=address(family, kept.first)) if kept else walk.entering
            yield Violation(_inside_of(walk), message, "write a rule of sourceNat for it", packet)


def sources_keep_to_their_uplink(classes: Classes) -> Iterator[Violation]:
    """Of the same: an address of one uplink leaves by another only where a route names it under `from`."""
    reported: set[tuple[Path, ...]] = set()
    for walk in classes.leaving:
        if not isinstance(walk.verdict, Forwarded) or not classes.is_uplink(ifname := walk.verdict.interface):
            continue
        family, causes = walk.region.family, tuple(path for path in classes.causes(walk) if path[1] == "routes")
        own = [n for u in classes.topology.uplinks if u.interface.ifname == ifname for n in u.sources(family)]
        own += [n for path in causes for n in classes.spec.routes[int(path[2])].from_ or ()]
        foreign = walk.leaving("source") & classes.public(family) - Spans.networks(
            n for n in own if n.version == family
        )
        if foreign and causes and causes not in reported:
            reported.add(causes)
            because = entry_words(classes.spec, causes)
            message = f"{ifname} takes packets with source {address(family, foreign.first)} out, because of {because}"
            hint = (
                "an ISP drops sources of another: write sourceNat with the same conditions, or `from` if it does not"
            )
            yield Violation(causes[-1], message, hint, walk.entering)


def _free(classes: Classes, walk: Walk) -> Spans:
    """What may leave as it is: by rules that say so, and prefixes that an ISP delegates or routes here."""
    topology, family = classes.topology, walk.region.family
    sent_to = walk.leaving("destination")
    free = [n for inside in topology.inside_interfaces for n in inside.delegated if n.version == family]
    for conditions in topology.unchanged(family):
        asks = not conditions.destinations or not sent_to - Spans.networks(conditions.destinations)
        if asks and _means(conditions, walk):
            free += conditions.sources or topology.inside_networks(family)
    return Spans.networks(free) | classes.public(family)


def _means(conditions: Conditions, walk: Walk) -> bool:
    """Is the rule about all packets of the class, by all but their networks?"""
    region, like = walk.region, walk.region.like
    ports = region.values("source_port"), region.values("destination_port")
    return (
        (not conditions.ifnames or region.in_interfaces <= {*conditions.ifnames})
        and (not conditions.dscps or like.dscp in conditions.dscps)
        and (conditions.mark is None or like.mark & conditions.mark.mask == conditions.mark.value)
        and all(
            _is_service(conditions, protocol, *ports)
            for first, last in region.values("protocol")
            for protocol in range(first, last + 1)
        )
    )


def _is_service(conditions: Conditions, protocol: int, source: Spans, destination: Spans) -> bool:
    if conditions.protocols and protocol not in map(protocol_number, conditions.protocols):
        return False
    for services, ports in ((conditions.source_services, source), (conditions.services, destination)):
        if services and ports - _ports(services, protocol):
            return False
    return protocol not in WITH_PORTS or not destination & _ports(conditions.excepted, protocol)


def _ports(services: Iterable[Service], protocol: int) -> Spans:
    return Spans.of((s.ports.first, s.ports.last) for s in services if protocol_number(s.protocol) == protocol)


def _inside_of(walk: Walk) -> Path:
    return ("spec", "interfaces", walk.entering.in_interface or "")


_TWICE = (
    "untracked",
    "loop",
)  # counters of what comes to the device again: of the table before it, and of the device


def no_loop(classes: Classes) -> Iterator[Violation | Unknown]:
    """All that comes in by an interface of the spec and may be sent on is walked: one packet for each FIB rule.

    No spec makes a rule that leads to the device twice; another program may, and `plan` sees it.
    """
    device, told = classes.topology.device, set[FibRule | None]()
    for walk in (*classes.leaving, *classes.coming):
        if not isinstance(walk.verdict, Dropped) or walk.verdict.counter not in _TWICE:
            continue
        rule = next((s.subject for s in reversed(walk.steps) if isinstance(s.subject, FibRule)), None)
        if rule in told:
            continue
        told.add(rule)
        why = f": the FIB rule `{rule}` leads it there in the second pass" if rule else ""
        message = f"a packet comes to {device} twice, and is dropped there{why}"
        yield Violation(
            ("spec",), message, "delete the rule, or have it match no mark of the second pass", walk.entering
        )
