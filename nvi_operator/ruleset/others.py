"""Answers of flows that other tools translate, such as a container engine.

Its bridge is not in the spec, so packets of containers take one pass only. The kernel routes an answer before it
translates its source back: without these rules the answers of a published port leave by the default route of `main`,
whichever uplink was asked.

What containers ask of inside hosts their engine masquerades. The answers take one pass, too, in which conntrack knows
them: in stage 2 they would be packets with an inside source on their way to an interface that the spec does not name.
"""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.nft.ast import Assign, Chain, Hook, Lookup, Match, Rule, SetBits, SetRef, Verdict
from nvi_operator.ruleset import fields as f
from nvi_operator.ruleset import guard
from nvi_operator.ruleset.raw import unrelated_errors, uplink_maps
from nvi_operator.topology.model import Topology
from nvi_operator.topology.numbers import OTHERS, UPLINK_MASK, uplink_bits
from nvi_operator.topology.prefixes import fewest

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

    Twice NAT translates such sources as well; its far hosts may have the numbers of a bridge.
    """
    for family in topology.families:
        inside = topology.inside_networks(family)
        if not inside:
            continue
        asking = f.original_saddr(family)
        far = tuple(entry.far for entry in topology.twice if entry.far.version == family)
        yield (
            f.in_set(f.saddr(family), *guard.inside_set(topology, family)),
            f.in_set(asking, *guard.inside_set(topology, family), op="!="),
            *([f.in_networks(asking, fewest(far, family), op="!=")] if far else []),
            SetBits(f.META_MARK, topology.local_mask, UPLINK_MASK),
        )


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
