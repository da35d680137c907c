"""Foreign FIB rules: among the gateway's priorities, before them, or with its protocol number."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

from nvi_operator.doctor.finding import Finding
from nvi_operator.doctor.footprint import Footprint, footprint
from nvi_operator.doctor.survey import RuleFact, Survey
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.topology.facts import Facts, RouteTableFact
from nvi_operator.topology.foreign_rules import judge_rules
from nvi_operator.topology.numbers import KERNEL_TABLES, LOCAL, MAIN_PRIORITY, OWN_CONNECTED, OWN_DEFAULT, PRIORITIES

_DECIDES = ("lookup", "unreachable", "blackhole", "prohibit", "goto")


def _foreign(survey: Survey, need: Footprint) -> list[RuleFact]:
    return [r for r in survey.rules if r.protocol != need.protocol and r.table != LOCAL]


def rule_priority(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Foreign rules among the gateway's. The kernel's rule for VRFs (priority 1000) matches only VRF members."""
    need = footprint(spec)
    for rule in _foreign(survey, need):
        if not need.own_priority(rule.priority):
            continue
        if rule.l3mdev:
            yield Finding(
                "ok",
                "rule-priority",
                f"{rule.command}: {rule}: routes members of a VRF before the gateway does; keep them out of the spec",
            )
            continue
        yield Finding(
            "problem" if not rule.selects else "warning",
            "rule-priority",
            f"{rule.command}: {rule}: is among the gateway's priorities "
            f"{need.priority}-{need.priority + PRIORITIES - 1}"
            + ("" if rule.selects else ", and matches every packet"),
            _free_block(survey, need),
        )


def _free_block(survey: Survey, need: Footprint) -> str:
    """A base for the block of priorities: no foreign rule in it, and none before it that matches everything."""
    foreign = [rule for rule in _foreign(survey, need) if not rule.l3mdev]
    for base in (1000, 2000, 100, 1, 3000, 4000, 6000, 8000, 10000, 12000, 16000, 20000, 30000, 31000):
        block = range(base, base + PRIORITIES)
        if block[-1] >= MAIN_PRIORITY or any(rule.priority in block for rule in foreign):
            continue
        if not any(rule.priority < base and not rule.selects for rule in foreign):
            return f"# in the spec: numbers: {{rulePriority: {base}}}"
    return "# give that rule another priority; no block of 1000 priorities is free before it"


def rule_before(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Foreign rules before the gateway's that route its packets, such as a VPN's `from all lookup X`."""
    need = footprint(spec)
    for rule in _foreign(survey, need):
        if rule.priority >= need.priority or rule.action not in _DECIDES or rule.l3mdev:
            continue
        if rule.action == "goto" and (rule.goto or 0) <= need.priority:
            continue
        table = _table(rule, survey)
        if not rule.selects and table is not None and not (table.default or table.refuses):
            if table.specific:
                yield Finding(
                    "warning",
                    "rule-before",
                    f"{rule.command}: {rule}: comes before the gateway's rules: what inside hosts send to the "
                    "networks in that table is not translated",
                    _behind(rule, survey, need),
                )
        elif not rule.selects:
            yield Finding(
                "problem",
                "rule-before",
                f"{rule.command}: {rule}: comes before the gateway's rules and matches every packet: "
                "nothing is translated",
                _behind(rule, survey, need),
            )
        elif spec is not None and _may_match(rule, need):
            yield Finding(
                "warning",
                "rule-before",
                f"{rule.command}: {rule}: comes before the gateway's rules and matches packets that the "
                "spec translates",
                _behind(rule, survey, need),
            )


def _table(rule: RuleFact, survey: Survey) -> RouteTableFact | None:
    """What it looks up, where that is known; strongSwan's (220) has the networks of tunnels only, or nothing."""
    if rule.action != "lookup" or rule.table in KERNEL_TABLES:
        return None
    asked = (rule.family, rule.priority, rule.table)
    known = (f.table for f in survey.foreign_rules if (f.rule.family, f.rule.priority, f.rule.table) == asked)
    return next(known, None)


def _behind(rule: RuleFact, survey: Survey, need: Footprint) -> str:
    later = str(rule).replace(f"pref {rule.priority} ", f"pref {need.priority + PRIORITIES} ", 1)
    lines = [f"{rule.command} add {later}", f"{rule.command} del {rule}"]
    if need.priority > rule.priority > PRIORITIES:
        return "\n".join([*lines, "# or " + _free_block(survey, need).removeprefix("# ")])
    return "\n".join([*lines, "# and in the configuration of the tool that made it"])


def _may_match(rule: RuleFact, need: Footprint) -> bool:
    """Could a packet of stage 1 match? Selectors that are not understood are ignored."""
    if rule.oif or rule.inverted:
        return False
    if rule.mark is not None and (rule.mark & (rule.mask or 0)):
        return False  # packets that come in have no mark yet
    if rule.iif is not None and rule.iif not in need.interfaces:
        return False
    if rule.source is None:
        return rule.iif is not None or rule.destination is not None
    source = ip_network(rule.source, strict=False)
    inside = [network for networks in need.networks.values() for network in networks]
    return any(source.overlaps(network) for network in inside)


def rule_behind(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Foreign rules behind the gateway's that match packets of inside hosts, but never see them."""
    for not_honoured in judge_rules(spec, Facts("", rules=survey.foreign_rules))[1] if spec is not None else ():
        rule = not_honoured.rule
        yield Finding(
            "warning", "rule-behind", f"{rule.command}: {rule}: {not_honoured.what}", f"# {not_honoured.todo}"
        )


def rule_protocol(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Foreign rules with the gateway's protocol number: an apply would delete them."""
    need = footprint(spec)
    for rule in survey.rules:
        is_own = need.own_priority(rule.priority) or rule.priority in (OWN_CONNECTED, OWN_DEFAULT)
        if rule.protocol == need.protocol and not is_own:
            yield Finding(
                "problem",
                "rule-protocol",
                f"{rule.command}: {rule}: has the gateway's protocol number {need.protocol}, but is a foreign rule: "
                "an apply would delete it",
                f"# in the spec: numbers: {{protocol: {_free_protocol(survey)}}}",
            )


def _free_protocol(survey: Survey) -> int:
    used = {rule.protocol for rule in survey.rules} | {route.protocol for route in survey.routes}
    return next(number for number in range(79, 186) if number not in used)
