"""The rules for source NAT, 1:1 NAT, twice NAT and routes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from ipaddress import collapse_addresses, ip_network
from typing import Any, NamedTuple

from nvi_operator.language.check.addresses import (
    AddressSpan,
    Cover,
    Homes,
    InsideNetworks,
    Problem,
    declared_networks,
    explicit,
    families_of,
    overlapping,
    own_addresses,
    span_of,
)
from nvi_operator.language.load.yaml_reader import Path
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.nat_entries import OneTwice, Static
from nvi_operator.language.model.one_to_one import pieces, subnets_in
from nvi_operator.language.model.servers import BY_KERNEL
from nvi_operator.language.model.source_nat import SourceNat
from nvi_operator.language.model.values import FAMILIES, SELF, AddressRange, Network
from nvi_operator.language.wording import counted, listed

MAX_ROUTES = 380  # FIB rule priorities between the first route and what follows; one for each family
MAX_SPREAD = 4096  # addresses of a pool that the ruleset chooses from, and one-to-one pairs that it lists


def check_source_nat(spec: GatewaySpec) -> Iterator[Problem]:
    homes, inside_networks = Homes(spec), InsideNetworks(spec)
    for number, rule in enumerate(spec.source_nat):
        at: Path = ("spec", "sourceNat", number)
        for pool in rule.as_.pool or ():
            if not homes.any(pool.first, pool.last):
                yield from _inside_pool(homes, inside_networks, at, rule, pool)
        yield from _rule_families(spec, at, rule)
        yield from _rule_tenants(inside_networks, at, rule)
        if rule.as_.pool:
            yield from _pool(spec, at, rule, rule.as_.pool)


def _inside_pool(
    homes: Homes, inside_networks: InsideNetworks, at: Path, rule: SourceNat, pool: AddressRange
) -> Iterator[Problem]:
    """An inside address is a source within its own network only, as for servers whose default router is another."""
    if not inside_networks.hold(pool.first, pool.last):
        yield (*at, "as"), f"{pool} belongs to no uplink", homes.nowhere()
    elif not rule.to or not all(inside_networks.hold(network[0], network[-1]) for network in rule.to):
        message = f"{pool} is an inside address, and nothing leaves by an uplink with such a source"
        hint = "name an uplink; or in `to` the inside network that this rule is meant for"
        yield (*at, "as"), message, hint


def _rule_families(spec: GatewaySpec, at: Path, rule: SourceNat) -> Iterator[Problem]:
    """A rule works in the families that all its sides have; there must be one."""
    sides: list[tuple[str, set[int]]] = []
    if rule.from_:
        sides.append(("from", {n.version for n in rule.from_}))
    if rule.to:
        sides.append(("to", {n.version for n in rule.to}))
    if rule.protocol and set(rule.protocol) <= {"icmp", "icmpv6"}:
        sides.append(("protocol", {4 if protocol == "icmp" else 6 for protocol in rule.protocol}))
    if rule.as_.pool:
        sides.append(("as", {r.family for r in rule.as_.pool}))
    uplinks = [spec.uplinks[name] for name in rule.as_.names if name in spec.uplinks]
    if uplinks:
        sides.append(("as", {family for uplink in uplinks for family in families_of(uplink)}))
    _, clash = common_families(sides)
    if clash:
        name, shown = clash
        yield (*at, name), f"IPv4 mixed with IPv6: {shown}", "write one rule for each family"


def common_families(sides: list[tuple[str, set[int]]]) -> tuple[set[int], tuple[str, str] | None]:
    """The families that all sides have; if none, the field that takes the last away, and what it does not fit."""
    common: set[int] = set(FAMILIES)
    for number, (name, families) in enumerate(sides):
        if not common & families:
            other, others = next(side for side in sides[:number] if not side[1] & families)
            return set(), (name, f"{other} is IPv{min(others)} and {name} is IPv{min(families)}")
        common &= families
    return common, None


def _rule_tenants(inside_networks: InsideNetworks, at: Path, rule: SourceNat) -> Iterator[Problem]:
    if not rule.from_:
        return
    tenants = inside_networks.tenants_of(rule.from_)
    if rule.tenant:
        if rule.tenant in inside_networks.tenants and rule.tenant not in tenants:
            message = f"none of these addresses is in the networks of tenant {rule.tenant!r}"
            yield (*at, "from"), message, "correct from, or leave it out to mean all of the tenant"
    elif len(tenants) > 1 and not rule.in_:
        message = f"these addresses exist in several tenants: {', '.join(tenants)}"
        yield (*at, "from"), message, "name one with `tenant`, or the interface with `in`"


def _pool(spec: GatewaySpec, at: Path, rule: SourceNat, pool: Mapping[AddressRange, int]) -> Iterator[Problem]:
    path = (*at, "as")
    spans = [AddressSpan(r.family, int(r.first), int(r.last), order, r) for order, r in enumerate(pool)]
    for later, earlier in overlapping(spans):
        yield path, f"{later.owner} overlaps {earlier.owner} of the same pool", "name each address once"
    if not rule.as_.overload:
        sources_of = [span_of(network, order, network) for order, network in enumerate(rule.from_ or ())]
        for clash, with_ in overlapping(sources_of):
            message = f"{clash.owner} overlaps {with_.owner}, and overload is false"
            yield (*at, "from"), message, "name each source once: it has one address of the pool"
    for family in FAMILIES:
        ranges = [r for r in pool if r.family == family]
        size = sum(r.size for r in ranges)
        if (len(ranges) > 1 or rule.as_.pick not in BY_KERNEL) and rule.as_.overload and size > MAX_SPREAD:
            message = f"a pool of {size} addresses in parts, or not picked by hash: at most {MAX_SPREAD}"
            yield path, message, "write it as one range or prefix, picked by hash"
        if ranges and not rule.as_.overload:
            sources = _sources(spec, rule, family)
            count = sum(n.num_addresses for n in sources)
            if count > size:
                sizes = f"{counted(count, 'source')}, {counted(size, 'address', 'es')}"
                message = f"the pool is too small: {sizes}, and overload is false"
                yield path, message, "make the pool as large as from, or let clients share with overload: true"
            elif count > MAX_SPREAD and not _as_one(sources, ranges):
                message = f"{count} sources, one by one: at most {MAX_SPREAD}"
                yield path, message, "give one prefix in from, and a prefix as large in the pool"
    own = SELF in (rule.in_ or ())  # check/own.py has a word for it
    if not rule.as_.overload and not own and not any(_sources(spec, rule, r.family) for r in pool):
        yield path, "overload: false gives each source its own address, and there are no sources", "name them in from"


def _as_one(sources: list[Network], ranges: list[AddressRange]) -> bool:
    """A prefix to a prefix, which is one entry however large they are."""
    return len(sources) == len(ranges) == 1 and int(ranges[0].first) % sources[0].num_addresses == 0


def _sources(spec: GatewaySpec, rule: SourceNat, family: int) -> list[Network]:
    """Whose source the rule translates: from, or what lives behind its interfaces or its tenant's, or all."""
    if rule.from_:
        return [n for n in rule.from_ if n.version == family]
    behind: list[Any] = [
        network
        for ifname, interface in spec.interfaces.items()
        if (ifname in rule.in_ if rule.in_ else rule.tenant in (None, interface.tenant))
        for network in interface.networks
        if network.version == family
    ]
    return list(collapse_addresses(behind))


# --------------------------------------------------------------------------- 1:1


class _Piece(NamedTuple):
    """A part of an entry of 1:1 NAT, without its exceptions."""

    name: str
    static: Static
    network: Network


def check_static(spec: GatewaySpec) -> Iterator[Problem]:
    homes, inside_networks = Homes(spec), InsideNetworks(spec)
    real: dict[str | None, list[AddressSpan[_Piece]]] = defaultdict(list)
    public: list[AddressSpan[_Piece]] = []
    own, declared = own_addresses(spec), declared_networks(spec)
    for order, (name, static) in enumerate(spec.static.items()):
        at: Path = ("spec", "static", name)
        yield from _static_in(spec, at, static)
        for address, mapped in static.pairs:
            if not homes.any_of(mapped):
                hint = homes.nowhere(or_else=", or to an interface's knownAs")
                yield (*at, "as"), f"{mapped} belongs to no uplink", hint
            yield from _static_real(homes, inside_networks, at, static, address)
            if static.nptv6 and address.version == 6:
                if not (count := subnets_in(address, declared)):
                    message = f"nptv6: no interface declares a network in {address}"
                    yield (*at, "address"), message, "name the networks that live there in networks of an interface"
                elif count > MAX_SPREAD:
                    message = f"nptv6: {count} subnets are declared in {address}: at most {MAX_SPREAD}"
                    yield (*at, "address"), message, "declare the networks that are in use, as /64"
                    return
        for address, mapped in pieces(static, own, declared):
            real[static.tenant].append(span_of(address, order, _Piece(name, static, address)))
            public.append(span_of(mapped, order, _Piece(name, static, mapped)))
    limited = any(static.to or static.in_ for static in spec.static.values())
    for later, earlier in _distinct(overlapping(public, _for_others if limited else None)):
        one, other = later.owner, earlier.owner
        message = f"{one.network} overlaps {other.network} of static {other.name!r}"
        yield ("spec", "static", one.name, "as"), message, "a public address stands for one address"
    for spans in real.values():
        for later, earlier in _distinct(overlapping(spans, _for_others if limited else None)):
            one, other = later.owner, earlier.owner
            message = f"{one.network} overlaps {other.network} of static {other.name!r}"
            yield ("spec", "static", one.name, "address"), message, "each address has one alias"


def _distinct(
    pairs: Iterable[tuple[AddressSpan[_Piece], AddressSpan[_Piece]]],
) -> Iterator[tuple[AddressSpan[_Piece], AddressSpan[_Piece]]]:
    """Two entries overlap once, in however many pieces."""
    seen: set[tuple[str, str]] = set()
    for later, earlier in pairs:
        names = later.owner.name, earlier.owner.name
        if names not in seen:
            seen.add(names)
            yield later, earlier


def _for_others(one: _Piece, other: _Piece) -> bool:
    """Are they for different hosts? An entry with `in` is matched before one without, and one with `to` likewise."""
    left, right = one.static, other.static
    if (left.tenant is None) == (right.tenant is None):
        if bool(left.in_) != bool(right.in_):
            return True
        if left.in_ and not set(left.in_) & set(right.in_ or ()):
            return True
    if left.tenant != right.tenant or bool(left.to) != bool(right.to):
        return left.tenant == right.tenant
    return bool(left.to and right.to) and not any(a.overlaps(b) for a in left.to or () for b in right.to or ())


def _static_in(spec: GatewaySpec, at: Path, static: Static) -> Iterator[Problem]:
    families = {real.version for real, _ in static.pairs}
    for ifname in static.in_ or ():
        interface = spec.interfaces.get(ifname)
        if interface and not families & {network.version for network in interface.networks}:
            message = f"IPv4 mixed with IPv6: {ifname} has no IPv{min(families)} network"
            yield (*at, "in"), message, "name interfaces that have networks of the same family"


def _static_real(
    homes: Homes, inside_networks: InsideNetworks, at: Path, static: Static, address: Network
) -> Iterator[Problem]:
    path = (*at, "address")
    is_host = address.prefixlen == address.max_prefixlen
    own = homes.own.get((address.version, int(address.network_address))) if is_host else None
    if own:
        message = f"{address.network_address} is the gateway's own address (uplink {own!r})"
        yield path, message, "name the host that is to have another address"
    tenants = inside_networks.tenants_of([address])
    if static.tenant is None:
        if tenants:
            several = "s" if len(tenants) > 1 else ""
            message = f"{address} exists in tenant{several} {', '.join(tenants)}"
            yield path, message, "name one with `tenant`"
    elif static.tenant not in tenants and static.tenant in inside_networks.tenants:
        message = f"{address} is not in the networks of tenant {static.tenant!r}"
        yield path, message, "name an address of that tenant, or add its network to the interface"


# --------------------------------------------------------------------------- twice NAT


def check_twice_nat(spec: GatewaySpec) -> Iterator[Problem]:
    homes, inside_networks = Homes(spec), InsideNetworks(spec)
    for name, twice in spec.twice_nat.items():
        at: Path = ("spec", "twiceNat", name)
        for mapped in twice.as_:
            if not homes.any_of(mapped):
                hint = f"add it to routed of uplink {twice.via!r}"
                if twice.via not in spec.uplinks:
                    there_are = f"; there are: {listed(spec.uplinks)}" if spec.uplinks else ""
                    hint = (
                        f"there is no uplink {twice.via!r}: add it to routed of the one that leads there{there_are}"
                    )
                yield (*at, "as"), f"{mapped} belongs to no uplink", hint
        tenants = inside_networks.tenants_of(twice.from_)
        if len(tenants) > 1:
            message = f"these addresses exist in several tenants: {', '.join(tenants)}"
            yield (*at, "from"), message, "give the tenant's hosts addresses of their own with static"
    entries = [(name, one) for name, twice in spec.twice_nat.items() for one in twice.families]
    yield from _twice_overlaps(entries, "to", "overlaps", _differ_in_source, "each alias stands for one network")
    yield from _twice_overlaps(
        entries, "as", "is another network's already: it overlaps", _same_shift, "each network needs its own alias"
    )
    yield from _twice_overlaps(
        entries, "becomes", "leads two ways: it overlaps", _differ_on_the_way, "take the same uplink, or another `as`"
    )
    yield from _sent_back(entries)


_Twice = tuple[str, OneTwice]


def _twice_overlaps(entries: Iterable[_Twice], field: str, relation: str, apart: Any, hint: str) -> Iterator[Problem]:
    attribute = {"as": "as_"}.get(field, field)
    spans = [span_of(getattr(e[1], attribute), order, e) for order, e in enumerate(entries)]
    for later, earlier in overlapping(spans, apart):
        mine, other = getattr(later.owner[1], attribute), getattr(earlier.owner[1], attribute)
        message = f"{mine} {relation} {other} of twiceNat {earlier.owner[0]!r}"
        yield ("spec", "twiceNat", later.owner[0], field), message, hint


def _sent_back(entries: Sequence[_Twice]) -> Iterator[Problem]:
    """Stage 2 knows packets to the other side by their addresses: from `as` to `becomes`.

    Its answers go from `to` to `from` there. Where both could be either, the FIB rule of twice NAT sends the answers
    back through the uplink (seen: each gets as far as the gateway, and then to the partner again).
    """
    known_as = [span_of(one.as_, order, (name, one)) for order, (name, one) in enumerate(entries)]
    asked_as = [span_of(one.to, order, (name, one)) for order, (name, one) in enumerate(entries)]
    for sent, asked in _crossing(known_as, asked_as):
        (sender, one), (name, other) = sent.owner, asked.owner
        if not one.becomes.overlaps(other.from_):
            continue
        whose = "" if sender == name else f" of twiceNat {sender!r}"
        message = (
            f"{other.to} overlaps as {one.as_}{whose}, and from {other.from_} overlaps its becomes {one.becomes}: "
            "answers would look like what is sent there, and go back"
        )
        yield ("spec", "twiceNat", name, "to"), message, "choose addresses for the other side that no `as` has"


def _crossing(
    left: Iterable[AddressSpan[_Twice]], right: Iterable[AddressSpan[_Twice]]
) -> Iterator[tuple[AddressSpan[_Twice], ...]]:
    """Every span of the one with every span of the other that it overlaps."""
    reaching: tuple[list[AddressSpan[_Twice]], ...] = ([], [])
    for span, side in sorted(
        ((s, n) for n, spans in enumerate((left, right)) for s in spans), key=lambda p: p[0][:4]
    ):
        for others in reaching:
            others[:] = [o for o in others if o.family == span.family and o.last >= span.first]
        yield from ((span, other) if side == 0 else (other, span) for other in reaching[1 - side])
        reaching[side].append(span)


def _differ_in_source(one: _Twice, other: _Twice) -> bool:
    return not one[1].from_.overlaps(other[1].from_)


def _same_shift(one: _Twice, other: _Twice) -> bool:
    """Does the same source get the same alias from both, as with one site and several partners?"""
    return _shift(one[1]) == _shift(other[1])


def _shift(twice: OneTwice) -> int:
    return int(twice.as_.network_address) - int(twice.from_.network_address)


def _differ_on_the_way(one: _Twice, other: _Twice) -> bool:
    return one[1].via == other[1].via or not one[1].as_.overlaps(other[1].as_)


# --------------------------------------------------------------------------- routes


def check_routes(spec: GatewaySpec) -> Iterator[Problem]:
    if not spec.routes:
        return
    entries = 0
    stays = _stays_inside(spec)
    for number, route in enumerate(spec.routes):
        at: Path = ("spec", "routes", number)
        uplinks = [spec.uplinks[name] for name in route.via.first if name in spec.uplinks]
        sides: list[tuple[str, set[int]]] = [
            (name, {n.version for n in networks})
            for name, networks in (("from", route.from_), ("to", route.to))
            if networks
        ]
        if uplinks and all(uplink.addresses != "auto" for uplink in uplinks):
            routed = {network.version for uplink in uplinks for network in uplink.routed or ()}
            sides.append(("via", {family for uplink in uplinks for family in families_of(uplink)} | routed))
        _, clash = common_families(sides)
        if clash:
            name, shown = clash
            yield (*at, name), f"IPv4 mixed with IPv6: {shown}", "write one route for each family"
        entries += sum(all(family in versions for name, versions in sides if name != "via") for family in FAMILIES)
        for network in route.from_ or ():
            if stays(network):
                message = f"{network} is inside, and nothing leaves with such a source"
                hint = f"routes match after translation: write sourceNat from: {network}, as: {route.via.first[0]}"
                yield (*at, "from"), message, hint
    if entries > MAX_ROUTES:
        message = f"{entries} routes, counting IPv4 and IPv6 apart: at most {MAX_ROUTES}"
        yield ("spec", "routes"), message, "join them into fewer routes with more prefixes each"


def _stays_inside(spec: GatewaySpec) -> Callable[[Network], bool]:
    """Is it certain that the guard lets no source of a network out by an uplink?

    Not where an uplink has or may come to have an address in it, nor where a rule leaves some of them as they are.
    """
    uplinks = spec.uplinks.values()
    inside = Cover(network for interface in spec.interfaces.values() for network in interface.networks)
    public: list[Network] = [ip_network(a) for uplink in uplinks for a in explicit(uplink)]
    public += [network for uplink in uplinks for network in uplink.routed or ()]
    unchanged = [rule for rule in spec.source_nat if rule.as_.unchanged]
    certain = all(uplink.addresses != "auto" for uplink in uplinks) and all(rule.from_ for rule in unchanged)
    leaving = [*public, *(network for rule in unchanged for network in rule.from_ or ())]

    def stays(network: Network) -> bool:
        return certain and inside.holds(network[0], network[-1]) and not any(network.overlaps(out) for out in leaving)

    return stays
