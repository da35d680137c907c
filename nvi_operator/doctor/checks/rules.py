"""Foreign FIB rules: among the gateway's priorities, before them, or with its protocol number."""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.doctor.finding import Finding, Level
from nvi_operator.doctor.footprint import Footprint, footprint
from nvi_operator.doctor.survey import RuleFact, Survey
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.topology.facts import Facts, RouteTableFact
from nvi_operator.topology.foreign_rules import has_inside, judge_rules, taken_before
from nvi_operator.topology.numbers import KERNEL_TABLES, LOCAL, MAIN_PRIORITY, OWN_CONNECTED, OWN_DEFAULT, PRIORITIES


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
        if spec is not None and not has_inside(spec, rule.family):
            continue
        taken = taken_before(rule, _table(rule, survey), need.priority, need.networks, need.uplinks)
        if taken and not rule.l3mdev:
            level: Level = "problem" if taken.everything else "warning"
            yield Finding(level, "rule-before", f"{rule.command}: {rule}: {taken.what}", _behind(rule, survey, need))


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
