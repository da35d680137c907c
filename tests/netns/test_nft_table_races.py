"""The driver of the table when it is killed half-way, and when other processes change nftables at the same moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from nvi_operator.errors import ConcurrentChangeError
from nvi_operator.nft.ast import (
    Table,
)
from nvi_operator.testing import Killed
from tests.netns.nft_place import Place, table

pytestmark = pytest.mark.netns


def killed() -> None:
    raise Killed


# --------------------------------------------------------------------------- killed in between


@pytest.mark.parametrize(
    ("texts", "sends"),
    [([killed], []), ([], [killed]), ([lambda: None, killed], [])],
    ids=["before-the-map", "before-its-elements", "before-the-rules"],
)
def test_killed_anywhere_in_a_large_first_apply_no_rule_asks_a_map_that_is_not_full(
    place: Place, texts: list[Callable[[], Any]], sends: list[Callable[[], Any]]
) -> None:
    place.before_text, place.before_elements = list(texts), list(sends)
    with pytest.raises(Killed):
        place.apply(table(5000))
    live = place.look()
    assert live is None or not live.chains
    place.apply(table(5000))
    assert place.look() == table(5000)


# --------------------------------------------------------------------------- another process at the same time

ELSEWHERE = "add table ip theirs"
HERE = "add element inet nvi m { 198.51.100.1 : 10.9.9.9 }"


@pytest.mark.parametrize("after", [table(4), table(4, counters=["n"])], ids=["elements", "text"])
def test_a_change_elsewhere_does_not_disturb(place: Place, after: Table) -> None:
    place.apply(table(3))
    before = place.look()
    place.nft(ELSEWHERE)()
    place.apply(after, seen=before)
    assert place.look() == after


@pytest.mark.parametrize("after", [table(4), table(4, counters=["n"])], ids=["elements", "text"])
def test_a_change_of_our_table_since_it_was_seen_is_never_overwritten_unseen(place: Place, after: Table) -> None:
    place.apply(table(3))
    before = place.look()
    place.nft(HERE)()
    changed = place.look()
    with pytest.raises(ConcurrentChangeError):
        place.apply(after, seen=before)
    assert place.look() == changed


def test_elements_that_others_change_at_the_very_moment_are_never_overwritten_unseen(place: Place) -> None:
    place.apply(table(3))
    place.before_elements = [place.nft(ELSEWHERE)]
    place.apply(table(4))
    assert place.look() == table(4)
    place.before_elements = [place.nft(HERE)]
    with pytest.raises(ConcurrentChangeError):
        place.apply(table(5))
    live = place.look()
    assert live
    assert {len(s.elements) for s in live.sets if s.name == "m"} == {5}


def test_text_that_others_change_at_the_very_moment_is_looked_at_again(place: Place) -> None:
    """libnftables cannot carry the generation: what came in the last moment is found out right after."""
    place.apply(table(3))
    place.before_text = [place.nft(ELSEWHERE)]
    place.apply(table(3, counters=["n"]))
    assert place.look() == table(3, counters=["n"])
    place.before_text = [place.nft(HERE)]
    with pytest.raises(ConcurrentChangeError):
        place.apply(replace(table(3), counters=frozenset({"n", "k"})))
    place.apply(table(3))
    assert place.look() == table(3)
