"""One entry of each section of a spec, drawn for the networks that there are. Not all are valid."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

from tests.differential.generate.gateway import GatewayDraw
from tests.differential.generate.networks import Lan, Provider
from tests.differential.generate.pieces import PORTS

_PICKS = ("hash", "client", "client-port", "random", "round-robin")
_DSCPS: tuple[Any, ...] = ("ef", "af41", 8, ["ef", 5])


class Drawn(GatewayDraw):
    """Draws a spec: first what there is once, then entries."""

    def sections(self) -> tuple[tuple[str, Callable[[], Any], int], ...]:
        """Each section: how one entry is drawn, and how many there are at most."""
        return (
            ("static", self.static, 3),
            ("forwards", self.forward, 4),
            ("prefixNat", self.prefixes, 1 if self.chance(0.2) else 0),
            ("redirects", self.redirect, 1),
            ("twiceNat", self.twice, 1),
            ("sourceNat", self.source_rule, 4),
            ("routes", self.route, 2),
        )

    def source_rule(self) -> dict[str, Any]:
        rule: dict[str, Any] = {}
        if self.chance(0.35):
            rule["from"] = self.inside()
        if self.chance(0.35):
            rule["to"] = self.far()
        if self.chance(0.3):
            rule["ports"] = self.services()
        elif self.chance(0.15):
            rule["protocol"] = self.random.choice(["icmp", "icmpv6", "gre", "udp", ["tcp", "esp"]])
        if self.chance(0.1):
            rule["fromPorts"] = self.services()
        if self.chance(0.15):
            rule["in"] = [self.random.choice([self.lan().ifname, "self"])]
        if self.chance(0.1):
            rule["dscp"] = self.random.choice(_DSCPS)
        if self.chance(0.1):
            rule["mark"] = self.mark()
        if self.chance(0.15):
            rule["except"] = self.random.choice(
                [{"to": self.far()}, {"ports": self.services()}, {"from": self.inside()}]
            )
        tenants = [lan.tenant for lan in self.networks.lans if lan.tenant]
        if tenants and self.chance(0.5):
            rule["tenant"] = self.random.choice(tenants)
        rule["as"] = self.outcome(rule)
        return rule

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
            return self._choosing({"uplinks": weights if self.chance(0.5) else some})
        if kind == "first":
            if len(some) > 1 and self.chance(0.3):  # two that share the flows, before or after the others
                group: Any = some[:2] if self.chance(0.5) else {some[0]: 3, some[1]: 1}
                return {"first": [group, *some[2:]]}
            return {"first": some}
        if kind == "unchanged":
            if self.chance(0.7):
                rule.setdefault("to", self.far())
            return "unchanged" if self.chance(0.5) else {"unchanged": True}
        provider = self.provider()
        if kind == "address" or not provider.routed:
            return self.publics(provider)
        nets = [ip_network(network) for network in provider.routed]
        if self.chance(0.15):
            rule["from"] = [
                str(ip_network(f"{n[64]}/{n.max_prefixlen - 2}")) for n in map(ip_network, self.lan().networks)
            ]
            return {"pool": [f"{net[4]}/{net.max_prefixlen - 2}" for net in nets], "overload": False}
        if self.chance(0.3):
            return self._choosing({"pool": {str(net[at]): at for net in nets for at in (4, 5, 6)}})
        return self._choosing({"pool": [f"{net[3]}-{net[self.random.choice([4, 6, 10])]}" for net in nets]})

    def _choosing(self, outcome: dict[str, Any]) -> dict[str, Any]:
        if self.chance(0.6):
            outcome["pick"] = self.random.choice(_PICKS)
        if self.chance(0.1):
            outcome["persistent"] = True
        if self.chance(0.15):
            outcome["ports"] = self.random.choice(["random", "20000-20999", "40000-40000"])
        return outcome

    def forward(self) -> dict[str, Any]:
        lan = self.lan()
        provider = self.provider()
        entry: dict[str, Any] = {}
        if self.chance(0.7):
            entry["at"] = self.random.choice([[provider.name], self.publics(provider)])
        kind = self.random.choices(["ports", "protocol", "all"], [8, 1, 1])[0]
        if kind == "ports":
            entry["ports"] = self.services()
        elif kind == "protocol":
            entry["protocol"] = self.random.choice(["gre", "esp"])
        hosts = self.hosts(lan)
        moved = kind == "ports" and self.chance(0.4)
        port = self.random.choice(PORTS)
        servers = [(f"[{host}]:{port}" if ":" in host else f"{host}:{port}") if moved else host for host in hosts]
        if self.chance(0.2):
            more = self.hosts(lan)
            entry["to"] = {server: self.random.randint(1, 3) for server in (*servers, *more)}
            entry["pick"] = self.random.choice(_PICKS)
        else:
            entry["to"] = servers
        if lan.tenant:
            entry["tenant"] = lan.tenant
        if self.chance(0.15):
            entry["from"] = self.far()
        if self.chance(0.1):
            entry["except"] = self.far()
        if kind == "ports" and self.chance(0.15):
            entry["health"] = "tcp"
        if kind == "ports" and self.chance(0.1):
            entry["fromPorts"] = self.services()
        if self.chance(0.08):
            entry["dscp"] = self.random.choice(_DSCPS)
        if self.chance(0.08):
            entry["mark"] = self.mark()
        if self.chance(0.25):
            entry["hairpin"] = False
        return entry

    def static(self) -> dict[str, Any]:
        lan, provider = self.lan(), self.provider()
        if self.chance(0.25):
            return self._whole(lan, provider)
        real = self.hosts(lan)
        versions = [6 if ":" in each else 4 for each in real]
        public = {6 if ":" in each else 4: each for each in self.publics(provider)}
        entry: dict[str, Any] = {"address": real, "as": [public.get(version, "192.0.2.1") for version in versions]}
        if self.chance(0.3) and provider.routed:
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
        if "/" in str(entry["as"]) and self.chance(0.3):
            entry["except"] = [str(ip_network(n)[1]) for n in entry["address"]]
        if self.chance(0.2):
            entry["to"] = self.far()
        elif self.chance(0.15):
            entry["in"] = [self.random.choice([self.lan().ifname, provider.ifname])]
        return entry

    def _whole(self, lan: Lan, provider: Provider) -> dict[str, Any]:
        """Every host of a network by a prefix of the same length."""
        public = [n for n in provider.routed if ":" in n]
        length = ip_network(public[0]).prefixlen if public else 64
        networks = [ip_network(n) for n in lan.behind or lan.networks if ":" in n]
        wide = [str(n.supernet(new_prefix=length)) if n.prefixlen > length else str(n) for n in networks]
        entry: dict[str, Any] = {"address": wide, "as": public}
        if length <= 48:
            entry["nptv6"] = self.chance(0.8)
        return entry

    def prefixes(self) -> dict[str, Any]:
        lan = self.lan()
        public: list[Any] = [n for provider in self.networks.providers for n in provider.routed if ":" in n]
        public += [{"from": each.name, "subnet": 7} for each in self.networks.providers if each.delegated]
        return {"address": next(iter(n for n in lan.networks if ":" in n), ""), "as": public}

    def redirect(self) -> dict[str, Any]:
        lan = self.lan()
        entry: dict[str, Any] = {"ports": self.random.choice([["53/udp", "53/tcp"], ["123/udp"], ["80/tcp"]])}
        entry["to"] = self.random.choice([self.hosts(lan), "self", "self:5353"])
        if self.chance(0.4):
            entry["in"] = [lan.ifname]
        if self.chance(0.2):
            entry["from"] = self.inside()
        if self.chance(0.3):
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
            "to": "10.20.0.0/24" if self.chance(0.5) else "10.20.0.0/28",
            "becomes": self.random.choice(["192.168.1.0/24", "192.168.77.0/28", "192.168.1.64/28", "10.30.0.0/24"]),
            "via": provider.name,
            **({"opens": "us"} if self.chance(0.3) else {}),
        }

    def route(self) -> dict[str, Any]:
        entry: dict[str, Any] = {}
        if self.chance(0.6):
            entry["to"] = self.far()
        if self.chance(0.3):
            entry["from"] = self.random.choice([self.inside(), self.publics(self.provider())])
        if self.chance(0.2):
            entry["in"] = [self.random.choice([self.lan().ifname, "self"])]
        if self.chance(0.15):
            entry["mark"] = self.mark()
        if self.chance(0.2):
            entry["except"] = self.random.choice([{"to": self.far()}, {"from": self.inside()}])
        names = [provider.name for provider in self.networks.providers]
        entry["via"] = self.random.choice(
            [self.random.choice(names), {"first": self.random.sample(names, len(names))}]
        )
        return entry
