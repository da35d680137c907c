"""Rules that hand packets to a program, such as an intrusion prevention, in stage 2."""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.doctor.finding import Finding
from nvi_operator.doctor.footprint import footprint
from nvi_operator.doctor.hooks import seen_by
from nvi_operator.doctor.remedies import spare_command
from nvi_operator.doctor.ruleset import ListedRule
from nvi_operator.doctor.survey import Survey
from nvi_operator.doctor.walk import walk
from nvi_operator.language.model.gateway import GatewaySpec


def queue(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Whatever reads whole connections sees half of one in stage 2, or each packet twice.

    What goes out is translated there, and what comes in is not. Source: a run of Suricata 8.0.7.
    """
    need = footprint(spec)
    stages: dict[ListedRule, set[int]] = {}
    for chain in survey.ruleset.base_chains("prerouting", "forward", "postrouting"):
        for packet in seen_by(chain, need):
            for ending in walk(survey.ruleset, chain, packet).endings:
                if ending.rule is not None and _queues(ending.rule):
                    stages.setdefault(ending.rule, set()).add(packet.stage)
    for rule, found in stages.items():
        if 2 in found:
            seen = "each packet twice" if 1 in found else "one direction of a connection translated"
            yield Finding(
                "problem",
                "queue",
                f"rule {rule.place} queues packets in stage 2 as well: an intrusion prevention sees {seen}, and "
                "drops what it takes for broken connections",
                spare_command(survey.ruleset, rule, need),
            )


def _queues(rule: ListedRule) -> bool:
    """By `queue`, or the target of iptables."""
    return rule.has("queue") or any(isinstance(b, dict) and b.get("name") == "NFQUEUE" for b in rule.bodies("xt"))
