"""Which effects of a base chain meet a packet that may get through the chain. Pure.

What only meets packets that are dropped afterwards is no matter to a flow cache: such a flow is never cached. Where a
match is not understood both ways are followed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nvi_operator.dataclass import dataclass
from nvi_operator.doctor.packet import Answer, PartialPacket, element_matches, holds
from nvi_operator.doctor.per_packet import PerPacketEffect, known_answer
from nvi_operator.doctor.rule_effects import RuleEffects
from nvi_operator.doctor.ruleset import ListedChain, ListedRule, Ruleset
from nvi_operator.doctor.walk import VERDICTS, is_opaque_end

_ACCEPT: dict[str, Any] = {"accept": None}
_DROP: dict[str, Any] = {"drop": None}
_CONTINUE: dict[str, Any] = {"continue": None}


@dataclass(frozen=True)
class RuleOutcome:
    """What one rule does to a packet: its effects, the verdicts that may follow, and whether any certainly does."""

    rule: ListedRule
    effects: tuple[PerPacketEffect, ...] = ()
    verdicts: tuple[Any, ...] = ()  # none: the packet continues with the next rule
    certain: bool = False


class Effects:
    """The effects that one packet meets on its way through base chains."""

    def __init__(self, ruleset: Ruleset, rules: RuleEffects, packet: PartialPacket) -> None:
        self._ruleset = ruleset
        self._rules = rules
        self._packet = packet
        self._steps: dict[str, tuple[RuleOutcome, ...]] = {}
        self._survives: dict[tuple[str, bool], bool] = {}
        self._returns: dict[str, bool] = {}
        self._found: dict[tuple[ListedRule, PerPacketEffect], None] = {}

    def of(self, base: ListedChain) -> Iterator[tuple[ListedRule, PerPacketEffect]]:
        """The effects with the rules that they are in, each once."""
        self._walk(base, base.policy != "drop")
        yield from self._found

    def _walk(self, chain: ListedChain, after: bool) -> bool:
        """May the packet get through the chain, if it does so from its end or not (`after`)?"""
        key = (chain.name, after)
        if key not in self._survives:
            self._survives[key] = True
            self._survives[key] = self._backwards(chain, after)
        return self._survives[key]

    def _backwards(self, chain: ListedChain, after: bool) -> bool:
        survives = after
        for step in reversed(self._reached(chain)):
            through = survives
            if step.verdicts:
                through = True in [self._verdict(step.rule, verdict, survives, after) for verdict in step.verdicts]
            past = survives and not step.certain
            for effect in step.effects:
                if effect.use == "prepares" or through or (effect.use == "decides" and survives):
                    self._found[step.rule, effect] = None
            survives = through or past
        return survives

    def _reached(self, chain: ListedChain) -> tuple[RuleOutcome, ...]:
        """The rules that the packet may meet in this chain, up to the one that it cannot pass."""
        if chain.name not in self._steps:
            steps = []
            for rule in chain.rules:
                step = self._step(rule)
                if step is None:
                    continue
                steps.append(step)
                if self._ends(step):
                    break
            self._steps[chain.name] = tuple(steps)
        return self._steps[chain.name]

    def _ends(self, step: RuleOutcome) -> bool:
        """Does no packet come to the next rule?"""
        return step.certain and bool(step.verdicts) and not any(self._goes_on(step.rule, v) for v in step.verdicts)

    def _goes_on(self, rule: ListedRule, verdict: Any) -> bool:
        ((kind, body),) = verdict.items()
        if kind == "jump":
            target = self._ruleset.target(rule, body["target"])
            return target is None or self._comes_back(target)
        return bool(kind == "continue")

    def _comes_back(self, chain: ListedChain) -> bool:
        if chain.name not in self._returns:
            self._returns[chain.name] = True
            self._returns[chain.name] = self._look_for_way_back(chain)
        return self._returns[chain.name]

    def _look_for_way_back(self, chain: ListedChain) -> bool:
        steps = self._reached(chain)
        for step in steps:
            for verdict in step.verdicts:
                ((kind, body),) = verdict.items()
                target = self._ruleset.target(step.rule, body["target"]) if kind == "goto" else None
                if kind == "return" or (kind == "goto" and (target is None or self._comes_back(target))):
                    return True
        last = steps[-1] if steps else None
        return (
            last is None or not last.certain or any(self._goes_on(last.rule, v) for v in last.verdicts or [_CONTINUE])
        )

    def _verdict(self, rule: ListedRule, verdict: Any, following: bool, after: bool) -> bool:
        """May the packet get through, after this verdict? `following`: if it continues with the next rule."""
        ((kind, body),) = verdict.items()
        if kind in ("jump", "goto"):
            target = self._ruleset.target(rule, body["target"])
            back = following if kind == "jump" else after
            return True if target is None else self._walk(target, back)
        if kind == "return":
            return after
        return following if kind == "continue" else kind not in ("drop", "reject")

    def _step(self, rule: ListedRule) -> RuleOutcome | None:
        """None: the rule does nothing to this packet."""
        answer: Answer = True
        met: list[PerPacketEffect] = []
        verdicts: list[Any] = []
        for statement in self._rules.of(rule):
            kind, body = statement.kind, statement.body
            if kind == "match":
                this = statement.known is not False and holds(body, self._packet)
                if this is False:
                    break
                answer = answer if this or statement.known else None
            elif kind == "vmap":
                verdicts += self._vmap(rule, body)
            elif kind in VERDICTS:
                verdicts.append({kind: body})
            elif kind == "xt":
                if not isinstance(body, dict) or body.get("type") != "target":
                    answer = None
                if not rule.has(*VERDICTS):
                    verdicts += _of_target(body)
            if statement.effects:
                met += statement.effects
                if any(effect.use == "decides" for effect in statement.effects):
                    answer = None
        return RuleOutcome(rule, tuple(met), tuple(verdicts), answer is True) if met or verdicts else None

    def _vmap(self, rule: ListedRule, body: Any) -> Iterator[Any]:
        data = body["data"]
        elements = (
            data["set"] if isinstance(data, dict) else self._ruleset.verdicts(rule, str(data).removeprefix("@"))
        )
        if elements is None:
            yield from (_ACCEPT, _CONTINUE)
            return
        for key, verdict in elements:
            if known_answer({"op": "==", "left": body["key"], "right": key}) is False:
                continue
            answer = element_matches(body["key"], key, self._packet)
            if answer is not False:
                yield verdict
            if answer is True:
                return
        yield _CONTINUE


def _of_target(body: Any) -> tuple[Any, ...]:
    """What an extension of iptables may end in."""
    if not is_opaque_end(body):
        return ()
    name = body.get("name") if isinstance(body, dict) else None
    return (_DROP,) if name in ("REJECT", "DROP") else (_ACCEPT, _CONTINUE)
