"""Any table of the gateway's vocabulary: nft lists back what it is given, and any table can become any other."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from nvi_operator.nft.ast import Table
from nvi_operator.nft.listing import parse_table
from nvi_operator.nft.table_text import table_text
from nvi_operator.nft.transaction import transaction
from tests.contract.tables import tables
from tests.examples import examples
from tests.lab import Host, Lab

pytestmark = pytest.mark.netns
some = settings(
    deadline=None,
    max_examples=examples(100),
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking through a kernel takes minutes
)


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with Lab() as lab:
        yield lab.host("nft")


def clear(host: Host) -> None:
    host.nft("add table inet nvi\ndelete table inet nvi\n")


def load(host: Host, text: str) -> Table | None:
    """The table after this transaction. A process each: some input aborts libnftables."""
    host.nft(text)
    listing = json.loads(host.run("nft", "-j", "list", "table", "inet", "nvi").stdout)
    return parse_table(listing["nftables"], "nvi", lambda name: None)


def same(found: Table | None, expected: Table) -> None:
    """Equal; if not, which parts are not."""
    assert found is not None
    assert found.counters == expected.counters
    assert found.sets - expected.sets == expected.sets - found.sets
    for left, right in zip(*(sorted(t.chains, key=lambda chain: chain.name) for t in (found, expected)), strict=True):
        assert left.rules == right.rules
    assert found == expected


@some
@given(tables())
def test_the_file_means_what_the_transaction_means(host: Host, table: Table) -> None:
    clear(host)
    same(load(host, "\n".join(table_text(table)) + "\n"), table)


@some
@given(tables(), tables())
def test_nft_lists_back_what_it_is_given_and_any_table_becomes_any_other_in_one_transaction(
    host: Host, one: Table, other: Table
) -> None:
    clear(host)
    same(load(host, transaction(None, one)), one)
    same(load(host, transaction(one, other)), other)
