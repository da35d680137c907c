"""Guesses what a gateway of this host could be, for a first spec.

Uplinks by default routes, inside networks by addresses. Pure. `view/first_spec.py` writes it down.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from ipaddress import ip_network

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import NviError
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
    """`routers` and `addresses` are those of now; without routers it is a point-to-point link."""

    name: str
    ifname: str
    routers: tuple[str, ...]
    addresses: tuple[str, ...]
    default: bool


@dataclass(frozen=True)
class GuessedInside:
    """An interface with the networks behind it. `example`: an address that a server there could have."""

    ifname: str
    networks: tuple[Network, ...]
    example: str | None


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
    if missing := sorted(set(uplinks) - facts.links.keys()):
        raise NviError(f"nvictl init: no interface {missing[0]}", hint=f"there are: {', '.join(sorted(facts.links))}")
    links = [link for _, link in sorted(facts.links.items()) if link.ifname != "lo" and link.kind not in _CARRIERS]
    outside = [link for link in links if link.ifname in uplinks or link.next_hops or link.direct]
    outside = [link for link in outside if IFNAME_PATTERN.fullmatch(link.ifname)]
    if not outside:
        raise NviError(
            "nvictl init: no default route, so no interface looks like an uplink",
            hint="configure the addresses and default routes of the uplinks first, or name them: --uplink IFNAME",
        )
    left_out: list[str] = []
    families = {family for link in outside for family in _families(link)}
    taken = [network for link in outside for network in _networks(link)]
    inside: list[GuessedInside] = []
    for link in (link for link in links if link not in outside):
        if why := _why_not(link):
            left_out.append(f"{link.ifname}: {why}")
            continue
        networks: list[Network] = []
        for network in _networks(link):
            if why := _why_not_network(network, families, taken):
                left_out.append(f"{link.ifname}: {network}: {why}")
            else:
                networks.append(network)
                taken.append(network)
        if networks:
            inside.append(GuessedInside(link.ifname, tuple(networks), _example(networks)))
    names = ["isp"] if len(outside) == 1 else [f"isp-{letter}" for letter in _letters(len(outside))]
    best = facts.default_interfaces.get(4) or facts.default_interfaces.get(6)
    first = next((link for link in outside if link.ifname == best), outside[0])
    guessed = [
        GuessedUplink(
            name,
            link.ifname,
            tuple(hop for _, hop in link.next_hops),
            tuple(str(interface.ip) for interface in link.addresses if interface.ip not in link.fading),
            default=link is first,
        )
        for name, link in zip(names, outside, strict=True)
    ]
    return FirstSpec(_name(facts.hostname), tuple(guessed), tuple(inside), tuple(left_out))


def _families(link: LinkFact) -> Iterator[Family]:
    yield from link.direct
    yield from (family for family, _ in link.next_hops)
    yield from (6 if interface.version == 6 else 4 for interface in link.addresses)


def _networks(link: LinkFact) -> Iterable[Network]:
    """On its wire and behind routers there, without what lies within another one; hosts of their own apart."""
    connected = (interface.network for interface in link.addresses)
    found = {*connected, *(route.network for route in link.routes)}
    ordered = sorted(
        (network for network in found if network.prefixlen < network.max_prefixlen and not network.is_link_local),
        key=lambda network: (network.version, network.prefixlen, int(network.network_address)),
    )
    kept: list[Network] = []
    for network in ordered:
        if not any(within(network, other) for other in kept):
            kept.append(network)
    return kept


def _why_not(link: LinkFact) -> str:
    if not IFNAME_PATTERN.fullmatch(link.ifname):
        return "a spec cannot name it"
    if link.master is not None:
        return f"it is a port of {link.master}"
    if _OTHERS.fullmatch(link.ifname):
        return "the program that made it translates its networks itself"
    if not link.addresses:
        return "it has no address"
    if link.mac is None:
        return "it is a tunnel: a site's at the other end may be an uplink with `networks`, see examples/partner-link"
    return ""


def _why_not_network(network: Network, families: Collection[Family], taken: Iterable[Network]) -> str:
    if not any(within(network, private) for private in _INSIDE):
        return "its addresses are public: they are routed and not translated"
    if network.version not in families:
        return f"no uplink has IPv{network.version}"
    if clash := next((other for other in taken if within(network, other) or within(other, network)), None):
        return f"{clash} is on another interface: renumber one of them, or see examples/tenants"
    return ""


def _example(networks: Iterable[Network]) -> str | None:
    first = next((network for network in networks if network.version == 4), None)
    return str(first[min(10, first.num_addresses - 1)]) if first else None


def _letters(number: int) -> Iterator[str]:
    for index in range(number):
        yield _LETTERS[index] if index < len(_LETTERS) else str(index + 1)


def _name(hostname: str) -> str:
    found = re.sub(r"[^a-z0-9]+", "-", hostname.partition(".")[0].lower()).strip("-")
    return found[:40].rstrip("-") or "gateway"
