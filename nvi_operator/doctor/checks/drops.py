"""Foreign rules that drop the gateway's packets. An accept in one table cannot override a drop in another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from nvi_operator.dataclass import dataclass
from nvi_operator.doctor.finding import Finding
from nvi_operator.doctor.footprint import Footprint, footprint
from nvi_operator.doctor.hooks import seen_by
from nvi_operator.doctor.packet import PartialPacket
from nvi_operator.doctor.remedies import accept_commands, tool_of
from nvi_operator.doctor.ruleset import ListedChain, ListedRule
from nvi_operator.doctor.survey import Survey
from nvi_operator.doctor.walk import walk
from nvi_operator.language.model.gateway import GatewaySpec


@dataclass(frozen=True)
class Drop:
    """Packets that a base chain drops, by `rules` or, if these are empty, by its policy.

    `unless` are rules that nft cannot show and that alone could accept them.
    """

    chain: ListedChain
    rules: tuple[ListedRule, ...]
    packets: tuple[PartialPacket, ...]
    unless: tuple[ListedRule, ...] = ()

    @property
    def stages(self) -> set[int]:
        return {packet.stage for packet in self.packets}


def _drops(survey: Survey, need: Footprint) -> Iterator[Drop]:
    for chain in survey.ruleset.base_chains("prerouting", "forward", "postrouting"):
        by_rules: dict[tuple[tuple[ListedRule, ...], tuple[ListedRule, ...]], list[PartialPacket]] = {}
        for packet in seen_by(chain, need):
            way = walk(survey.ruleset, chain, packet)
            if way.dropped or way.unreadable:
                by = tuple(dict.fromkeys(o.rule for o in way.endings if o.rule is not None and o.end == "drop"))
                by_rules.setdefault((by, way.unreadable), []).append(packet)
        for (by, unless), packets in by_rules.items():
            yield Drop(chain, by, tuple(packets), unless)


def _topic(drop: Drop) -> str:
    for rule in drop.rules:
        for body in rule.bodies("match"):
            if isinstance(body["left"], dict) and body["left"].get("fib", {}).get("result") == "oif":
                return "reverse-path-drop"
        if _names_untracked(rule) and drop.stages == {2}:
            return "untracked-drop"
    return "forward-drop"


def _names_untracked(rule: ListedRule) -> bool:
    for body in rule.bodies("match"):
        if isinstance(body["left"], dict) and body["left"].get("ct", {}).get("key") == "state":
            right = body["right"]
            states = right.get("set", []) if isinstance(right, dict) else right
            return "untracked" in (states if isinstance(states, list) else [states])
    return any(
        key == "untracked" and "drop" in verdict
        for body in rule.bodies("vmap")
        if isinstance(body["data"], dict)
        for key, verdict in body["data"]["set"]
    )


def _by_chain(drops: Iterable[Drop]) -> list[Drop]:
    """One drop for each chain; certain if any of its drops is."""
    merged: dict[str, Drop] = {}
    for drop in drops:
        old = merged.get(drop.chain.place, replace(drop, rules=(), packets=()))
        merged[drop.chain.place] = Drop(
            drop.chain,
            tuple(dict.fromkeys((*old.rules, *drop.rules))),
            old.packets + drop.packets,
            tuple(dict.fromkeys((*old.unless, *drop.unless))) if old.unless and drop.unless else (),
        )
    return list(merged.values())


def _of_topic(topic: str, survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    need = footprint(spec)
    for drop in _by_chain(d for d in _drops(survey, need) if _topic(d) == topic):
        by = _named(drop.rules) or "its policy"
        unless = f", unless {_named(drop.unless)} accepts them, which nft cannot show" if drop.unless else ""
        yield Finding(
            "warning" if drop.unless else "problem",
            topic,
            f"chain {drop.chain.place} ({drop.chain.hook}, {tool_of(survey.ruleset, *_table(drop.chain))}) drops "
            f"{_whom(drop)}, by {by}{unless}",
            _todo(topic, survey, drop, need),
        )


def _named(rules: tuple[ListedRule, ...]) -> str:
    return "; ".join(f"rule handle {rule.handle} of {rule.chain}" for rule in rules)


def _table(chain: ListedChain) -> tuple[str, str]:
    return chain.family, chain.table


def _whom(drop: Drop) -> str:
    parts: list[str] = []
    for stage, name in ((1, "stage 1 (into the device)"), (2, "stage 2 (untracked)")):
        labels = list(dict.fromkeys(p.label for p in drop.packets if p.stage == stage))
        if labels:
            shown = ", ".join(labels[:4]) + (f" and {len(labels) - 4} more" if len(labels) > 4 else "")
            parts.append(f"{name}: {shown}")
    return "; ".join(parts)


def _todo(topic: str, survey: Survey, drop: Drop, need: Footprint) -> str:
    if topic == "reverse-path-drop" and drop.chain.table == "firewalld":
        return (
            "sed -i 's/^#*IPv6_rpfilter=.*/IPv6_rpfilter=no/' /etc/firewalld/firewalld.conf"
            " && firewall-cmd --reload\n"
            "# guards.antiSpoof: strict in the spec does the same, and allows for both stages"
        )
    return accept_commands(survey.ruleset, drop.chain, need, drop.stages)


def forward_drop(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Base chains that drop what no rule accepts, by policy or by a last rule."""
    yield from _of_topic("forward-drop", survey, spec)


def untracked_drop(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Rules that drop `ct state untracked`: all of stage 2."""
    yield from _of_topic("untracked-drop", survey, spec)


def reverse_path_drop(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Strict reverse-path filters in nft, such as firewalld's IPv6_rpfilter."""
    yield from _of_topic("reverse-path-drop", survey, spec)
