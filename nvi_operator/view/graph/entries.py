"""Entries of the spec that stage 1 translates by, in words, and with the interfaces and uplinks that they name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from ipaddress import ip_network

from nvi_operator.dataclass import dataclass
from nvi_operator.language.model.gateway import GatewaySpec, RouteSpec
from nvi_operator.language.model.nat_entries import Forward, Static, TwiceNat
from nvi_operator.language.model.packet_fields import dscp_name
from nvi_operator.language.model.prefixes import PrefixNat, SubPrefix
from nvi_operator.language.model.redirects import RedirectSpec
from nvi_operator.language.model.source_nat import SourceNat, Translation
from nvi_operator.language.model.values import SELF
from nvi_operator.language.wording import first_to_last
from nvi_operator.view.graph.model import Opened
from nvi_operator.view.graph.places import InterfaceIndex

_FEW = 4  # uplinks that are named one by one


@dataclass(frozen=True, slots=True)  # there may be 100,000
class GraphEntry:
    """One entry. `tell` words it; `servers` are what flows from outside are given to."""

    section: str
    name: str
    tell: Callable[[], tuple[str, ...]]  # of entries that share a box no one asks
    inside: frozenset[str]
    uplinks: frozenset[str]
    opened: Opened
    number: int | None = None  # its place in a section where the first that matches wins
    servers: tuple[object, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        return self.tell()

    @property
    def title(self) -> str:
        return self.name if self.number is None else f"{self.number}. {self.name}"


def entries(spec: GatewaySpec, places: InterfaceIndex) -> Iterator[GraphEntry]:
    """Section by section; within one in the order that counts, and otherwise by name."""
    for number, rule in enumerate(spec.source_nat, start=1):
        yield _rule(rule, number, places)
    yield from (_forward(name, each, places) for name, each in sorted(spec.forwards.items()))
    yield from (_redirect(name, each, places) for name, each in sorted(spec.redirects.items()))
    yield from (_static(name, each, places) for name, each in sorted(spec.static.items()))
    yield from (_prefix_nat(name, each, places) for name, each in sorted(spec.prefix_nat.items()))
    yield from (_twice(name, each, places) for name, each in sorted(spec.twice_nat.items()))


def route_words(route: RouteSpec) -> tuple[str, ...]:
    """What a route is about."""
    words = _about(route.from_, route.to, route.in_, (f"mark {route.mark}",) if route.mark else ())
    out = route.except_
    return (words, *((f"but not {_about(out.from_, out.to, None, ())}",) if out else ()))


def _rule_words(rule: SourceNat) -> tuple[str, ...]:
    fields = [str(each) for each in (*(rule.protocol or ()), *(rule.ports or ()))]
    fields += [f"sent from {service}" for service in rule.from_ports or ()]
    fields += [f"dscp {dscp_name(each)}" for each in rule.dscp or ()]
    fields += [f"mark {rule.mark}"] if rule.mark else []
    everything = f"everything of {rule.tenant}" if rule.tenant else "everything inside"
    return _about(rule.from_, rule.to, rule.in_, fields) or everything, _becomes(rule.as_)


def _rule(rule: SourceNat, number: int, places: InterfaceIndex) -> GraphEntry:
    translation = rule.as_
    if translation.unchanged:
        uplinks = places.default
    elif translation.pool:
        uplinks = frozenset(u for r in translation.pool for u in places.uplinks_of(ip_network(r.first)))
    else:
        uplinks = frozenset(translation.names)
    inside = _inside_of_rule(rule, places)
    words = partial(_rule_words, rule)
    return GraphEntry("sourceNat", rule.name, words, inside, uplinks, Opened.INSIDE, number=number)


def _inside_of_rule(rule: SourceNat, places: InterfaceIndex) -> frozenset[str]:
    if rule.in_:
        return frozenset(name for name in rule.in_ if name in places.inside)
    if rule.from_ is None:
        return places.interfaces_of_tenant(rule.tenant)
    return frozenset(name for network in rule.from_ for name in places.interfaces_of(network, rule.tenant))


def _becomes(translation: Translation) -> str:
    if translation.unchanged:
        return "unchanged"
    text = _listed(translation.pool) if translation.pool else ", else ".join(map(_tier, translation.tiers))
    return f"as {text}" + (f", ports {translation.ports}" if translation.ports else "")


def _tier(tier: Mapping[str, int | None]) -> str:
    if len(tier) > _FEW and set(tier.values()) == {None}:
        return first_to_last(tier, "uplink")
    return " + ".join(name if weight is None else f"{name}:{weight}" for name, weight in tier.items())


def _forward_words(forward: Forward) -> tuple[str, ...]:
    what = _listed((*(forward.ports or ()), *(forward.protocol or ()))) or "everything"
    at = _listed(forward.at) if forward.at else "every uplink"
    clients = f" from {_listed(forward.from_)}" if forward.from_ else ""
    return f"{what} at {at}{clients}", f"to {_listed(forward.to)}"


def _forward(name: str, forward: Forward, places: InterfaceIndex) -> GraphEntry:
    uplinks = (
        frozenset(u for place in forward.at for u in places.uplink_or_owner(place))
        if forward.at
        else frozenset(places.uplinks)
    )
    inside = frozenset(n for target in forward.to for n in places.interface_of(target.address, forward.tenant))
    servers = tuple(target.address for target in forward.to)
    words = partial(_forward_words, forward)
    return GraphEntry("forwards", name, words, inside, uplinks, Opened.OUTSIDE, servers=servers)


def _redirect_words(redirect: RedirectSpec) -> tuple[str, ...]:
    if isinstance(redirect.to, tuple):
        to = _listed(redirect.to)
    else:
        to = SELF if redirect.to is None else f"{SELF}:{redirect.to}"
    return _listed(redirect.ports), f"to {to}"


def _redirect(name: str, redirect: RedirectSpec, places: InterfaceIndex) -> GraphEntry:
    if redirect.in_:
        inside = frozenset(redirect.in_)
    elif redirect.from_:
        inside = frozenset(n for network in redirect.from_ for n in places.interfaces_of(network))
    else:
        inside = frozenset(places.inside)
    return GraphEntry("redirects", name, partial(_redirect_words, redirect), inside, frozenset(), Opened.INSIDE)


def _static_words(static: Static) -> tuple[str, ...]:
    pairs = tuple(f"{short_network(real)} = {short_network(mapped)}" for real, mapped in static.pairs)
    limits = f"only to {_listed(static.to)}" if static.to else ""
    limits = f"only for {_listed(static.in_)}" if static.in_ else limits
    return (*pairs, *filter(None, (limits,)))


def _static(name: str, static: Static, places: InterfaceIndex) -> GraphEntry:
    inside = frozenset(i for real in static.address for i in places.interfaces_of(real, static.tenant))
    inside |= frozenset(static.in_ or ()) & frozenset(places.inside)
    uplinks = frozenset(u for mapped in static.as_ for u in places.uplinks_of(mapped))
    return GraphEntry("static", name, partial(_static_words, static), inside, uplinks, Opened.BOTH)


def _prefix_nat_words(entry: PrefixNat) -> tuple[str, ...]:
    return (f"{entry.address} =", *map(str, entry.as_))


def _prefix_nat(name: str, entry: PrefixNat, places: InterfaceIndex) -> GraphEntry:
    uplinks: set[str] = set()
    for item in entry.as_:
        uplinks |= {item.from_} if isinstance(item, SubPrefix) else places.uplinks_of(item)
    words = partial(_prefix_nat_words, entry)
    return GraphEntry("prefixNat", name, words, places.interfaces_of(entry.address), frozenset(uplinks), Opened.BOTH)


def _twice_words(twice: TwiceNat) -> tuple[str, ...]:
    return tuple(
        line
        for pair in twice.families
        for line in (f"source {pair.from_} = {pair.as_}", f"destination {pair.to} = {pair.becomes}")
    )


def _twice(name: str, twice: TwiceNat, places: InterfaceIndex) -> GraphEntry:
    inside = frozenset(i for network in twice.from_ for i in places.interfaces_of(network))
    opened = Opened.BOTH if twice.opens == "both" else Opened.INSIDE
    return GraphEntry("twiceNat", name, partial(_twice_words, twice), inside, frozenset({twice.via}), opened)


def _about(
    sources: Iterable[object] | None,
    destinations: Iterable[object] | None,
    ifnames: Iterable[str] | None,
    fields: Iterable[str],
) -> str:
    parts = [
        f"{word} {_listed(values)}"
        for word, values in (("in", ifnames), ("from", sources), ("to", destinations))
        if values
    ]
    told = _listed(fields)
    return " ".join([*parts, told] if told else parts)


def _listed(values: Iterable[object]) -> str:
    return ", ".join(map(short_network, values))


def short_network(value: object) -> str:
    """A prefix of one address is written as the address."""
    return str(value).removesuffix("/32").removesuffix("/128")
