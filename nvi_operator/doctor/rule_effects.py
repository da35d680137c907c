"""For which rules of a ruleset it matters that every packet passes them, whatever packet it is. Pure.

Most rules are none of these, and of a base chain that leads to none nothing else has to be known.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nvi_operator.dataclass import dataclass
from nvi_operator.doctor.per_packet import PerPacketEffect, differs, effects, known_answer
from nvi_operator.doctor.remedies import tool_of
from nvi_operator.doctor.ruleset import ListedChain, ListedRule, Ruleset

LONG = 20  # seconds: twice the longest interval of the cache, for which a conntrack entry has to live
_IPTABLES = frozenset({"docker", "ufw", "iptables", "tailscale", "libvirt"})
_CACHED_STATES = ("established", "replied")  # of TCP and of UDP, in timeout policies


@dataclass(frozen=True, slots=True)
class Statement:
    """`known`, of a match: does it hold for every cached packet, or for none?"""

    kind: str
    body: Any
    known: bool | None
    effects: tuple[PerPacketEffect, ...]


class RuleEffects:
    """The effects of a ruleset's rules, each looked at once."""

    def __init__(self, ruleset: Ruleset) -> None:
        self._ruleset = ruleset
        self._rules: dict[ListedRule, tuple[Statement, ...]] = {}
        self._prepare = False
        self._leads: dict[tuple[str, str, str], bool] = {}
        self._iptables = {table for table in ruleset.tables if tool_of(ruleset, *table) in _IPTABLES}

    def of(self, rule: ListedRule) -> tuple[Statement, ...]:
        found = self._rules.get(rule)
        if found is None:
            found = self._rules[rule] = tuple(self._statements(rule))
        return found

    @property
    def prepare(self) -> bool:
        """Has any rule that was looked at an effect on later packets of a flow?"""
        return self._prepare

    def lead(self, chain: ListedChain) -> bool:
        """Has this chain, or one that it jumps to, a rule with an effect?"""
        key = (chain.family, chain.table, chain.name)
        if key not in self._leads:
            self._leads[key] = False
            targets = (t for rule in chain.rules for t in self._targets(rule))
            self._leads[key] = any(
                [self._has_any(rule) for rule in chain.rules] + [self.lead(target) for target in targets]
            )
        return self._leads[key]

    def _targets(self, rule: ListedRule) -> Iterator[ListedChain]:
        for statement in rule.statements:
            for kind, body in statement.items():
                verdicts = self._elements(rule, body) if kind == "vmap" else [(None, statement)]
                for _, verdict in verdicts:
                    name = (verdict.get("jump") or verdict.get("goto") or {}).get("target")
                    target = self._ruleset.target(rule, name) if name else None
                    if target is not None:
                        yield target

    def _elements(self, rule: ListedRule, body: Any) -> Any:
        data = body["data"]
        return data["set"] if isinstance(data, dict) else self._ruleset.verdicts(rule, data.removeprefix("@")) or ()

    def _has_any(self, rule: ListedRule) -> bool:
        found = [effect for statement in self.of(rule) for effect in statement.effects]
        self._prepare = self._prepare or any(effect.use == "prepares" for effect in found)
        return bool(found)

    def _statements(self, rule: ListedRule) -> Iterator[Statement]:
        for statement in rule.statements:
            for kind, body in statement.items():
                known = known_answer(body) if kind == "match" else None
                yield Statement(kind, body, known, tuple(self._effects(rule, kind, body, known)))

    def _effects(self, rule: ListedRule, kind: str, body: Any, known: bool | None) -> Iterator[PerPacketEffect]:
        if kind != "match":
            yield from (each for each in effects(kind, body) if self._matters(rule, kind, body))
        elif known is None and (found := differs(body["left"]) or differs(body["right"])):
            yield found
        if self._ruleset.set_statements and kind in ("match", "vmap", "mangle"):
            for name in self._set_statements(rule, body):
                yield from effects(name, None)

    def _matters(self, rule: ListedRule, kind: str, body: Any) -> bool:
        if kind == "counter":
            # iptables gives every rule a counter; it is asked for where the rule has nothing else to do.
            return (rule.family, rule.table) not in self._iptables or all(
                set(statement) <= {"match", "counter", "xt"} for statement in rule.statements
            )
        if kind == "ct timeout" and isinstance(body, str):
            policy = self._ruleset.timeouts.get((rule.family, rule.table, body), {})
            return not policy or any(policy.get(state, LONG) < LONG for state in _CACHED_STATES)
        return True

    def _set_statements(self, rule: ListedRule, body: Any) -> Iterator[str]:
        """The statements in named sets and maps that an expression asks."""
        if isinstance(body, str) and body.startswith("@"):
            yield from self._ruleset.set_statements.get((rule.family, rule.table, body[1:]), ())
        elif isinstance(body, dict):
            for value in body.values():
                yield from self._set_statements(rule, value)
        elif isinstance(body, list):
            for value in body:
                yield from self._set_statements(rule, value)
