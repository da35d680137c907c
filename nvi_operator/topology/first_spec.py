"""Guesses what a gateway of this host could be, for a first spec.

Uplinks by default routes, inside networks by addresses. Pure. `view/first_spec.py` writes it down.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from ipaddress import ip_network

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import NviError, printable
from nvi_operator.language.model.values import IFNAME_PATTERN, Family, Network, within
from nvi_operator.pattern import pattern
from nvi_operator.topology.facts import Facts, LinkFact

# What hosts inside have: RFC 1918, RFC 6598 (shared by a provider's customers), RFC 4193.
_INSIDE = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")))
# Bridges of programs that translate their networks themselves.
_OTHERS = pattern(r"docker\d+|br-[0-9a-f]{12}|docker_gwbridge|podman\d+|cni\d+|virbr\d+|lxcbr\d+|lxdbr\d+|incusbr\d+")
_CARRIERS = ("ifb", "nvi")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class GuessedUplink:
    """`routers` and `addresses` are those of now. `lacks_router`: it needs one, and none is known."""

    name: str
    ifname: str
    routers: tuple[str, ...]
    addresses: tuple[str, ...]
    default: bool
    lacks_router: bool
    family: Family


@dataclass(frozen=True)
class GuessedInside:
    """An interface with the networks behind it. `example`: an address that a server there could have."""

    ifname: str
    networks: tuple[Network, ...]
    example: str


@dataclass(frozen=True)
class FirstSpec:
    """`left_out`: what else there is, and why it is not in it."""

    name: str
    uplinks: tuple[GuessedUplink, ...]
    inside: tuple[GuessedInside, ...]
    left_out: tuple[str, ...]


def guess(facts: Facts, uplinks: Collection[str] = ()) -> FirstSpec:
    """`facts` have the routes of all interfaces. `uplinks` are interfaces that are some whatever their routes.

    NviError where there is no uplink.
    """
    links = [link for _, link in sorted(facts.links.items()) if link.ifname != "lo" and link.kind not in _CARRIERS]
    outside = _outside(links, facts, uplinks)
    inside, left_out = _behind([link for link in links if link not in outside], outside, facts)
    return FirstSpec(_name(facts.hostname), tuple(_uplinks(outside, facts)), tuple(inside), tuple(left_out))


def _outside(links: Sequence[LinkFact], facts: Facts, uplinks: Collection[str]) -> list[LinkFact]:
    """Those with a default route, and those that were named. NviError where there is none."""
    if missing := sorted(set(uplinks) - facts.links.keys()):
        raise NviError(f"nvictl init: no interface {missing[0]}", hint=f"there are: {', '.join(sorted(facts.links))}")
    outside = [link for link in links if link.ifname in uplinks or link.next_hops or link.direct]
    named = [link for link in outside if IFNAME_PATTERN.fullmatch(link.ifname)]
    if outside and not named:
        raise NviError(
            f"nvictl init: {printable(outside[0].ifname)}: it has a default route, and a spec cannot name it",
            hint="rename it: ip link set OLD name wan0, and systemd.link(5) for the next boot",
        )
    if not named:
        raise NviError(
            "nvictl init: no default route, so no interface looks like an uplink",
            hint="configure the addresses and default routes of the uplinks first, or name them: --uplink IFNAME",
        )
    return named


def _uplinks(outside: Sequence[LinkFact], facts: Facts) -> Iterator[GuessedUplink]:
    names = ["isp"] if len(outside) == 1 else [f"isp-{letter}" for letter in _letters(len(outside))]
    best = facts.default_interfaces.get(4) or facts.default_interfaces.get(6)
    first = next((link for link in outside if link.ifname == best), outside[0])
    for name, link in zip(names, outside, strict=True):
        yield GuessedUplink(
            name,
            link.ifname,
            tuple(hop for _, hop in link.next_hops),
            tuple(str(interface.ip) for interface in link.addresses if interface.ip not in link.fading),
            default=link is first,
            lacks_router=link.mac is not None and not (link.next_hops or link.direct),
            family=min(_families(link), default=4),
        )


def _behind(
    links: Sequence[LinkFact], outside: Sequence[LinkFact], facts: Facts
) -> tuple[list[GuessedInside], list[str]]:
    """Interfaces with networks behind them; and what was left out, and why."""
    reasons = {link.ifname: _why_not(link, facts) for link in links}
    left_out = [f"{printable(ifname)}: {why}" for ifname, why in reasons.items() if why]
    inside = [link for link in links if not reasons[link.ifname]]
    families = {family for link in outside for family in _families(link)}
    networks: dict[str, list[Network]] = {link.ifname: [] for link in inside}
    # What is on a wire counts before what a router there leads to: another interface may have a part of that.
    for networks_of in (_connected, _routed):
        for link in inside:
            others = [n for ifname, found in networks.items() if ifname != link.ifname for n in found]
            for network in networks_of(link):
                if why := _why_not_network(network, families, outside, others):
                    left_out.append(f"{printable(link.ifname)}: {network}: {why}")
                else:
                    networks[link.ifname].append(network)
    widest = [(ifname, _widest(found)) for ifname, found in networks.items() if found]
    return [GuessedInside(ifname, tuple(each), _example(each)) for ifname, each in widest], left_out


def _families(link: LinkFact) -> Iterator[Family]:
    yield from link.direct
    yield from (family for family, _ in link.next_hops)
    yield from (6 if interface.version == 6 else 4 for interface in link.addresses)


def _connected(link: LinkFact) -> list[Network]:
    return _widest(interface.network for interface in link.addresses)


def _routed(link: LinkFact) -> list[Network]:
    """Behind routers on its wire."""
    connected = _connected(link)
    found = _widest(route.network for route in link.routes)
    return [network for network in found if not any(within(network, other) for other in connected)]


def _widest(networks: Iterable[Network]) -> list[Network]:
    """Without what lies within another one; hosts of their own apart."""
    ordered = sorted(
        {network for network in networks if network.prefixlen < network.max_prefixlen and not network.is_link_local},
        key=lambda network: (network.version, network.prefixlen, int(network.network_address)),
    )
    kept: list[Network] = []
    for network in ordered:
        if not any(within(network, other) for other in kept):
            kept.append(network)
    return kept


def _why_not(link: LinkFact, facts: Facts) -> str:
    if not IFNAME_PATTERN.fullmatch(link.ifname):
        return "a spec cannot name it"
    if link.master is not None:
        return f"it is a port of {link.master}"
    if _OTHERS.fullmatch(link.ifname):
        return "the program that made it translates its networks itself"
    if not link.addresses:
        return "it has no address"
    if any(link.ifname in rule.table.default for rule in facts.rules):
        return f"another table has a default route by it; an uplink? --uplink {link.ifname}"
    if link.mac is None:
        return (
            f"it is a tunnel: if it is an uplink, --uplink {link.ifname}; a site's at the other end may be one "
            "with `networks`, see examples/partner-link"
        )
    return ""


def _why_not_network(
    network: Network, families: Collection[Family], outside: Iterable[LinkFact], others: Iterable[Network]
) -> str:
    """`outside`: the uplinks. `others`: what is behind other interfaces."""
    if not any(within(network, private) for private in _INSIDE):
        return "public addresses are routed and not translated"
    if network.version not in families:
        return f"no uplink has IPv{network.version}"
    wires = [wire for link in outside for wire in _connected(link)]
    clash = next((other for other in (*wires, *others) if within(network, other) or within(other, network)), None)
    # Of a wider network that an uplink's router leads to, such as 10.0.0.0/8, a part may be here.
    routed = (other for link in outside for other in _routed(link))
    if clash := clash or next((other for other in routed if within(other, network)), None):
        return f"{clash} is on another interface: renumber one, or see examples/tenants"
    return ""


def _example(networks: Iterable[Network]) -> str:
    first = min(networks, key=lambda network: network.version)
    return str(first[min(10, first.num_addresses - 1)])


def _letters(number: int) -> Iterator[str]:
    for index in range(number):
        yield _LETTERS[index] if index < len(_LETTERS) else str(index + 1)


def _name(hostname: str) -> str:
    found = re.sub(r"[^a-z0-9]+", "-", hostname.partition(".")[0].lower()).strip("-")
    return found[:40].rstrip("-") or "gateway"
