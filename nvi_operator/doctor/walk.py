"""Where a packet may end in a base chain, and which rules it may meet before. Pure.

Exact where the rules are understood. Where they are not, every possible path is followed, so a drop is certain only
if every path ends in one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from nvi_operator.dataclass import dataclass
from nvi_operator.doctor.packet import Answer, PartialPacket, element_matches, matches
from nvi_operator.doctor.ruleset import ListedChain, ListedRule, Ruleset

End = Literal["accept", "drop", "unknown"]
# Targets of iptables extensions after which a packet continues, by the names that newer versions of nft print.
_PASSING = frozenset(
    [
        "MARK",
        "CONNMARK",
        "LOG",
        "NFLOG",
        "TCPMSS",
        "CHECKSUM",
        "CLASSIFY",
        "DSCP",
        "TOS",
        "TTL",
        "HL",
        "SET",
        "SECMARK",
        "CONNSECMARK",
        "TRACE",
        "CT",
        "NOTRACK",
        "AUDIT",
        "RATEEST",
        "TEE",
        "IDLETIMER",
        "LED",
    ]
)

VERDICTS = frozenset(
    ["accept", "drop", "reject", "jump", "goto", "return", "continue", "queue", "snat", "dnat", "masquerade",
     "redirect", "tproxy", "synproxy"]
)  # fmt: skip


@dataclass(frozen=True)
class Ending:
    """How the packet may end, and by which rule. None: by the policy of the base chain."""

    end: End
    rule: ListedRule | None


@dataclass(frozen=True)
class RulesetWalk:
    """`met` has the rules whose matches may hold, and whether they certainly do."""

    endings: tuple[Ending, ...]
    met: tuple[tuple[ListedRule, bool], ...]

    @property
    def dropped(self) -> bool:
        """Does every path end in a drop?"""
        return bool(self.endings) and all(ending.end == "drop" for ending in self.endings)

    @property
    def unreadable(self) -> tuple[ListedRule, ...]:
        """Rules with iptables extensions, if only these could save the packet from being dropped; otherwise ()."""
        escapes = [ending.rule for ending in self.endings if ending.end != "drop"]
        if len(escapes) == len(self.endings) or not all(rule is not None and rule.has("xt") for rule in escapes):
            return ()
        return tuple(dict.fromkeys(rule for rule in escapes if rule is not None))


def walk(ruleset: Ruleset, base: ListedChain, packet: PartialPacket) -> RulesetWalk:
    walker = _Walker(ruleset, packet)
    if walker.run(base, certain=True):
        walker.endings.append(Ending("drop" if base.policy == "drop" else "accept", None))
    return RulesetWalk(tuple(walker.endings), tuple(walker.met.items()))


class _Walker:
    def __init__(self, ruleset: Ruleset, packet: PartialPacket) -> None:
        self.ruleset = ruleset
        self.packet = packet
        self.endings: list[Ending] = []
        self.met: dict[ListedRule, bool] = {}
        self._returns: dict[str, bool] = {}

    def run(self, chain: ListedChain, *, certain: bool) -> bool:
        """May the packet come out at the end of the chain, or return from it?"""
        returns = False
        for rule in chain.rules:
            answer = matches(rule, self.packet)
            if answer is False:
                continue
            self.met[rule] = self.met.get(rule, False) or (certain and bool(answer))
            before = len(self.endings)
            continues, came_back = self._rule(rule, answer, certain=certain)
            returns = returns or came_back
            if not continues:
                return returns
            certain = certain and not came_back and len(self.endings) == before
        return True

    def _rule(self, rule: ListedRule, answer: Answer, *, certain: bool) -> tuple[bool, bool]:
        """may the packet continue with the next rule, and may it have returned from the chain here?"""
        continues, returns = answer is None, False
        ended = False
        native = rule.has(*VERDICTS)
        for statement in rule.statements:
            for kind, body in statement.items():
                if kind == "vmap":
                    ended = True
                    for verdict, certainly in self._vmap(rule, body):
                        on, back = self._verdict(rule, verdict, certain=certain and certainly)
                        continues, returns = continues or on, returns or back
                elif kind in VERDICTS or (kind == "xt" and not native and is_opaque_end(body)):
                    ended = True
                    on, back = self._verdict(rule, statement, certain=certain and bool(answer))
                    continues, returns = continues or on, returns or back
        return continues or not ended, returns

    def _vmap(self, rule: ListedRule, body: Any) -> Iterator[tuple[Any, bool]]:
        data = body["data"]
        elements = data["set"] if isinstance(data, dict) else self.ruleset.verdicts(rule, str(data).removeprefix("@"))
        if elements is None:
            yield {"unknown": None}, False
            yield {"continue": None}, False
            return
        for key, verdict in elements:
            answer = element_matches(body["key"], key, self.packet)
            if answer is not False:
                yield verdict, bool(answer)
            if answer is True:
                return
        yield {"continue": None}, False

    def _verdict(self, rule: ListedRule, statement: Any, *, certain: bool) -> tuple[bool, bool]:
        """The same pair as of `_rule`: (may continue, may return)."""
        ((kind, body),) = statement.items()
        if kind in ("jump", "goto"):
            target = self.ruleset.target(rule, body["target"])
            back = True if target is None else self._enter(target, certain=certain)
            return (back, False) if kind == "jump" else (False, back)
        if kind in ("continue", "return"):
            return kind == "continue", kind == "return"
        if kind == "xt":
            name = body.get("name") if isinstance(body, dict) else None
            if name == "REJECT":
                self.endings.append(Ending("drop", rule))
                return False, False
            self.endings.append(Ending("unknown", rule))
            return True, False
        end: End = "drop" if kind in ("drop", "reject") else "unknown" if kind in ("unknown", "queue") else "accept"
        self.endings.append(Ending(end, rule))
        return False, False

    def _enter(self, chain: ListedChain, *, certain: bool) -> bool:
        if chain.name not in self._returns:
            self._returns[chain.name] = self.run(chain, certain=certain)
        return self._returns[chain.name]


def is_opaque_end(body: Any) -> bool:
    """Is this an iptables expression at which a packet may end? nft 1.0.6 prints `null` for all of them."""
    if not isinstance(body, dict):
        return True
    return body.get("type") == "target" and body.get("name") not in _PASSING
