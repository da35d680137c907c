"""docs/architecture.md tells the numbers that are taken, and topology/numbers.py is the only place that has them."""

from __future__ import annotations

import ast
import re
from inspect import getmembers
from pathlib import Path

import pytest

from nvi_operator.topology import numbers
from nvi_operator.topology.numbers import (
    MAX_HONOURED_BEFORE_MAIN,
    MAX_HONOURED_BEHIND_MAIN,
    MAX_OWN_LAYERS,
    MAX_TENANTS,
    MAX_UPLINKS,
    PRIORITIES,
    TABLES,
    Priorities,
    own_table,
    tenant_table,
    uplink_bits,
    uplink_table,
)

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
FIXED = {name: at for name, at in getmembers(Priorities(0)) if isinstance(at, int) and name not in ("base",)}
# In the document "..." follows the first of several.
_SEVERAL = ("policy", "honoured", "honoured_behind", "uplinks_to_honoured", "uplinks_to_honoured_behind", "own")
FIRST = {getattr(Priorities(0), name)(0) for name in _SEVERAL}


def rows(title: str) -> list[list[str]]:
    table = TEXT.partition(title)[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_the_document_has_the_offset_of_every_rule() -> None:
    documented = [cells[0] for cells in rows("| offset | rule | for |")]
    single = {int(offset) for offset in documented if "..." not in offset}
    first = {int(offset.removesuffix("...").strip()) for offset in documented if "..." in offset}
    assert single == set(FIXED.values())
    assert first == FIRST


def test_no_two_rules_share_an_offset_and_what_may_be_several_has_room() -> None:
    assert len(set(FIXED.values())) == len(FIXED)
    at = Priorities(0)
    before_main, behind_main = range(MAX_HONOURED_BEFORE_MAIN), range(MAX_HONOURED_BEHIND_MAIN)
    honoured = {at.honoured(n) for n in before_main}
    behind = {at.honoured_behind(n) for n in behind_main}
    of_uplinks = [*map(at.uplinks_to_honoured, before_main), *map(at.uplinks_to_honoured_behind, behind_main)]
    own = {at.own(n) for n in range(MAX_OWN_LAYERS)}
    every = [*honoured, *behind, *own, *of_uplinks, *FIXED.values()]
    assert len(set(every)) == len(every)
    assert at.uplinks_past_others < of_uplinks[0] < at.uplinks_to_others < of_uplinks[-1] < at.steer_uplinks
    assert max(at.untranslated, at.own_bound) < min(own)
    assert max(own) < at.local_skips_backstop, "which those that are as before go to"
    assert max(honoured) < at.connected < min(behind)
    assert max({*FIXED.values(), *honoured, *behind} - {at.local_last_resort}) < PRIORITIES


def test_the_document_has_the_priority_of_every_chain() -> None:
    goldens = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests/golden").glob("*/*.nft"))
    form = r"chain (\w+) {\n\s+type \w+ hook (\w+) priority (-?\d+);"
    written = {(name, hook, priority) for name, hook, priority in re.findall(form, goldens)}
    documented = {
        (name, cells[1], cells[2])
        for cells in rows("| chain of `inet nvi` | hook | priority | does |")
        for name in re.findall(r"`(\w+)`", cells[0])
        if cells[1]
    }
    assert written
    assert written <= documented


def test_tables_of_uplinks_and_tenants_do_not_meet() -> None:
    uplinks = {uplink_table(7800, slot) for slot in range(1, MAX_UPLINKS + 1)}
    own = {own_table(7800, slot) for slot in range(1, MAX_UPLINKS + 1)}
    tenants = {tenant_table(7800, number) for number in range(1, MAX_TENANTS + 1)}
    assert len({7800, *uplinks, *own, *tenants}) == 1 + 2 * MAX_UPLINKS + MAX_TENANTS
    assert all(7800 <= table < 7800 + TABLES for table in uplinks | own | tenants)
    assert uplink_bits(MAX_UPLINKS) == numbers.UPLINK_MASK
    assert not numbers.UPLINK_MASK & numbers.TENANT_MASK
    assert not numbers.ORIGIN_MASK & numbers.TARGET_MASK


@pytest.mark.parametrize("number", [MAX_UPLINKS + 1, 0])
def test_an_uplink_without_a_number_has_no_bits(number: int) -> None:
    with pytest.raises(AssertionError):
        uplink_bits(number)


# Numbers that mean nothing else; each may stand in numbers.py only.
TELLING = {numbers.MAIN, numbers.MAIN_PRIORITY, numbers.UPLINK_MASK, -numbers.RAW, numbers.MARK_HOOK}


_NUMBER = re.compile(
    r"\b(?:0x_?[0-9a-f](?:_?[0-9a-f])*|0o_?[0-7](?:_?[0-7])*|0b_?[01](?:_?[01])*|[1-9](?:_?[0-9])*)\b", re.IGNORECASE
)


def _may_have_one(text: str) -> bool:
    """To look is quicker than to parse every file."""
    return any(int(number, 0) in TELLING for number in set(_NUMBER.findall(text)))


def test_no_other_file_has_numbers_of_its_own() -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in sorted((ROOT / "nvi_operator").rglob("*.py"))}
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.value}"
        for path, text in texts.items()
        if path.name not in ("numbers.py", "gateway.py") and _may_have_one(text)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and type(node.value) is int and node.value in TELLING
    ]
    assert found == []
