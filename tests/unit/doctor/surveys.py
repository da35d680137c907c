"""A machine on which nothing is wrong, and a spec for it."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_interface
from typing import Any

from nvi_operator.doctor.checks import CHECKS
from nvi_operator.doctor.finding import Finding
from nvi_operator.doctor.survey import Binding, RuleFact, Survey
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.topology.facts import LinkFact


def link(name: str, *addresses: str, **more: Any) -> LinkFact:
    return LinkFact(name, ifindex=abs(hash(name)) % 1000 + 1, addresses=tuple(map(ip_interface, addresses)), **more)


LINKS = {
    "lo": link("lo"),
    "lan0": link("lan0", "192.168.1.1/24"),
    "wan0": link("wan0", "203.0.113.2/24"),
    "wan1": link("wan1", "198.51.100.2/24"),
}
KERNEL_RULES = tuple(
    RuleFact(family, priority, table=table, protocol=2)
    for family in (4, 6)
    for priority, table in ((0, 255), (32766, 254))
)
HEALTHY = Survey(
    kernel="6.12.1-amd64",
    capabilities=frozenset({"CAP_NET_ADMIN", "CAP_SYS_ADMIN", "CAP_BPF", "CAP_SYS_MODULE"}),
    nft_version="1.0.6",
    binding=Binding(library="1.0.6", package="0.1"),
    kinds={"ifb": "yes"},
    conntrack=True,
    rules=KERNEL_RULES,
    sysctls={"net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "1"},
    links=LINKS,
)


def survey(**changes: Any) -> Survey:
    if "links" in changes:
        changes["links"] = {**LINKS, **{item.ifname: item for item in changes["links"]}}
    if "rules" in changes:
        changes["rules"] = (*KERNEL_RULES, *changes["rules"])
    return replace(HEALTHY, **changes)


def spec(**sections: Any) -> GatewaySpec:
    """lan0, and two uplinks; as YAML would say it."""
    given: dict[str, Any] = {
        "interfaces": {"lan0": {"networks": ["192.168.1.0/24"]}},
        "uplinks": {
            "isp-a": {"interface": "wan0", "nextHop": "203.0.113.1", "addresses": ["203.0.113.2"], "default": True},
            "isp-b": {"interface": "wan1", "nextHop": "198.51.100.1", "addresses": ["198.51.100.2"]},
        },
    }
    return GatewaySpec.model_validate({**given, **sections})


def found(topic: str, of: Survey, on: GatewaySpec | None = None) -> list[Finding]:
    """What one check finds."""
    (check,) = (check for check in CHECKS if check.topic == topic)
    return list(check.run(of, on))


def levels(topic: str, of: Survey, on: GatewaySpec | None = None) -> list[str]:
    return [finding.level for finding in found(topic, of, on)]
