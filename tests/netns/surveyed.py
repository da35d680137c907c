"""A host that doctor looks at, and what it finds there."""

from __future__ import annotations

from nvi_operator.doctor.diagnosis import diagnose
from nvi_operator.doctor.finding import Finding
from nvi_operator.kernel.inspect.survey import take_survey
from nvi_operator.language.model.gateway import GatewaySpec
from tests.lab import Lab
from tests.lab.net import Host

SPEC = GatewaySpec.model_validate(
    {
        "interfaces": {"lan0": {"networks": ["192.168.1.0/24", "fd00:1::/64"]}},
        "uplinks": {
            "isp-a": {"interface": "wan0", "nextHop": "203.0.113.1", "addresses": "203.0.113.2", "default": True},
            "isp-b": {"interface": "wan1", "nextHop": "198.51.100.1", "addresses": "198.51.100.2"},
        },
    }
)
Expected = set[tuple[str, str]]


def surveyed(lab: Lab) -> Host:
    """lan0, wan0 and wan1, up and with the addresses of the spec."""
    made, neighbour = lab.host("doctor"), lab.host("neighbour")
    for ifname, address in (("lan0", "192.168.1.1"), ("wan0", "203.0.113.2"), ("wan1", "198.51.100.2")):
        lab.link(made, ifname, neighbour, ifname)
        made.ip(f"address add {address}/24 dev {ifname}")
    made.write("net/ipv4/conf/all/rp_filter", "0")
    for ifname in ("lan0", "wan0", "wan1"):
        made.write(f"net/ipv4/conf/{ifname}/rp_filter", "0")
    return made


def findings(host: Host, spec: GatewaySpec | None = None) -> tuple[Finding, ...]:
    return diagnose(host.call(take_survey, spec), spec)


def matter(found: tuple[Finding, ...]) -> Expected:
    return {(finding.level, finding.topic) for finding in found if finding.level != "ok"}
