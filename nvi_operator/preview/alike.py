"""What a change leaves as it is, so that it need not be walked: the answers of flows that are opened as before.

Most edits are of the rules that translate, and these only the first packet of a flow meets.
"""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.explain.chains import table_of
from nvi_operator.explain.machine import Machine
from nvi_operator.explain.region import FIELDS
from nvi_operator.explain.space import Space, Term
from nvi_operator.explain.walk import Walk
from nvi_operator.nft.references import set_names
from nvi_operator.topology.model import Topology


def answers_alike(before: tuple[Topology, Machine], after: tuple[Topology, Machine]) -> bool:
    """Do the answers of equal flows fare alike on both sides? They do where the sides differ only in chains of type
    nat, and in sets that only these ask. False where that is not sure.
    """
    (old, was), (new, now) = before, after
    return (
        (old.uplinks, old.inside_interfaces) == (new.uplinks, new.inside_interfaces)
        and (was.interfaces, was.routes, was.rules, was.entries, was.tables, was.device)
        == (now.interfaces, now.routes, now.rules, now.entries, now.tables, now.device)
        and was.state.with_kind("nft-table", ()) == now.state.with_kind("nft-table", ())
        and set(_met_by_answers(was)) == set(_met_by_answers(now))
    )


def _met_by_answers(machine: Machine) -> Iterator[object]:
    """Of the table the chains, and the sets that they ask, which more than the first packet of a flow may meet."""
    table = table_of(machine)
    chains = [chain for chain in table.chains if chain.hook is None or chain.hook.type != "nat"]
    yield from chains
    asked = {name for chain in chains for name in set_names(chain.rules)}
    yield from (each for each in table.sets if each.name in asked)


def same_way(was: Walk, now: Walk) -> bool:
    """Were the packets led and translated alike, one by one, so that their flows are equal?

    Both walks are of one space. Never where the packets have no flow, or the kernel chooses.
    """
    one, other = was.tracked, now.tracked
    if one is None or other is None or was.chosen or now.chosen or was.verdict != now.verdict:
        return False
    if (one.direction, one.zone, one.mark, one.status, one.known, one.answered) != (
        (other.direction, other.zone, other.mark, other.status, other.known, other.answered)
    ):
        return False
    pairs = (
        (mine, theirs[name])
        for mine_of, theirs in (
            (was.terms, now.terms),
            (one.original, other.original),
            (one.translated, other.translated),
        )
        for name, mine in mine_of.items()
    )
    variables = {(mine.variable, theirs.variable): mine.offset == theirs.offset for mine, theirs in pairs}
    firsts, seconds = ({pair[side] for pair in variables} for side in (0, 1))
    one_to_one = len(firsts) == len(seconds) == len(variables)
    return one_to_one and all(variables.values()) and all(_same_values(now.space, *pair) for pair in variables)


def _same_values(space: Space, mine: str, theirs: str) -> bool:
    """Have both variables the same value in each packet, or are both chosen by the gateway out of the same values?"""
    if mine == theirs:
        return True
    if mine in FIELDS or theirs in FIELDS:
        return False
    if any(term.variable in (mine, theirs) for each in space.without for term in each.terms):
        return False
    rows = space.bundle_of(mine)
    if rows is not space.bundle_of(theirs):
        return False
    if rows is None:
        return space.values(Term(mine)) == space.values(Term(theirs))
    one, other = rows.columns[mine], rows.columns[theirs]
    return one.exact and other.exact and one.lows == other.lows
