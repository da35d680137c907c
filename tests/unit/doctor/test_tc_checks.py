"""Checks of what tc runs on the way of packets, on surveys made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from nvi_operator.doctor.survey import FilterFact
from tests.unit.doctor.surveys import found, levels, spec, survey


def filters(ifname: str, place: Any, *verdicts: int | None, own: bool = False) -> tuple[FilterFact, ...]:
    """One after the other, each with one verdict."""
    return tuple(
        FilterFact(ifname, place, pref, "flower", own, frozenset({each})) for pref, each in enumerate(verdicts, 1)
    )


@pytest.mark.parametrize(
    ("topic", "found_there", "expected"),
    [
        pytest.param("tc-filter", filters("wan0", "ingress", 0), ["warning"], id="action ok"),
        pytest.param("tc-filter", filters("wan0", "ingress", 1), ["warning"], id="reclassify"),
        pytest.param("tc-filter", filters("wan0", "ingress", None), ["warning"], id="a program"),
        pytest.param("tc-filter", filters("wan0", "ingress", -1, 2, 4), [], id="passes nothing on"),
        pytest.param(
            "tc-filter",
            (*filters("wan0", "ingress", 0, 0), *filters("nvi0", "egress", 0)),
            ["warning", "warning"],
            id="one for each place",
        ),
        pytest.param(
            "tc-filter",
            (*filters("nvi0", "egress", None, own=True), *filters("nvi0", "egress", 0)),
            [],
            id="behind the device's program",
        ),
        pytest.param(
            "egress-guard",
            (*filters("wan0", "egress", 0, -1), *filters("wan0", "egress", None, own=True)),
            ["warning"],
            id="ends before the guard",
        ),
        pytest.param(
            "egress-guard",
            (*filters("wan0", "egress", -1, 2), *filters("wan0", "egress", None, own=True)),
            [],
            id="continues to the guard, or drops",
        ),
        pytest.param(
            "egress-guard",
            (*filters("wan0", "egress", None, own=True), *filters("wan0", "egress", 0)),
            [],
            id="behind the guard",
        ),
        pytest.param(
            "ingress-guard",
            (*filters("wan0", "ingress", 0, -1), *filters("wan0", "ingress", None, own=True)),
            ["warning"],
            id="ends before the ingress guard",
        ),
        pytest.param(
            "ingress-guard",
            (*filters("wan0", "ingress", -1, 2, 7), *filters("wan0", "ingress", None, own=True)),
            [],
            id="continues to the ingress guard, or never reaches the gateway",
        ),
        pytest.param(
            "tc-filter",
            (*filters("wan0", "ingress", None, own=True), *filters("wan0", "ingress", 0)),
            ["warning"],
            id="behind a guard, which passes packets on",
        ),
        pytest.param("tc-filter", filters("wan0", "ingress", None, own=True), [], id="a guard alone"),
    ],
)
def test_filters_are_judged_by_where_they_end(
    topic: str, found_there: tuple[FilterFact, ...], expected: list[str]
) -> None:
    assert levels(topic, survey(filters=found_there), spec()) == expected


def test_a_finding_about_a_filter_says_what_to_do() -> None:
    (finding,) = found("tc-filter", survey(filters=filters("wan0", "ingress", 0)), spec())
    assert "`action continue`" in finding.todo


def test_hide_hop_makes_a_loop_endless() -> None:
    of = survey(filters=filters("wan0", "ingress", 0))
    (ends,), (endless,) = (found("tc-filter", of, spec(dataplane={"hideHop": on})) for on in (False, True))
    assert "hideHop" in endless.what
    assert "hideHop" not in ends.what
