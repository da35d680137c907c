"""The rules for interfaces and uplinks: every address has one owner, every next hop a use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from ipaddress import collapse_addresses, ip_network
from typing import Any

from nvi_operator.language.check.addresses import AddressSpan, Cover, Problem, explicit, overlapping, span_of
from nvi_operator.language.load.yaml_reader import Path
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.interfaces import InterfaceSpec, UplinkSpec
from nvi_operator.language.model.source_nat import SourceNat
from nvi_operator.language.model.values import FAMILIES, Address, Network, link_local, no_hosts, within
from nvi_operator.topology.numbers import MAX_ANNOUNCED, MAX_TENANTS, MAX_UPLINKS


def check_interfaces(spec: GatewaySpec) -> Iterator[Problem]:
    uplink_of = {uplink.interface: name for name, uplink in spec.uplinks.items()}
    for ifname in spec.interfaces:
        path: Path = ("spec", "interfaces", ifname)
        if ifname in uplink_of:
            message = f"{ifname} is already the interface of uplink {uplink_of[ifname]!r}"
            yield path, message, "leave it out here: uplinks take part in NAT by themselves"
        if ifname == spec.dataplane.device:
            yield path, f"{ifname} is the name of the NAT virtual interface", "set dataplane.device to another name"
    for ifname, interface in spec.interfaces.items():
        for field, networks in (("networks", interface.networks), ("knownAs", interface.known_as or ())):
            yield from _hosts(("spec", "interfaces", ifname, field), networks)
    yield from _networks(spec)
    yield from _aliases(spec)
    tenants = {i.tenant for i in spec.interfaces.values() if i.tenant}
    if len(tenants) > MAX_TENANTS:
        message = f"{len(tenants)} tenants: at most {MAX_TENANTS}"
        yield ("spec", "interfaces"), message, "put the others on another gateway"
    if spec.dataplane.in_interface == "mark" and tenants:
        message = "tenants need the mark: inInterface cannot be mark"
        yield ("spec", "dataplane", "inInterface"), message, "write inInterface: auto"
    if spec.dataplane.ipsec and tenants:
        message = "ipsec sends what it decrypts by its destination, and tenants' networks have the same"
        yield ("spec", "dataplane", "ipsec"), message, "leave it out, or the tenants"
    if spec.guards.anti_spoof == "strict" and tenants:
        message = "strict looks for the way back to a source, and tenants' sources have several"
        yield ("spec", "guards", "antiSpoof"), message, "write antiSpoof: local"


def _hosts(path: Path, networks: Iterable[Network]) -> Iterator[Problem]:
    """There are hosts in each of them, and others elsewhere."""
    for network in networks:
        if what := no_hosts(network):
            yield path, f"{network} is {what}: no host is in it", "name the prefixes that hosts have"
    for family in FAMILIES:
        own: list[Any] = [network for network in networks if network.version == family]
        if any(not network.prefixlen for network in collapse_addresses(own)):
            yield path, f"this is every IPv{family} address", "name the prefixes that are there and nowhere else"
            continue
        for network in own:
            if local := link_local(network):
                message = f"{network} is link-local" if within(network, local) else f"{local} is in {network}"
                yield path, message, "link-local addresses are each link's own: leave it out"


def _networks(spec: GatewaySpec) -> Iterator[Problem]:
    def apart(one: tuple[str, Network], other: tuple[str, Network]) -> bool:
        mine, others = spec.interfaces[one[0]].tenant, spec.interfaces[other[0]].tenant
        return one[0] == other[0] or (mine is not None and others is not None and mine != others)

    spans = [
        span_of(network, order, (ifname, network))
        for order, (ifname, interface) in enumerate(spec.interfaces.items())
        for network in interface.networks
    ]
    rest = cache(partial(_rest, spec))  # of a network that many others are in
    for later, earlier in overlapping(spans, apart):
        (ifname, network), (other_name, other) = later.owner, earlier.owner
        yield (
            ("spec", "interfaces", ifname, "networks"),
            f"{network} overlaps {other} of interface {other_name!r}",
            _apart(later.owner, earlier.owner, rest),
        )


_MOST_PARTS = 128  # an IPv6 prefix has as many without an address


def _apart(one: tuple[str, Network], other: tuple[str, Network], rest: Callable[[str, Network], list[Any]]) -> str:
    """What to write instead: of a network within another, the `rest` of the wider one."""
    same = "give each a tenant, if these are two networks with the same addresses"
    (inner_name, inner), (wide_name, wide) = sorted((one, other), key=lambda each: -each[1].prefixlen)
    if inner == wide:
        return f"name it at one of them, if a router brings it by both; {same}"
    parts = rest(wide_name, wide)
    if not parts:
        return same
    listed = ", ".join(map(str, parts))
    return f"if {inner} is behind {inner_name} alone, name of {wide} at {wide_name} the rest: {listed}; {same}"


def _rest(spec: GatewaySpec, ifname: str, wide: Network) -> list[Any]:
    """What other interfaces leave of an interface's network; empty: nothing, or too many parts to name."""
    others = {n for name, i in spec.interfaces.items() if name != ifname for n in i.networks if within(n, wide)}
    rest: list[Any] = [wide]
    for network in sorted(others, key=lambda each: each.prefixlen):  # few parts come of the widest
        rest = [part for whole in rest for part in _without(whole, network)]
        if len(rest) > _MOST_PARTS:
            return []
    return sorted(rest)


def _without(whole: Any, network: Network) -> Iterable[Any]:
    if within(whole, network):
        return ()
    return whole.address_exclude(network) if within(network, whole) else (whole,)


def _aliases(spec: GatewaySpec) -> Iterator[Problem]:
    """Each knownAs is on no uplink, and stands for one interface's networks, unless `static` has `in`."""
    resolved = Cover(network for static in spec.static.values() if static.in_ for network in static.as_)
    spans: list[AddressSpan[tuple[Path, str]]] = []
    shared: set[Path] = set()
    for name, uplink in spec.uplinks.items():
        networks = [*(ip_network(a) for a in explicit(uplink)), *(uplink.routed or ())]
        spans += [span_of(network, 0, (("spec", "uplinks", name), f"uplink {name!r}")) for network in networks]
    for order, (ifname, interface) in enumerate(spec.interfaces.items(), start=1):
        path: Path = ("spec", "interfaces", ifname, "knownAs")
        spans += [span_of(n, order, (path, f"interface {ifname!r}")) for n in interface.known_as or ()]
        if all(resolved.holds(n[0], n[-1]) for n in interface.known_as or ()):
            shared.add(path)
        yield from _alias_families(path, interface)

    def apart(one: tuple[Path, str], other: tuple[Path, str]) -> bool:
        return one == other or {one[0], other[0]} <= shared or (one[0][1] == "uplinks" and other[0][1] == "uplinks")

    for later, earlier in overlapping(spans, apart):
        hint = "choose addresses that nothing else uses" if later.order else "take it out of knownAs"
        if earlier.order:
            hint += ", or name the interfaces that use this alias with `in` of static"
        yield later.owner[0], f"its addresses overlap those of {earlier.owner[1]}", hint


def _alias_families(path: Path, interface: InterfaceSpec) -> Iterator[Problem]:
    families = {network.version for network in interface.networks}
    for network in interface.known_as or ():
        if network.version not in families:
            message = f"{network} is IPv{network.version}, and the interface has no IPv{network.version} network"
            yield path, f"IPv4 mixed with IPv6: {message}", "an alias is of the same family as what it stands for"


# --------------------------------------------------------------------------- uplinks


def check_announced(spec: GatewaySpec) -> Iterator[Problem]:
    for name, uplink in spec.uplinks.items():
        path: Path = ("spec", "uplinks", name, "announce")
        routed = uplink.routed or ()
        named = uplink.announce if isinstance(uplink.announce, tuple) else routed if uplink.announce else ()
        if uplink.announce is True and not routed:
            yield path, "there is nothing to announce: the uplink has no `routed`", "name the addresses under routed"
        for network in named:
            if not any(within(network, other) for other in routed):
                yield path, f"{network} is not in routed", "add it to routed: it is on no interface"
        count = sum(network.num_addresses for network in named)
        if count > MAX_ANNOUNCED and uplink.announce is not True:
            message = f"{count} addresses are announced: at most {MAX_ANNOUNCED}"
            yield path, message, "name a smaller prefix, or let the ISP route it here"


def check_virtual(spec: GatewaySpec) -> Iterator[Problem]:
    for name, uplink in spec.uplinks.items():
        path: Path = ("spec", "uplinks", name, "virtual")
        if uplink.virtual and uplink.addresses == "auto":
            message = "the uplink has `addresses: auto`, which is whatever is on the interface now"
            yield path, message, "write the virtual addresses under addresses"
            continue
        for address in uplink.virtual_addresses:
            if address not in uplink.addresses:
                yield path, f"{address} is not in addresses", "add it to addresses"


def check_uplinks(spec: GatewaySpec) -> Iterator[Problem]:
    if len(spec.uplinks) > MAX_UPLINKS:
        message = f"{len(spec.uplinks)} uplinks: at most {MAX_UPLINKS}"
        yield ("spec", "uplinks"), message, "put the others on another gateway"
    on_interface: dict[str, str] = {}
    for name, uplink in spec.uplinks.items():
        path: Path = ("spec", "uplinks", name)
        if uplink.interface == spec.dataplane.device:
            message = f"{uplink.interface} is the name of the NAT virtual interface"
            yield (*path, "interface"), message, "set dataplane.device to another name"
        if uplink.addresses == "auto":
            other = on_interface.setdefault(uplink.interface, name)
            if other != name:
                yield (
                    (*path, "interface"),
                    f"uplink {other!r} is on {uplink.interface} as well: with addresses: auto both claim all of them",
                    "write the addresses of one of them: the other has the rest",
                )
        yield from _hosts((*path, "routed"), uplink.routed or ())
        yield from _forwarded(path, uplink)
        yield from _beyond(spec, path, uplink)
        yield from _next_hops(path, uplink)
        yield from _translate_to(path, uplink)
    yield from _claims(spec)


def _forwarded(path: Path, uplink: UplinkSpec) -> Iterator[Problem]:
    """IPv4 link-local addresses are allowed: clouds number their tunnels by them."""
    for address in explicit(uplink):
        if address.version == 6 and address.is_link_local:
            message = f"{address} is link-local: no router forwards what bears it"
            yield (*path, "addresses"), message, "name a global or a unique-local address, or leave IPv6 out"


def _beyond(spec: GatewaySpec, path: Path, uplink: UplinkSpec) -> Iterator[Problem]:
    """Networks behind an uplink are nowhere else, and not everything: an ISP's hosts get no untranslated answers."""
    if not isinstance(uplink.networks, tuple):
        return
    yield from _hosts((*path, "networks"), uplink.networks)
    for network in uplink.networks:
        for ifname, interface in spec.interfaces.items():
            if any(network.overlaps(n) for n in interface.networks):
                message = f"{network} overlaps the networks of interface {ifname!r}"
                yield (*path, "networks"), message, "use twiceNat to reach hosts whose addresses are also inside"


def _claims(spec: GatewaySpec) -> Iterator[Problem]:
    """No address belongs to two. An uplink's own address may lie in a prefix that is routed to it."""
    Owner = tuple[str, str, str]  # noqa: N806
    spans: list[AddressSpan[Owner]] = []
    for order, (name, uplink) in enumerate(spec.uplinks.items()):
        spans += [span_of(ip_network(a), order, (name, "addresses", str(a))) for a in explicit(uplink)]
        spans += [span_of(n, order, (name, "routed", str(n))) for n in uplink.routed or ()]

    def apart(one: Owner, other: Owner) -> bool:
        return one[0] == other[0] and one[1] != other[1]

    for later, earlier in overlapping(spans, apart):
        name, field, shown = later.owner
        if name == earlier.owner[0]:
            yield ("spec", "uplinks", name, field), f"{shown} is in {field} twice", "keep one of them"
        else:
            message = (
                f"{shown} already belongs to uplink {earlier.owner[0]!r} ({earlier.owner[1]} {earlier.owner[2]})"
            )
            yield ("spec", "uplinks", name, field), message, "an address belongs to one uplink: packets follow it"


def _next_hops(path: Path, uplink: UplinkSpec) -> Iterator[Problem]:
    addresses = explicit(uplink)
    if not addresses or not isinstance(uplink.next_hop, tuple):
        return
    known = {a.version for a in addresses} | {n.version for n in uplink.routed or ()}
    at = (*path, "nextHop")
    for hop in uplink.next_hop:
        if hop.version not in known:
            message = f"{hop} is IPv{hop.version}, and the uplink has no IPv{hop.version} address"
            yield at, message, "add an address of that family, or leave this next hop out"
        if hop in addresses:
            yield at, f"{hop} is the uplink's own address", "write the router's address"
    for family in sorted(known - {hop.version for hop in uplink.next_hop}):
        message = f"the uplink has IPv{family} addresses, and no IPv{family} next hop"
        yield at, message, "add the router of that family"


def _translate_to(path: Path, uplink: UplinkSpec) -> Iterator[Problem]:
    """Answers reach this gateway only at an address that the uplink has or routes."""
    at = (*path, "translateTo")
    answered = Cover([*(ip_network(a) for a in explicit(uplink)), *(uplink.routed or ())])
    found: dict[int, Address] = {}
    for address in uplink.translate_to or ():
        if (other := found.setdefault(address.version, address)) != address:
            message = f"{other} and {address} are both IPv{address.version}"
            yield at, message, "name one address per family; a sourceNat rule may name several as a pool"
        if not answered.holds(address, address):
            where = "routed" if uplink.addresses == "auto" else "addresses or routed"
            yield at, f"{address} is not in {where} of the uplink", "add it to routed, if the provider routes it here"


def check_default(spec: GatewaySpec) -> Iterator[Problem]:
    """What leaves with its source unchanged takes the default uplink; with several uplinks one has to be it."""
    yield from _one_default(spec)
    chosen = spec.default_uplink or any(uplink.default for uplink in spec.uplinks.values())
    if len(spec.uplinks) < 2 or chosen or spec.routes:
        return  # routes may well lead all of it; what they do not lead is not let out
    inside = Cover([n for i in spec.interfaces.values() for n in (*i.networks, *(i.known_as or ()))])
    for number, rule in enumerate(spec.source_nat):
        if rule.as_.unchanged and not _stays_inside(rule, inside):
            yield (
                ("spec", "sourceNat", number, "as"),
                f"unchanged needs a default uplink, and none of {', '.join(spec.uplinks)} is the default",
                "write defaultUplink: NAME, of the uplink it should leave through",
            )


def _one_default(spec: GatewaySpec) -> Iterator[Problem]:
    """One default in each family. They may be two uplinks if neither can come to have the other's family."""
    first: dict[int, str] = {}
    for name, uplink in spec.uplinks.items():
        if uplink.default and spec.default_uplink:
            message = "defaultUplink says which uplink is the default"
            yield ("spec", "uplinks", name, "default"), message, "leave it out here"
            continue
        families = _may_carry(uplink) if uplink.default else frozenset()
        if shared := families & first.keys():
            message = f"uplink {first[min(shared)]!r} is already the default"
            yield (
                ("spec", "uplinks", name, "default"),
                message,
                f"only one can be the default: leave it out here or there, or write defaultUplink: {{first: "
                f"[{first[min(shared)]}, {name}]}}: in each family the first that works",
            )
        else:
            first |= dict.fromkeys(families, name)


def _may_carry(uplink: UplinkSpec) -> frozenset[int]:
    """The families that it has, or may come to have while it runs (topology/resolve.py)."""
    if "auto" in (uplink.addresses, uplink.next_hop):
        return frozenset(FAMILIES)
    written = (*explicit(uplink), *(uplink.routed or ()), *(uplink.next_hop or ()))
    return frozenset(item.version for item in written)


def _stays_inside(rule: SourceNat, inside: Cover) -> bool:
    return bool(rule.to) and all(inside.holds(n.network_address, n.broadcast_address) for n in rule.to or ())
