"""Foreign NAT rules."""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.doctor.finding import Finding
from nvi_operator.doctor.footprint import footprint
from nvi_operator.doctor.hooks import seen_by
from nvi_operator.doctor.ruleset import ListedChain, ListedRule
from nvi_operator.doctor.survey import Survey
from nvi_operator.doctor.walk import walk
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.wording import counted
from nvi_operator.topology.numbers import DSTNAT, SRCNAT

_TRANSLATES = ("snat", "dnat", "masquerade", "redirect")
_PRIORITY = {"prerouting": DSTNAT, "postrouting": SRCNAT}


def nat_order(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Foreign nat chains at the gateway's priority or before it, whose rules may translate its packets first."""
    for chain in survey.ruleset.base_chains("prerouting", "postrouting", type_="nat"):
        own = _PRIORITY[chain.hook or ""]
        rules = _translating(survey, chain, spec) if chain.priority <= own else []
        if rules:
            yield Finding(
                "warning",
                "nat-order",
                f"chain {chain.place} ({chain.hook}, priority {chain.priority}) runs before the gateway's ({own}): "
                f"its rule handle {rules[0].handle} of {rules[0].chain} may translate packets first",
                f"# give that chain a priority above {own}",
            )


def _translating(survey: Survey, chain: ListedChain, spec: GatewaySpec | None) -> list[ListedRule]:
    need = footprint(spec)
    # A flow's source is translated with its first packet; only first packets from inside are the gateway's for sure.
    first = chain.hook == "postrouting"
    rules = [
        rule
        for packet in seen_by(chain, need, unknown=True)
        if packet.stage == 1 and not (first and packet.ct_state == "established")
        for rule, _ in walk(survey.ruleset, chain, packet).met
        if rule.has(*_TRANSLATES)
    ]
    return list(dict.fromkeys(rules))


def foreign_nat(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Foreign source NAT after the gateway's: harmless, since a flow is translated once, and stage 2 never."""
    for chain in survey.ruleset.base_chains("postrouting", type_="nat"):
        rules = _translating(survey, chain, spec) if chain.priority > SRCNAT else []
        if rules:
            yield Finding(
                "ok",
                "foreign-nat",
                f"chain {chain.place} translates sources ({counted(len(rules), 'rule')}), but only of flows that no "
                "sourceNat rule of the spec matches",
            )
