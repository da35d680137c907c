"""Docker's rules for packets to its containers, before all other tables."""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.doctor.finding import Finding
from nvi_operator.doctor.footprint import footprint
from nvi_operator.doctor.packet import as_network
from nvi_operator.doctor.remedies import accept_commands
from nvi_operator.doctor.ruleset import ListedChain, ListedRule
from nvi_operator.doctor.survey import Survey
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.values import Network
from nvi_operator.language.wording import counted
from nvi_operator.topology.numbers import CONNTRACK

_DIRECT_ROUTING = '\n# or, Docker 28 and later: "allow-direct-routing": true in /etc/docker/daemon.json'


def raw_drop(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Docker's drops of container addresses that do not come from its bridge (since version 28)."""
    bridges: dict[str, list[Network]] = {}
    places: dict[str, ListedChain] = {}
    for chain in survey.ruleset.base_chains("prerouting"):
        if chain.priority > CONNTRACK:
            continue
        for rule in chain.rules:
            found = _container(rule)
            if found:
                bridges.setdefault(found[0], []).append(found[1])
                places[found[0]] = chain
    for bridge, addresses in bridges.items():
        hit = [str(a) for a in addresses if spec is not None and _is_target(spec, bridge, a)]
        chain = places[bridge]
        accept = accept_commands(survey.ruleset, chain, footprint(spec), {2}) + _DIRECT_ROUTING
        if hit:
            yield Finding(
                "problem",
                "raw-drop",
                f"chain {chain.place} drops what does not come from {bridge} to {', '.join(hit[:4])}: "
                "stage 2 of what the spec sends there",
                accept,
            )
        else:
            yield Finding(
                "ok" if spec is None else "warning",
                "raw-drop",
                f"chain {chain.place} drops what does not come from {bridge} to "
                f"{counted(len(addresses), 'address', 'es')}: stage 2 of what inside hosts send to published ports",
                "" if spec is None else f"{accept}\n# or ignore this, if only hosts behind uplinks use them",
            )


def _container(rule: ListedRule) -> tuple[str, Network] | None:
    """(bridge, address) of `ip daddr ADDRESS iifname != BRIDGE drop`."""
    if not rule.has("drop"):
        return None
    bridge: str | None = None
    address: Network | None = None
    for body in rule.bodies("match"):
        left, right, op = body["left"], body["right"], body.get("op")
        if left == {"meta": {"key": "iifname"}} and op == "!=" and isinstance(right, str):
            bridge = right
        elif isinstance(left, dict) and left.get("payload", {}).get("field") == "daddr" and op == "==":
            address = as_network(right)
    return (bridge, address) if bridge and address else None


def _is_target(spec: GatewaySpec, bridge: str, address: Network) -> bool:
    """Does the spec send packets to that address?"""
    if bridge in spec.interfaces:
        return True
    targets: list[Network] = [network for s in spec.static.values() for network in s.address]
    hosts = [target.address for forward in spec.forwards.values() for target in forward.to]
    return any(host in address for host in hosts if host.version == address.version) or any(
        network.overlaps(address) for network in targets if network.version == address.version
    )
