"""The rules for marks, DSCP and exceptions: what a packet can bear where a rule looks at it."""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.language.check.addresses import Cover, Problem
from nvi_operator.language.load.yaml_reader import Path
from nvi_operator.language.model.gateway import GatewaySpec, RouteExceptions, RouteSpec
from nvi_operator.language.model.packet_fields import WHOLE_MARK, Mark
from nvi_operator.language.model.services import Service
from nvi_operator.language.model.source_nat import Exceptions, SourceNat
from nvi_operator.language.model.values import FAMILIES, SELF, Network
from nvi_operator.topology.numbers import TENANT_MASK, UPLINK_MASK

MOST_EXCEPTED = 64  # prefixes: each may divide a prefix into 128


def check_packet_fields(spec: GatewaySpec) -> Iterator[Problem]:
    for number, rule in enumerate(spec.source_nat):
        at: Path = ("spec", "sourceNat", number)
        yield from _mark(spec, at, rule.mark)
        yield from _own(at, rule)
        if rule.except_ is not None:
            yield from _leaves_something(at, rule, rule.except_)
            yield from _ports(at, rule.ports, rule.except_.ports)
    for name, forward in spec.forwards.items():
        if forward.mark is not None:
            yield from _mark(spec, ("spec", "forwards", name), forward.mark)
        if forward.except_ is not None and forward.from_ and not _is_left(forward.from_, forward.except_):
            path: Path = ("spec", "forwards", name, "except")
            yield path, "it takes away all of from: no client is left", "leave it out, or the forward"
    for number, route in enumerate(spec.routes):
        at = ("spec", "routes", number)
        yield from _mark(spec, at, route.mark)
        yield from _mark_of_route(spec, at, route)
        if route.except_ is not None:
            yield from _leaves_something(at, route, route.except_)


def _mark(spec: GatewaySpec, at: Path, mark: Mark | None) -> Iterator[Problem]:
    if mark is None:
        return
    bits = {spec.dataplane.stage_bit: "stageBit", spec.dataplane.local_bit: "localBit"}
    for bit, name in bits.items():
        if mark.value >> bit & 1 or (mark.mask != WHOLE_MARK and mark.mask >> bit & 1):
            message = f"{mark} asks for bit {bit}, which is the gateway's own (dataplane.{name})"
            yield (*at, "mark"), message, f"leave that bit out of the mask, or give the gateway another {name}"


def _mark_of_route(spec: GatewaySpec, at: Path, route: RouteSpec) -> Iterator[Problem]:
    if route.mark is None or route.in_ == (SELF,):
        return
    if not spec.dataplane.keep_marks:
        message = "packets of inside hosts lose their marks before routes are looked up"
        hint = "write dataplane: {keepMarks: true}; or choose the uplink by sourceNat, which sees every mark"
        yield (*at, "mark"), message, hint
    elif any(interface.tenant for interface in spec.interfaces.values()):
        taken = TENANT_MASK | UPLINK_MASK
        if route.mark.mask & taken:
            message = f"{route.mark} asks for bits of {taken:#x}, in which the gateway keeps the tenant"
            yield (*at, "mark"), message, "compare higher bits only, as in 0x10000/0x10000"


def _own(at: Path, rule: SourceNat) -> Iterator[Problem]:
    if SELF not in (rule.in_ or ()):
        return
    if rule.dscp:
        message = "the route of what the gateway sends is looked up before it has a DSCP"
        yield (*at, "dscp"), message, "leave dscp out, or self"


def _leaves_something(
    at: Path, rule: SourceNat | RouteSpec, excepted: Exceptions | RouteExceptions
) -> Iterator[Problem]:
    for name, given, out in (("from", rule.from_, excepted.from_), ("to", rule.to, excepted.to)):
        if out and len(out) > MOST_EXCEPTED:
            message = f"{len(out)} prefixes: at most {MOST_EXCEPTED}"
            yield (*at, "except", name), message, "write a rule for them, and place it before this one"
        elif out and given and not _is_left(given, out):
            yield (*at, "except", name), f"it takes away all of {name}", "leave it out, or the rule"


def _ports(at: Path, given: tuple[Service, ...] | None, out: tuple[Service, ...] | None) -> Iterator[Problem]:
    if given and out:
        for service in out:
            if not any(g.protocol == service.protocol and _meet(g, service) for g in given):
                message = f"{service} is not among ports"
                yield (*at, "except", "ports"), message, "leave it out"
        if all(_within(g, out) for g in given):
            yield (*at, "except", "ports"), "it takes away all of ports", "leave it out, or the rule"


def _meet(one: Service, other: Service) -> bool:
    return one.ports.overlaps(other.ports)


def _within(service: Service, out: tuple[Service, ...]) -> bool:
    first = service.ports.first
    for hole in sorted(o.ports for o in out if o.protocol == service.protocol):
        if hole.first <= first <= hole.last:
            first = hole.last + 1
    return first > service.ports.last


def _is_left(given: tuple[Network, ...], out: tuple[Network, ...]) -> bool:
    cover = Cover(out)
    return any(not cover.holds(n[0], n[-1]) for family in FAMILIES for n in given if n.version == family)
