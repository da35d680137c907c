"""Other people's NAT."""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.doctor.finding import Finding
from nvi_operator.doctor.footprint import footprint
from nvi_operator.doctor.hooks import forwarded, received
from nvi_operator.doctor.ruleset import ListedChain, ListedRule
from nvi_operator.doctor.survey import Survey
from nvi_operator.doctor.walk import walk
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.wording import counted
from nvi_operator.topology.numbers import DSTNAT, SRCNAT

_TRANSLATES = ("snat", "dnat", "masquerade", "redirect")
_OURS = {"prerouting": DSTNAT, "postrouting": SRCNAT}


def nat_order(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Nat chains at our priority or before it, whose rules may take our packets first."""
    for chain in survey.ruleset.base_chains("prerouting", "postrouting", type_="nat"):
        ours = _OURS[chain.hook or ""]
        rules = _translating(survey, chain, spec) if chain.priority <= ours else []
        if rules:
            yield Finding(
                "warning",
                "nat-order",
                f"chain {chain.place} ({chain.hook}, priority {chain.priority}) comes before ours ({ours}): its rule "
                f"handle {rules[0].handle} of {rules[0].chain} may translate our packets first",
                f"# give that chain a priority above {ours}",
            )


def _translating(survey: Survey, chain: ListedChain, spec: GatewaySpec | None) -> list[ListedRule]:
    need = footprint(spec)
    packets = (
        received(chain, need, unknown=True) if chain.hook == "prerouting" else forwarded(chain, need, unknown=True)
    )
    # A source is translated with the first packet of a flow, and of those only ours from inside are told apart.
    first = chain.hook == "postrouting"
    rules = [
        rule
        for packet in packets
        if packet.stage == 1 and not (first and packet.ct_state == "established")
        for rule, _ in walk(survey.ruleset, chain, packet).met
        if rule.has(*_TRANSLATES)
    ]
    return list(dict.fromkeys(rules))


def foreign_nat(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Source NAT by others after ours: harmless, since a flow is translated once, and stage 2 never."""
    for chain in survey.ruleset.base_chains("postrouting", type_="nat"):
        rules = _translating(survey, chain, spec) if chain.priority > SRCNAT else []
        if rules:
            yield Finding(
                "ok",
                "foreign-nat",
                f"chain {chain.place} translates sources as well ({counted(len(rules), 'rule')}): only of flows "
                "that no line of the spec's sourceNat takes",
            )
