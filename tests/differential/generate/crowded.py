"""Entries that share what they are about: few public addresses, few ports, ranges that overlap."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

from tests.differential.generate.entries import Drawn
from tests.differential.generate.networks import Provider

_PORTS = ("443", "440-450", "445-460", "450", "1-65535")


class Crowded(Drawn):
    """More entries than `Drawn`, most of them for some packets only, so that many may stand side by side."""

    def sections(self) -> tuple[tuple[str, Callable[[], Any], int], ...]:
        most = {
            "static": 6,
            "forwards": 8,
            "prefixNat": 2,
            "redirects": 3,
            "twiceNat": 3,
            "sourceNat": 2,
            "routes": 3,
        }
        return tuple((section, entry, most[section]) for section, entry, _ in super().sections())

    def publics(self, provider: Provider, *, count: int = 1) -> list[str]:
        routed = [str(ip_network(network)[self.random.choice([4, 5])]) for network in provider.routed]
        own = [address.partition("/")[0] for address in provider.addresses]
        return routed if routed and self.chance(0.7) else own[:2]

    def service(self) -> str:
        return f"{self.random.choice(_PORTS)}/{self.random.choice(['tcp', 'tcp', 'udp'])}"

    def forward(self) -> dict[str, Any]:
        entry = super().forward()
        if self.chance(0.5):
            entry["from"] = self.far()
        elif self.chance(0.3):
            entry["dscp"] = self.random.choice([8, 46])
        elif self.chance(0.2):
            entry["mark"] = self.random.choice([0x10, 0x20])
        return entry

    def static(self) -> dict[str, Any]:
        entry = super().static()
        if self.chance(0.3):
            entry["to"] = self.far()
        return entry
