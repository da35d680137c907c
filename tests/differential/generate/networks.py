"""What is around a gateway: inside networks, providers, what else its host has."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import ip_interface, ip_network
from random import Random

from tests.differential.case import OUTSIDE, Surroundings

FAR = {
    4: ("192.0.2.80", "192.0.2.200", "198.18.0.5", "198.18.7.9"),
    6: ("2001:db8:f::80", "2001:db8:f::200", "2001:db8:e::5"),
}
MARKS = {101: 0x10, 111: 0x20, 121: 0x11, 131: 0x310}  # of another program, by the TTL of a packet
_V4 = ("203.0.113", "198.51.100", "198.19.3")
UNUSED_PREFIX = "route add unreachable "  # as clients of DHCPv6 leave it for a prefix that is delegated
_PRIVATE_V4 = "10.200.0"  # a provider's transfer network, which an inside network of 10.0.0.0/8 would contain


@dataclass(frozen=True)
class DelegatedPart:
    """A network on a wire that is a part of what an ISP delegates."""

    provider: str
    subnet: int
    network: str


@dataclass(frozen=True)
class Lan:
    """One interface and what is behind it. The gateway is .1, and a router, if there is one, .254."""

    ifname: str
    networks: tuple[str, ...]  # on the wire
    behind: tuple[str, ...] = ()  # behind the router
    tenant: str | None = None
    delegated: tuple[DelegatedPart, ...] = ()

    @property
    def everything(self) -> tuple[str, ...]:
        """All networks that are there, whoever assigned them."""
        return (*self.networks, *self.behind, *(part.network for part in self.delegated))

    def address(self, version: int) -> str | None:
        """The gateway's own."""
        for network in self.networks:
            if ip_interface(network).version == version:
                return str(ip_interface(network).network[1])
        return None


@dataclass(frozen=True)
class Provider:
    name: str
    ifname: str
    addresses: tuple[str, ...]  # with prefix length, on the wire
    next_hops: tuple[str, ...]
    routed: tuple[str, ...]
    delegates_from: str = ""  # the ISP's own prefix
    delegated: str = ""  # what of it is this gateway's


@dataclass(frozen=True)
class Networks:
    lans: tuple[Lan, ...]
    providers: tuple[Provider, ...]
    families: tuple[int, ...]
    host: Surroundings


def draw_networks(random: Random) -> Networks:
    families = random.choices([(4, 6), (4,), (6,)], [5, 2, 1])[0]
    lans = _lans(random, families)
    providers = tuple(_provider(random, number, families) for number in range(random.choice([1, 2, 2, 3])))
    if len(providers) > 1 and random.random() < 0.15:  # two uplinks on one wire
        providers = (*providers[:-1], replace(providers[-1], ifname=providers[0].ifname))
    lans = tuple(_with_delegated(random, lan, number, providers) for number, lan in enumerate(lans))
    return Networks(lans, providers, families, _host(random, lans, providers, families))


def _of(families: tuple[int, ...], *values: str) -> tuple[str, ...]:
    return tuple(value for value in values if (6 if ":" in value else 4) in families)


def _lans(random: Random, families: tuple[int, ...]) -> tuple[Lan, ...]:
    if random.random() < 0.15:
        same = _of(families, "192.168.1.0/24", "fd00:1::/64")
        own = Lan("lan0", _of(families, "192.168.9.0/24", "fd00:9::/64"))
        tenants = (Lan("lan1", same, tenant="red"), Lan("lan2", same, tenant="blue"))
        return (own, *tenants) if random.random() < 0.5 else tenants
    lans: list[Lan] = []
    wide = random.random() < 0.2  # as wide as an administrator likes to write it
    for number in range(random.choice([1, 1, 2, 3])):
        wire = _of(families, f"192.168.{number + 1}.0/24", f"fd00:{number + 1}::/64")
        behind = _of(families, f"10.{number + 1}.0.0/16", f"fd00:{number + 1}:1::/64")
        if number == 0 and wide:
            behind = _of(families, "10.0.0.0/8", "fd00:1::/32")
            lans.append(Lan(f"lan{number}", wire, behind))
            continue
        lans.append(Lan(f"lan{number}", wire, behind if not wide and random.random() < 0.3 else ()))
    return tuple(lans)


def _provider(random: Random, number: int, families: tuple[int, ...]) -> Provider:
    v4, v6 = _V4[number], f"2001:db8:{'abc'[number]}"
    transfer = _PRIVATE_V4 if number == 1 and random.random() < 0.25 else v4
    one = random.choices([families, (4,), (6,)], [8, 1, 1])[0]
    mine = tuple(family for family in one if family in families) or families
    addresses = _of(mine, f"{transfer}.2/29", f"{v6}::2/64")
    if random.random() < 0.3:
        addresses += _of(mine, f"{transfer}.3/29", f"{v6}::3/64")
    site = f"2001:db8:1{'abc'[number]}::/48" if random.random() < 0.3 else f"{v6}:1::/64"
    routed = _of(mine, f"{v4}.16/28", site) if random.random() < 0.7 else ()
    name = f"isp-{'abc'[number]}"
    router = "fe80::1" if random.random() < 0.3 else f"{v6}::1"
    hops = _of(mine, f"{transfer}.1", router)
    if 6 not in mine or random.random() > 0.25:
        return Provider(name, OUTSIDE[number], addresses, hops, routed)
    whole = f"2001:db8:d{number}"
    return Provider(name, OUTSIDE[number], addresses, hops, routed, f"{whole}::/48", f"{whole}:ab00::/56")


def _with_delegated(random: Random, lan: Lan, number: int, providers: tuple[Provider, ...]) -> Lan:
    parts = (
        DelegatedPart(provider.name, number, str(list(ip_network(provider.delegated).subnets(new_prefix=64))[number]))
        for provider in providers
        if provider.delegated and not lan.tenant and random.random() < 0.7
    )
    return replace(lan, delegated=tuple(parts))


def _host(
    random: Random, lans: tuple[Lan, ...], providers: tuple[Provider, ...], families: tuple[int, ...]
) -> Surroundings:
    links: dict[str, tuple[str, ...]] = {}
    lines: list[str] = []
    for lan in lans:
        own = (f"{lan.address(ip_interface(n).version)}/{n.partition('/')[2]}" for n in lan.networks)
        links[lan.ifname] = (*own, *(f"{ip_network(part.network)[1]}/64" for part in lan.delegated))
        for network in lan.behind:
            on_wire = next(n for n in lan.networks if (":" in n) == (":" in network))
            lines.append(f"route add {network} via {ip_interface(on_wire).network[254]}")
    lines += [f"{UNUSED_PREFIX}{provider.delegated}" for provider in providers if provider.delegated]
    for provider in providers:
        links[provider.ifname] = (*links.get(provider.ifname, ()), *provider.addresses)
    links["mgmt0"] = _of(families, "172.30.0.1/24", "fd00:30::1/64")
    if random.random() < 0.8:
        leader = random.choice(providers)
        lines += [f"route add default {hop_words(hop, leader.ifname)}" for hop in leader.next_hops]
    elif random.random() < 0.3:
        lines += [f"route add default via {hop}" for hop in _of(families, "172.30.0.254", "fd00:30::fe")]
    if random.random() < 0.2:  # a network that main knows, by an interface that is not the gateway's
        for network, hop in zip(
            _of(families, "10.90.0.0/16", "fd00:90::/32"), _of(families, "172.30.0.9", "fd00:30::9"), strict=True
        ):
            other = next((n for n in lans[0].networks if (":" in n) == (":" in hop)), "")
            several = f"nexthop via {hop} nexthop via {ip_interface(other).network[254]}"
            lines.append(f"route add {network} {several if random.random() < 0.5 else f'via {hop}'}")
    if random.random() < 0.15:  # a specific route by an uplink
        provider = random.choice(providers)
        hop = random.choice(provider.next_hops)
        network = "2001:db8:e::/48" if ":" in hop else "198.18.0.0/16"
        lines.append(f"route add {network} {hop_words(hop, provider.ifname)}")
    if random.random() < 0.15:  # a mesh VPN's rule and table
        priority = random.choice([5270, 32764])
        mesh = _of(families, "100.64.7.0/24 via 172.30.0.7", "fd00:64::/48 via fd00:30::7")
        lines += [f"route add {each} table 52" for each in mesh]
        rule = f"rule add from all lookup 52 priority {priority}"
        lines += [rule] * (4 in families) + [f"-6 {rule}"] * (6 in families)
    mtu = {random.choice(providers).ifname: 1400} if random.random() < 0.1 else {}
    return Surroundings(links, tuple(lines), MARKING if random.random() < 0.25 else "", mtu=mtu)


def hop_words(hop: str, ifname: str) -> str:
    """As `ip` reads it."""
    return f"via {hop} dev {ifname}" if hop.startswith("fe80") else f"via {hop}"


MARKING = """\
table inet other {
  chain before {
    type filter hook prerouting priority -500; policy accept;
    meta mark 0 meta mark set ip ttl map { %s }
    meta mark 0 meta mark set ip6 hoplimit map { %s }
  }
}
""" % ((", ".join(f"{ttl} : {mark:#x}" for ttl, mark in MARKS.items()),) * 2)
