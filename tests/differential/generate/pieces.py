"""What entries of a spec are made of: hosts, networks, ports, marks."""

from __future__ import annotations

from ipaddress import ip_network
from random import Random
from typing import Any

from tests.differential.generate.networks import FAR, MARKS, Lan, Networks, Provider

PORTS = (22, 25, 53, 80, 123, 443, 500, 1194, 5060, 8080, 8443, 9000, 20000, 51820)


class Pieces:
    """Draws with one random generator for one set of networks."""

    def __init__(self, random: Random, networks: Networks) -> None:
        self.random, self.networks = random, networks

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def lan(self) -> Lan:
        return self.random.choice(self.networks.lans)

    def provider(self) -> Provider:
        return self.random.choice(self.networks.providers)

    def hosts(self, lan: Lan, *, both: bool = True) -> list[str]:
        """One host of the network, by its address of each family."""
        host = self.random.choice([10, 20, 80, 81])
        found = [
            str(ip_network(network)[host])
            for network in self.random.choice([lan.networks, lan.behind or lan.networks])
        ]
        return found if both and self.chance(0.7) else [self.random.choice(found)]

    def publics(self, provider: Provider, *, count: int = 1) -> list[str]:
        """Public addresses, one of each family."""
        at = self.random.randint(2, 13)
        routed = [str(ip_network(network)[at]) for network in provider.routed]
        own = [address.partition("/")[0] for address in provider.addresses]
        return routed if routed and self.chance(0.7) else own[:2]

    def address_sets(self) -> dict[str, Any]:
        """Those that `far` and `inside` name."""
        wires = [network for lan in self.networks.lans for network in lan.networks]
        inside = [str(ip_network(self.random.choice(wires))), f"{ip_network(self.random.choice(wires))[80]}"]
        families = self.networks.families
        return {
            "elsewhere": [str(ip_network(self.random.choice(FAR[family]))) for family in families],
            "some-inside": {"networks": inside, "description": "by its long form"},
        }

    def far(self) -> list[str]:
        if self.chance(0.15):
            return ["elsewhere"]
        found = []
        for family in self.networks.families:
            host = self.random.choice(FAR[family])
            length = self.random.choice([24, 25, 32] if family == 4 else [48, 64, 128])
            found.append(str(ip_network(f"{host}/{length}", strict=False)))
        return found if self.chance(0.6) else [self.random.choice(found)]

    def service(self) -> str:
        port = self.random.choice(PORTS)
        ports = f"{port}-{port + self.random.choice([1, 9, 100])}" if self.chance(0.25) else str(port)
        return f"{ports}/{self.random.choice(['tcp', 'udp'])}"

    def services(self) -> list[str]:
        return [self.service() for _ in range(self.random.choice([1, 1, 2]))]

    def inside(self) -> list[str]:
        """A part of what is inside, as prefixes."""
        if self.chance(0.15):
            return ["some-inside"]
        networks = [ip_network(network) for network in self.lan().everything]
        if self.chance(0.5):
            return [str(network) for network in networks]
        return [
            str(ip_network(f"{n[80]}/{n.max_prefixlen - self.random.choice([0, 2, 4])}", strict=False))
            for n in networks
        ]

    def mark(self) -> Any:
        mark = self.random.choice(list(MARKS.values()))
        return self.random.choice([mark, f"{mark:#x}/0xff", f"{mark & 0x10:#x}/0x10"])
