"""Answers of flows that other tools translate, such as a container engine that publishes a port on every address.

Its bridge is not in the spec, so packets of containers take one pass only. The kernel routes an answer before it
translates its source back: without these rules answers leave by the default route of `main`, whichever uplink was
asked.
"""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.nft.ast import Assign, Chain, Hook, Lookup, Match, Rule, SetBits, SetRef, Verdict
from nvi_operator.ruleset import fields as f
from nvi_operator.ruleset.raw import unrelated_errors, uplink_maps
from nvi_operator.topology.model import Topology
from nvi_operator.topology.numbers import OTHERS, UPLINK_MASK, uplink_bits

_ANSWERS, _ERRORS = "others_answers", "unrelated_errors"


def others_chains(topology: Topology) -> Iterator[Chain]:
    """A mark for the uplink that was asked; kinds/fib_rule/stage_2.py has the rules that read it."""
    if not topology.uplinks:
        return
    known = ("lo", *(interface.ifname for interface in topology.interfaces))
    # Every packet meets this chain in each pass, and most packets are neither: they leave it early.
    asks, answers = (Match(f.CT_DIRECTION, "==", direction) for direction in ("original", "reply"))
    rules: list[Rule] = [
        (f.is_stage_2(topology), f.RETURN),
        (asks, f.RETURN),
        (Match(f.CT_STATUS, "not in", frozenset({"dnat"})), f.RETURN),
        (answers, f.one_of(f.IIFNAME, known, op="!="), Verdict("jump", _ANSWERS)),
    ]
    errors = tuple(unrelated_errors(topology))
    if errors:
        of_no_flow = Match(f.CT_STATE, "in", frozenset({"invalid", "untracked"}))
        rules.append((of_no_flow, Verdict("jump", _ERRORS)))
        yield Chain(_ERRORS, None, errors)
    yield Chain("others", Hook("filter", "prerouting", OTHERS), tuple(rules))
    yield Chain(_ANSWERS, None, tuple(_by_asked(topology)))


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
