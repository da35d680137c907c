"""What `nvictl validate` takes, the kernel takes: random specs whose entries overlap, each table checked by nft."""

from __future__ import annotations

from random import Random

import pytest

from nvi_operator.errors import NviError
from nvi_operator.kernel.netns import entered
from nvi_operator.kernel.nft.client import Nft
from nvi_operator.kinds import KINDS
from nvi_operator.language.load.loader import load_texts
from nvi_operator.nft.table_text import table_text
from nvi_operator.ruleset.table import table
from nvi_operator.state.host import Object, Ref
from nvi_operator.topology.assume import assume_inside, assume_missing
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.model import Topology
from nvi_operator.topology.resolve import resolve
from tests.differential.case import Case
from tests.differential.generate.crowded import Crowded
from tests.differential.generate.networks import draw_networks
from tests.differential.generate.specs import draw_spec
from tests.lab import Lab

SPECS = 40
TENANTS = 20  # more of them, because their tables hold the most


@pytest.fixture(scope="module")
def crowded() -> dict[int, Topology]:
    """By the number that it is drawn by."""
    return {number: _crowded(number) for number in range(SPECS)}


@pytest.mark.netns
def test_a_valid_spec_whose_entries_overlap_is_a_table_that_nft_takes(lab: Lab, crowded: dict[int, Topology]) -> None:
    refused: dict[int, str] = {}
    with entered(lab.host("gateway").netns), Nft() as nft:
        for number, topology in crowded.items():
            try:
                nft.check("\n".join(table_text(table(topology))))
            except NviError as error:
                refused[number] = error.message
    assert refused == {}


def test_no_two_objects_of_a_valid_spec_have_one_key(crowded: dict[int, Topology]) -> None:
    """Of two that differ the state would keep the later, and of two elements of a map the kernel takes neither."""
    for topology in crowded.values():
        found: dict[Ref, Object] = {}
        for kind in KINDS.values():
            for each in kind.desired(topology):
                assert found.setdefault(Ref(kind.name, each.key), each) == each
        for named in table(topology).sets:
            assert len({key for key, _ in named.elements}) == len(named.elements)


def _crowded(number: int) -> Topology:
    random = Random(f"crowded/{number}")
    networks = draw_networks(random)
    while number < TENANTS and not any(lan.tenant for lan in networks.lans):
        networks = draw_networks(random)
    host, spec = draw_spec(random, networks, Crowded)
    loaded = load_texts({"gateway.yaml": Case(host, spec).text.encode()}).spec
    return resolve("edge", loaded, assume_inside(loaded, assume_missing(loaded, Facts("host"))))
