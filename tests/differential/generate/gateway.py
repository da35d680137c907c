"""What a gateway is, apart from the entries of its sections: dataplane, numbers, guards, interfaces, uplinks."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from tests.differential.generate.networks import FAR, Lan, Provider, hop_words
from tests.differential.generate.pieces import Pieces

FAR_SITES = ("10.60.0.0/16", "fd00:60::/48")  # behind an uplink, such as a tunnel


def _fits(network: str, provider: Provider) -> bool:
    return any((":" in network) == (":" in hop) for hop in provider.next_hops)


class GatewayDraw(Pieces):
    """Draws the sections that a gateway has once."""

    def dataplane(self) -> dict[str, Any]:
        drawn: dict[str, Any] = {"type": "auto"}
        if self.chance(0.4):
            drawn["inInterface"] = self.random.choice(["mark", "skb_iif"])
        if self.chance(0.2):
            drawn["keepMarks"] = True
            drawn.pop("inInterface", None)
        if self.chance(0.2):
            drawn["hideHop"] = True
        rare = {
            "flowCache": "auto",
            "flowCacheEntries": 1024,
            "ipsec": True,
            "device": "nat9",
            "stageBit": 28,
            "localBit": 27,
        }
        return drawn | {name: value for name, value in rare.items() if self.chance(0.08)}

    def numbers(self) -> dict[str, int]:
        if self.chance(0.92):
            return {}
        return {"rulePriority": 2000, "table": 9000, "protocol": 80, "linkGroup": 90}

    def flows(self) -> dict[str, str]:
        """What becomes of flows; none is there yet when a talk begins."""
        drawn = {
            "strandedFlows": self.random.choice(["end", "keep"]),
            "failback": self.random.choice(["keep", "move"]),
        }
        return drawn if self.chance(0.2) else {}

    def guards(self) -> dict[str, Any]:
        return {"antiSpoof": self.random.choice(["local", "strict", "off"])} if self.chance(0.4) else {}

    def interfaces(self) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for lan in self.networks.lans:
            made[lan.ifname] = {"networks": [*lan.networks, *lan.behind]}
            if lan.delegated:
                made[lan.ifname]["delegated"] = [
                    {"from": part.provider, "subnet": part.subnet, **({"length": 64} if self.chance(0.2) else {})}
                    for part in lan.delegated
                ]
            if lan.tenant:
                made[lan.ifname]["tenant"] = lan.tenant
                if self.chance(0.5):
                    made[lan.ifname]["knownAs"] = self._aliases(lan)
        return made

    def _aliases(self, lan: Lan) -> list[str]:
        number = "12"[lan.tenant == "blue"]
        names = (f"10.7{number}.0.0/24", f"fd00:7{number}::/64")
        return [name for name in names if any((":" in name) == (":" in network) for network in lan.networks)]

    def uplinks(self, *, plain: bool = False) -> dict[str, Any]:
        made = {}
        several = sum(bool(provider.delegated) for provider in self.networks.providers) > 1
        for provider in self.networks.providers:
            uplink: dict[str, Any] = {"interface": provider.ifname, "nextHop": list(provider.next_hops)}
            if not plain and self._has_default(provider) and self.chance(0.3):
                uplink["nextHop"] = "auto"
            elif not plain and self.chance(0.08):
                del uplink["nextHop"]
            if provider.delegated:
                uplink["delegated"] = provider.delegates_from if several or self.chance(0.5) else "auto"
            if plain or self.chance(0.7):
                uplink["addresses"] = [address.partition("/")[0] for address in provider.addresses]
            if provider.routed:
                uplink["routed"] = list(provider.routed)
            if not plain and self.chance(0.3):
                uplink["weight"] = self.random.choice([0, 1, 2, 5])
            if not plain and self.chance(0.25):
                far = FAR[4 if any("." in hop for hop in provider.next_hops) else 6]
                target = self.random.choice(far)
                long_form = {"probes": [{"ping": target}], "quorum": 1}
                uplink["health"] = long_form if self.chance(0.3) else [target]
            if not plain and self.chance(0.1):
                uplink["clampMss"] = True
            if not plain and self.chance(0.15):
                uplink["networks"] = self.random.choice(["none", [net for net in FAR_SITES if _fits(net, provider)]])
            if not plain and provider.routed and self.chance(0.2):
                uplink["translateTo"] = [str(ip_network(each)[5]) for each in provider.routed]
            if not plain and provider.routed and self.chance(0.2):
                uplink["announce"] = [n for n in provider.routed if "." in n] or True
            made[provider.name] = uplink
        return made

    def default(self, uplinks: dict[str, Any]) -> dict[str, Any]:
        """Both ways to say which uplink is the default one."""
        names = list(uplinks)
        self.random.shuffle(names)
        if len(names) < 2:
            return {}
        if self.chance(0.7):
            uplinks[names[0]]["default"] = True
            return {}
        return {"defaultUplink": {"first": names} if self.chance(0.7) else names[0]}

    def _has_default(self, provider: Provider) -> bool:
        """By each of its routers, as DHCP and router advertisements would have set it."""
        lines = self.networks.host.ip
        return all(f"route add default {hop_words(hop, provider.ifname)}" in lines for hop in provider.next_hops)
