"""One entry of each section of a spec, drawn for the networks that there are. Not all are valid."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network
from random import Random
from typing import Any

from tests.differential.generate.networks import FAR, MARKS, Lan, Networks, Provider, hop_words

PORTS = (22, 25, 53, 80, 123, 443, 500, 1194, 5060, 8080, 8443, 9000, 20000, 51820)
_PICKS = ("hash", "client", "client-port", "random", "round-robin")
_DSCPS: tuple[Any, ...] = ("ef", "af41", 8, ["ef", 5])


FAR_SITES = ("10.60.0.0/16", "fd00:60::/48")  # behind an uplink, such as a tunnel


def _fits(network: str, provider: Provider) -> bool:
    return any((":" in network) == (":" in hop) for hop in provider.next_hops)


class Drawn:
    """Draws with one random generator for one set of networks."""

    def __init__(self, random: Random, networks: Networks) -> None:
        self.random, self.networks = random, networks

    def _chance(self, share: float) -> bool:
        return self.random.random() < share

    # ---------------------------------------------------------------- what a gateway is

    def dataplane(self) -> dict[str, Any]:
        drawn: dict[str, Any] = {"type": "auto"}
        if self._chance(0.4):
            drawn["inInterface"] = self.random.choice(["mark", "skb_iif"])
        if self._chance(0.2):
            drawn["keepMarks"] = True
            drawn.pop("inInterface", None)
        if self._chance(0.2):
            drawn["hideHop"] = True
        for name, value in (("flowCache", "auto"), ("ipsec", True)):
            if self._chance(0.08):
                drawn[name] = value
        return drawn

    def guards(self) -> dict[str, Any]:
        return {"antiSpoof": self.random.choice(["local", "strict", "off"])} if self._chance(0.4) else {}

    def interfaces(self) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for lan in self.networks.lans:
            made[lan.ifname] = {"networks": [*lan.networks, *lan.behind]}
            if lan.tenant:
                made[lan.ifname]["tenant"] = lan.tenant
                if self._chance(0.5):
                    made[lan.ifname]["knownAs"] = self._aliases(lan)
        return made

    def _aliases(self, lan: Lan) -> list[str]:
        number = "12"[lan.tenant == "blue"]
        names = (f"10.7{number}.0.0/24", f"fd00:7{number}::/64")
        return [name for name in names if any((":" in name) == (":" in network) for network in lan.networks)]

    def uplinks(self, *, plain: bool = False) -> dict[str, Any]:
        made = {}
        for provider in self.networks.providers:
            uplink: dict[str, Any] = {"interface": provider.ifname, "nextHop": list(provider.next_hops)}
            if not plain and self._has_default(provider) and self._chance(0.3):
                uplink["nextHop"] = "auto"
            if plain or self._chance(0.7):
                uplink["addresses"] = [address.partition("/")[0] for address in provider.addresses]
            if provider.routed:
                uplink["routed"] = list(provider.routed)
            if not plain and self._chance(0.3):
                uplink["weight"] = self.random.choice([0, 1, 2, 5])
            if not plain and self._chance(0.25):
                far = FAR[4 if any("." in hop for hop in provider.next_hops) else 6]
                uplink["health"] = [self.random.choice(far)]
            if not plain and self._chance(0.1):
                uplink["clampMss"] = True
            if not plain and self._chance(0.15):
                uplink["networks"] = self.random.choice(["none", [net for net in FAR_SITES if _fits(net, provider)]])
            if not plain and provider.routed and self._chance(0.2):
                uplink["translateTo"] = [str(ip_network(each)[5]) for each in provider.routed]
            if not plain and provider.routed and self._chance(0.2):
                uplink["announce"] = list(provider.routed)
            made[provider.name] = uplink
        if len(made) > 1:
            made[self.random.choice(list(made))]["default"] = True
        return made

    def _has_default(self, provider: Provider) -> bool:
        """By each of its routers, as DHCP and router advertisements would have set it."""
        lines = self.networks.host.ip
        return all(f"route add default {hop_words(hop, provider.ifname)}" in lines for hop in provider.next_hops)

    def default_uplink(self) -> dict[str, Any]:
        names = [provider.name for provider in self.networks.providers]
        if len(names) < 2 or self._chance(0.7):
            return {}
        self.random.shuffle(names)
        return {"defaultUplink": {"first": names}}

    def sections(self) -> tuple[tuple[str, Callable[[], Any], int], ...]:
        """Each section: how one entry is drawn, and how many there are at most."""
        return (
            ("static", self.static, 2),
            ("forwards", self.forward, 4),
            ("prefixNat", self.prefixes, 1 if self._chance(0.2) else 0),
            ("redirects", self.redirect, 1),
            ("twiceNat", self.twice, 1),
            ("sourceNat", self.source_rule, 4),
            ("routes", self.route, 2),
        )

    # ---------------------------------------------------------------- pieces

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
        return found if both and self._chance(0.7) else [self.random.choice(found)]

    def publics(self, provider: Provider, *, count: int = 1) -> list[str]:
        """Public addresses, one of each family."""
        at = self.random.randint(2, 13)
        routed = [str(ip_network(network)[at]) for network in provider.routed]
        own = [address.partition("/")[0] for address in provider.addresses]
        return routed if routed and self._chance(0.7) else own[:2]

    def far(self) -> list[str]:
        found = []
        for family in self.networks.families:
            host = self.random.choice(FAR[family])
            length = self.random.choice([24, 25, 32] if family == 4 else [48, 64, 128])
            found.append(str(ip_network(f"{host}/{length}", strict=False)))
        return found if self._chance(0.6) else [self.random.choice(found)]

    def service(self) -> str:
        port = self.random.choice(PORTS)
        ports = f"{port}-{port + self.random.choice([1, 9, 100])}" if self._chance(0.25) else str(port)
        return f"{ports}/{self.random.choice(['tcp', 'udp'])}"

    def services(self) -> list[str]:
        return [self.service() for _ in range(self.random.choice([1, 1, 2]))]

    def inside(self) -> list[str]:
        """A part of what is inside, as prefixes."""
        lan = self.lan()
        networks = [ip_network(network) for network in (*lan.networks, *lan.behind)]
        if self._chance(0.5):
            return [str(network) for network in networks]
        return [
            str(ip_network(f"{n[80]}/{n.max_prefixlen - self.random.choice([0, 2, 4])}", strict=False))
            for n in networks
        ]

    # ---------------------------------------------------------------- entries

    def source_rule(self) -> dict[str, Any]:
        rule: dict[str, Any] = {}
        if self._chance(0.35):
            rule["from"] = self.inside()
        if self._chance(0.35):
            rule["to"] = self.far()
        if self._chance(0.3):
            rule["ports"] = self.services()
        elif self._chance(0.15):
            rule["protocol"] = self.random.choice(["icmp", "icmpv6", "gre", "udp", ["tcp", "esp"]])
        if self._chance(0.1):
            rule["fromPorts"] = self.services()
        if self._chance(0.15):
            rule["in"] = [self.random.choice([self.lan().ifname, "self"])]
        if self._chance(0.1):
            rule["dscp"] = self.random.choice(_DSCPS)
        if self._chance(0.1):
            rule["mark"] = self.mark()
        if self._chance(0.15):
            rule["except"] = self.random.choice(
                [{"to": self.far()}, {"ports": self.services()}, {"from": self.inside()}]
            )
        tenants = [lan.tenant for lan in self.networks.lans if lan.tenant]
        if tenants and self._chance(0.5):
            rule["tenant"] = self.random.choice(tenants)
        rule["as"] = self.outcome(rule)
        return rule

    def mark(self) -> Any:
        mark = self.random.choice(list(MARKS.values()))
        return self.random.choice([mark, f"{mark:#x}/0xff", f"{mark & 0x10:#x}/0x10"])

    def outcome(self, rule: dict[str, Any]) -> Any:
        names = [provider.name for provider in self.networks.providers]
        self.random.shuffle(names)
        some = names[: self.random.randint(1, len(names))]
        kind = self.random.choices(
            ["uplink", "uplinks", "first", "pool", "address", "unchanged"], [6, 2, 2, 3, 2, 1]
        )[0]
        if kind == "uplink":
            return names[0]
        if kind == "uplinks":
            weights = {name: self.random.choice([0, 1, 2, 4]) for name in some}
            return self._choosing({"uplinks": weights if self._chance(0.5) else some})
        if kind == "first":
            if len(some) > 1 and self._chance(0.3):  # two that share the flows, before or after the others
                group: Any = some[:2] if self._chance(0.5) else {some[0]: 3, some[1]: 1}
                return {"first": [group, *some[2:]]}
            return {"first": some}
        if kind == "unchanged":
            rule.setdefault("to", self.far())
            return "unchanged"
        provider = self.provider()
        if kind == "address" or not provider.routed:
            return self.publics(provider)
        nets = [ip_network(network) for network in provider.routed]
        if self._chance(0.15):
            rule["from"] = [
                str(ip_network(f"{n[64]}/{n.max_prefixlen - 2}")) for n in map(ip_network, self.lan().networks)
            ]
            return {"pool": [f"{net[4]}/{net.max_prefixlen - 2}" for net in nets], "overload": False}
        if self._chance(0.3):
            return self._choosing({"pool": {str(net[at]): at for net in nets for at in (4, 5, 6)}})
        return self._choosing({"pool": [f"{net[3]}-{net[self.random.choice([4, 6, 10])]}" for net in nets]})

    def _choosing(self, outcome: dict[str, Any]) -> dict[str, Any]:
        if self._chance(0.6):
            outcome["pick"] = self.random.choice(_PICKS)
        if self._chance(0.1):
            outcome["persistent"] = True
        if self._chance(0.15):
            outcome["ports"] = self.random.choice(["random", "20000-20999", "40000-40000"])
        return outcome

    def forward(self) -> dict[str, Any]:
        lan = self.lan()
        provider = self.provider()
        entry: dict[str, Any] = {}
        if self._chance(0.7):
            entry["at"] = self.random.choice([[provider.name], self.publics(provider)])
        kind = self.random.choices(["ports", "protocol", "all"], [8, 1, 1])[0]
        if kind == "ports":
            entry["ports"] = self.services()
        elif kind == "protocol":
            entry["protocol"] = self.random.choice(["gre", "esp"])
        hosts = self.hosts(lan)
        moved = kind == "ports" and self._chance(0.4)
        port = self.random.choice(PORTS)
        servers = [(f"[{host}]:{port}" if ":" in host else f"{host}:{port}") if moved else host for host in hosts]
        if self._chance(0.2):
            more = self.hosts(lan)
            entry["to"] = {server: self.random.randint(1, 3) for server in (*servers, *more)}
            entry["pick"] = self.random.choice(_PICKS)
        else:
            entry["to"] = servers
        if lan.tenant:
            entry["tenant"] = lan.tenant
        if self._chance(0.15):
            entry["from"] = self.far()
        if self._chance(0.1):
            entry["except"] = self.far()
        if kind == "ports" and self._chance(0.15):
            entry["health"] = "tcp"
        if kind == "ports" and self._chance(0.1):
            entry["fromPorts"] = self.services()
        if self._chance(0.08):
            entry["dscp"] = self.random.choice(_DSCPS)
        if self._chance(0.08):
            entry["mark"] = self.mark()
        if self._chance(0.25):
            entry["hairpin"] = False
        return entry

    def static(self) -> dict[str, Any]:
        lan, provider = self.lan(), self.provider()
        if self._chance(0.15):
            return self._whole(lan, provider)
        real = self.hosts(lan)
        versions = [6 if ":" in each else 4 for each in real]
        public = {6 if ":" in each else 4: each for each in self.publics(provider)}
        entry: dict[str, Any] = {"address": real, "as": [public.get(version, "192.0.2.1") for version in versions]}
        if self._chance(0.3) and provider.routed:
            at = self.random.choice([0, 4, 8])
            ours = {
                ip_network(n).version: ip_network(f"{ip_network(n)[at]}/{ip_network(n).max_prefixlen - 2}")
                for n in provider.routed
            }
            theirs = [ip_network(f"{address}/{30 if '.' in address else 126}", strict=False) for address in real]
            entry = {
                "address": [str(n) for n in theirs],
                "as": [str(ours.get(n.version, "192.0.2.0/30")) for n in theirs],
            }
        if lan.tenant:
            entry["tenant"] = lan.tenant
        if "/" in str(entry["as"]) and self._chance(0.3):
            entry["except"] = [str(ip_network(n)[1]) for n in entry["address"]]
        if self._chance(0.2):
            entry["to"] = self.far()
        elif self._chance(0.15):
            entry["in"] = [self.random.choice([self.lan().ifname, provider.ifname])]
        return entry

    def _whole(self, lan: Lan, provider: Provider) -> dict[str, Any]:
        """Every host of a network by a prefix of the same length."""
        networks = [n for n in lan.networks if ":" in n]
        public = [n for n in provider.routed if ":" in n]
        entry: dict[str, Any] = {"address": networks, "as": public}
        if self._chance(0.5):
            entry = {
                "address": [n.replace("/64", "/48") for n in networks],
                "as": [n.replace("/64", "/48") for n in public],
            }
            entry["nptv6"] = True
        return entry

    def prefixes(self) -> dict[str, Any]:
        lan = self.lan()
        public = [n for provider in self.networks.providers for n in provider.routed if ":" in n]
        return {"address": next(iter(n for n in lan.networks if ":" in n), ""), "as": public}

    def redirect(self) -> dict[str, Any]:
        lan = self.lan()
        entry: dict[str, Any] = {"ports": self.random.choice([["53/udp", "53/tcp"], ["123/udp"], ["80/tcp"]])}
        entry["to"] = self.random.choice([self.hosts(lan), "self", "self:5353"])
        if self._chance(0.4):
            entry["in"] = [lan.ifname]
        if self._chance(0.2):
            entry["from"] = self.inside()
        if self._chance(0.3):
            entry["except"] = self.far()
        return entry

    def twice(self) -> dict[str, Any]:
        lan, provider = self.lan(), self.provider()
        (real, *_) = [n for n in lan.networks if "." in n] or [""]
        routed = [n for n in provider.routed if "." in n] or ["198.18.0.0/28"]
        narrow = str(ip_network(real)[64]) + "/28" if real else ""
        return {
            "from": narrow,
            "as": routed[0],
            "to": "10.20.0.0/24" if self._chance(0.5) else "10.20.0.0/28",
            "becomes": self.random.choice(["192.168.1.0/24", "192.168.77.0/28", "192.168.1.64/28", "10.30.0.0/24"]),
            "via": provider.name,
            **({"opens": "us"} if self._chance(0.3) else {}),
        }

    def route(self) -> dict[str, Any]:
        entry: dict[str, Any] = {}
        if self._chance(0.6):
            entry["to"] = self.far()
        if self._chance(0.3):
            entry["from"] = self.random.choice([self.inside(), self.publics(self.provider())])
        if self._chance(0.2):
            entry["in"] = [self.random.choice([self.lan().ifname, "self"])]
        if self._chance(0.15):
            entry["mark"] = self.mark()
        if self._chance(0.2):
            entry["except"] = {"to": self.far()}
        names = [provider.name for provider in self.networks.providers]
        entry["via"] = self.random.choice(
            [self.random.choice(names), {"first": self.random.sample(names, len(names))}]
        )
        return entry
