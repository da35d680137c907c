"""What decides about a packet is traced to the entry of the spec that asks for it, with file and line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nvi_operator.explain.step import ElementOf, EntryOrigin, RuleAt, Subject
from nvi_operator.language.load.loader import LoadedSpec, load_directory
from nvi_operator.nft.ast import Table
from nvi_operator.plan.compile import desired_state
from nvi_operator.plan.origins import Origins
from nvi_operator.state.host import HostState
from nvi_operator.topology.assume import assume_missing
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.resolve import resolve

EXAMPLES = sorted(
    path for path in (Path(__file__).parents[3] / "examples").iterdir() if (path / "gateway.yaml").exists()
)


def subjects(state: HostState) -> Iterator[Subject]:
    for ref, obj in state:
        if isinstance(obj, Table):
            for chain in obj.chains:
                yield from (RuleAt(chain.name, number, rule) for number, rule in enumerate(chain.rules))
            for each in obj.sets:
                yield from (ElementOf(each.name, element) for element in each.elements)
        elif ref.kind in ("fib-rule", "route"):
            yield obj


def found(example: Path) -> tuple[LoadedSpec, dict[tuple[str, str | None], str | None]]:
    loaded = load_directory(example)
    topology = resolve(loaded.name, loaded.spec, assume_missing(loaded.spec, Facts("host")))
    state = desired_state(topology)
    origins = Origins(topology, loaded.spec, state, loaded.where)
    known = [origin for subject in subjects(state) if (origin := origins(subject))]
    return loaded, {(origin.section, origin.name): origin.place for origin in known}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_each_entry_that_translates_or_routes_is_the_origin_of_something_and_stands_where_it_says(
    example: Path,
) -> None:
    loaded, places = found(example)
    entries = [("sourceNat", rule.name) for rule in loaded.spec.source_nat]
    entries += [("routes", route.name) for route in loaded.spec.routes]
    for section in ("forwards", "static", "prefix_nat", "twice_nat", "redirects", "uplinks"):
        named = {"prefix_nat": "prefixNat", "twice_nat": "twiceNat"}.get(section, section)
        entries += [(named, name) for name in getattr(loaded.spec, section)]
    for section, name in entries:
        place = places[section, name]
        assert place, (section, name)
        file, _, line = place.rpartition(":")
        assert name in Path(file).read_text().splitlines()[int(line) - 1]


def test_a_forward_in_another_file_is_found_there() -> None:
    _, places = found(EXAMPLES[[path.name for path in EXAMPLES].index("dual-wan")])
    assert str(places["forwards", "web"]).endswith("/dual-wan/services.yaml:8")
    assert str(places["sourceNat", "everyone"]).endswith("/dual-wan/gateway.yaml:28")


def test_what_the_gateway_asks_for_by_itself_has_no_origin() -> None:
    loaded = load_directory(EXAMPLES[0])
    topology = resolve(loaded.name, loaded.spec, assume_missing(loaded.spec, Facts("host")))
    state = desired_state(topology)
    origins = Origins(topology, loaded.spec, state)
    (table,) = (each for each in state.of_kind("nft-table") if isinstance(each, Table))
    hook = next(chain for chain in table.chains if chain.name == "mark_check")
    assert origins(RuleAt("mark_check", 0, hook.rules[0])) is None


def test_without_places_the_entry_is_named_alone() -> None:
    loaded = load_directory(EXAMPLES[0])
    topology = resolve(loaded.name, loaded.spec, assume_missing(loaded.spec, Facts("host")))
    state = desired_state(topology)
    named = {origin for subject in subjects(state) if (origin := Origins(topology, loaded.spec, state)(subject))}
    assert all(isinstance(origin, EntryOrigin) and origin.place is None for origin in named)
