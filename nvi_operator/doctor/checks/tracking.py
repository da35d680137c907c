"""State that accompanies packets and flows: zones, notrack, flow offload, helpers, IPsec."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from nvi_operator.doctor.finding import Finding
from nvi_operator.doctor.footprint import footprint
from nvi_operator.doctor.hooks import forwarded, received
from nvi_operator.doctor.remedies import insert, spare_command
from nvi_operator.doctor.ruleset import ListedRule
from nvi_operator.doctor.survey import Survey
from nvi_operator.doctor.walk import walk
from nvi_operator.language.model.gateway import GatewaySpec


def zone(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """`ct zone set` in stage 2, which undoes notrack."""
    need = footprint(spec)
    for rule, stages in _met(survey, spec, _sets_zone).items():
        if 2 in stages:
            yield Finding(
                "problem" if stages[2] else "warning",
                "zone",
                f"rule {rule.place} {'sets' if stages[2] else 'may set'} a conntrack zone in stage 2: such packets "
                "are tracked, and translated, a second time",
                spare_command(survey.ruleset, rule, need),
            )


def notrack(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """`notrack` on packets that need NAT: they are not translated, so the leak guard drops them."""
    need = footprint(spec)
    for rule, stages in _met(survey, spec, lambda rule: rule.has("notrack")).items():
        if stages.get(1):
            yield Finding(
                "problem",
                "notrack",
                f"rule {rule.place} takes packets of stage 1 out of connection tracking: they are not translated, "
                "and the leak guard drops them",
                insert(rule.chain_place, f"iifname {{ {', '.join(need.interfaces) or 'INTERFACES'} }} return"),
            )


def ipsec(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Policies check by which state a packet was decrypted; its second pass no longer knows that."""
    if survey.forward_policies and (spec is None or not spec.dataplane.ipsec):
        yield Finding(
            "warning",
            "ipsec",
            f"{survey.forward_policies} IPsec policies for forwarding would refuse decrypted packets to inside hosts "
            "on their second pass",
            "# in the spec: dataplane: {ipsec: true}",
        )


def _sets_zone(rule: ListedRule) -> bool:
    return any(body["key"].get("ct", {}).get("key") == "zone" for body in rule.bodies("mangle"))


def _met(
    survey: Survey, spec: GatewaySpec | None, selects: Callable[[ListedRule], bool]
) -> dict[ListedRule, dict[int, bool]]:
    """Rules of prerouting that the gateway's packets may meet: stage -> certainly."""
    need = footprint(spec)
    met: dict[ListedRule, dict[int, bool]] = {}
    for chain in survey.ruleset.base_chains("prerouting"):
        for packet in received(chain, need, unknown=True):
            for rule, certain in walk(survey.ruleset, chain, packet).met:
                if selects(rule):
                    stages = met.setdefault(rule, {})
                    stages[packet.stage] = stages.get(packet.stage, False) or certain
    return met


def flowtable(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Flow offload of stage 1, which skips POSTROUTING and with it the mark hook."""
    need = footprint(spec)
    ruleset = survey.ruleset
    for table in ruleset.flowtables:
        shared = sorted(set(table.devices) & set(need.interfaces)) if spec is not None else list(table.devices)
        adding = [
            rule
            for chain in ruleset.base_chains("forward")
            for packet in forwarded(chain, need, unknown=True)
            if packet.stage == 1
            for rule, _ in walk(ruleset, chain, packet).met
            if (rule.family, rule.table) == (table.family, table.table) and _adds(rule, table.name)
        ]
        if shared and adding:
            rule = adding[0]
            yield Finding(
                "problem" if spec is not None else "warning",
                "flowtable",
                f"rule {rule.place} offloads flows of {', '.join(shared)} to flowtable {table.name}: once offloaded "
                "they skip the mark hook, and the device drops them",
                f'# put `oifname != "{need.device}"` before `flow add` in that rule',
            )


def _adds(rule: ListedRule, name: str) -> bool:
    return any(body.get("flowtable") in (name, f"@{name}") for body in rule.bodies("flow"))


def helper(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Conntrack helpers, which open ports that they read in packets."""
    if survey.sysctls.get("net/netfilter/nf_conntrack_helper") == "1":
        yield Finding(
            "warning",
            "helper",
            "nf_conntrack_helper is 1: any host can open ports by the contents of its packets",
            "sysctl -w net.netfilter.nf_conntrack_helper=0",
        )
    tables = {(r.family, r.table) for r in survey.ruleset.rules() if r.has("ct helper") or _sets_helper(r)}
    for family, table in sorted(tables):
        yield Finding(
            "ok",
            "helper",
            f"table {family} {table} assigns conntrack helpers; expected connections are translated as well",
        )


def _sets_helper(rule: ListedRule) -> bool:
    return any(body["key"].get("ct", {}).get("key") == "helper" for body in rule.bodies("mangle"))
