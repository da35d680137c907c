"""Answers of flows that other tools translate, such as a container engine.

Its bridge is not in the spec, so packets of containers take one pass only. The kernel routes an answer before it
translates its source back: without these rules the answers of a published port leave by the default route of `main`,
whichever uplink was asked.

What containers ask of inside hosts their engine masquerades. The answers take one pass as well, in which conntrack
knows them: in stage 2 they would be packets with an inside source on their way to an interface that the spec does not
name.
"""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.language.model.values import Family, Network, within
from nvi_operator.nft.ast import Assign, Chain, Hook, Lookup, Match, Rule, SetBits, SetRef, Verdict
from nvi_operator.ruleset import fields as f
from nvi_operator.ruleset import guard
from nvi_operator.ruleset.raw import unrelated_errors, uplink_maps
from nvi_operator.topology.model import Topology
from nvi_operator.topology.numbers import OTHERS, UPLINK_MASK, uplink_bits
from nvi_operator.topology.prefixes import fewest
from nvi_operator.topology.rules import Unchanged

_ANSWERS, _TRANSLATED, _ERRORS = "others_answers", "others_asked", "unrelated_errors"


def others_chains(topology: Topology) -> Iterator[Chain]:
    """A mark for the uplink that was asked; kinds/fib_rule/stage_2.py has the rules that read it."""
    if not topology.uplinks:
        return
    known = ("lo", *(interface.ifname for interface in topology.interfaces))
    # Every packet meets this chain in each pass, and most packets are neither: they leave it early.
    asked = (f.is_snated(), *f.not_from_uplinks(topology))
    asks, answers = (Match(f.CT_DIRECTION, "==", direction) for direction in ("original", "reply"))
    rules: list[Rule] = [
        (f.is_stage_2(topology), f.RETURN),
        (asks, f.RETURN),
        (*asked, Verdict("jump", _TRANSLATED)),
        (Match(f.CT_STATUS, "not in", frozenset({"dnat"})), f.RETURN),
        (answers, f.one_of(f.IIFNAME, known, op="!="), Verdict("jump", _ANSWERS)),
    ]
    errors = tuple(unrelated_errors(topology))
    if errors:
        of_no_flow = Match(f.CT_STATE, "in", frozenset({"invalid", "untracked"}))
        rules.append((of_no_flow, Verdict("jump", _ERRORS)))
        yield Chain(_ERRORS, None, errors)
    yield Chain("others", Hook("filter", "prerouting", OTHERS), tuple(rules))
    yield Chain(_TRANSLATED, None, tuple(_to_who_asked(topology)))
    yield Chain(_ANSWERS, None, tuple(_by_asked(topology)))


def _to_who_asked(topology: Topology) -> Iterator[Rule]:
    """The local bit without an uplink: of answers that inside hosts give to sources from elsewhere, translated here.

    Not where the spec translates such sources itself: what comes in by an uplink may claim one that is behind an
    interface that the spec does not name, and the answer would leave by it untranslated.
    """
    for family in topology.families:
        inside = topology.inside_networks(family)
        if not inside:
            continue
        asking, answering = f.original_saddr(family), f.saddr(family)
        from_inside = f.in_set(answering, *guard.inside_set(topology, family))
        for sources, destinations in _translated_by_spec(topology, family, inside):
            yield (from_inside, *f.among(asking, sources), *f.among(answering, destinations), f.RETURN)
        yield (
            from_inside,
            f.in_set(asking, *guard.inside_set(topology, family), op="!="),
            SetBits(f.META_MARK, topology.local_mask, UPLINK_MASK),
        )


def _translated_by_spec(
    topology: Topology, family: Family, inside: tuple[Network, ...]
) -> Iterator[tuple[tuple[Network, ...], tuple[Network, ...]]]:
    """Sources from elsewhere that the spec translates, and the inside hosts that they ask; no network stands for all.

    By networks only: an answer may have another port, and nothing of what only the first packet had.
    """
    far = fewest((entry.far for entry in topology.twice), family)
    if far:
        yield far, ()
    for rule in topology.source_rules:
        sources, destinations = rule.conditions.sources, rule.conditions.destinations
        elsewhere = not sources or not all(any(within(n, i) for i in inside) for n in sources)
        if rule.conditions.family == family and elsewhere and not isinstance(rule.action, Unchanged):
            yield sources, destinations


def _by_asked(topology: Topology) -> Iterator[Rule]:
    for family in topology.families:
        asked = f.original_daddr(family)
        for named in uplink_maps(topology, family):
            found = Assign(f.META_MARK, Lookup(asked, SetRef(named.name)))
            yield (found, SetBits(f.META_MARK, topology.local_mask, topology.stage_mask), f.RETURN)
        if topology.by_source_map:
            continue
        for uplink in topology.uplinks:
            networks = uplink.sources(family)
            if networks:
                mark = topology.local_mask | uplink_bits(uplink.slot)
                yield (f.in_networks(asked, networks), SetBits(f.META_MARK, mark, UPLINK_MASK & ~mark))
