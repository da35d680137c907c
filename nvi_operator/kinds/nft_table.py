"""The private nftables table; `ruleset/` says what is in it."""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.kind import Kind, Phase
from nvi_operator.language.wording import counted
from nvi_operator.nft.ast import Table
from nvi_operator.nft.diff import table_lines
from nvi_operator.nft.table_text import table_text
from nvi_operator.ruleset.edit import edit_table
from nvi_operator.ruleset.table import table
from nvi_operator.topology.model import Topology


def _desired(topology: Topology) -> Iterator[Table]:
    yield table(topology)


def _describe(table: Table) -> str:
    rules, elements = sum(len(c.rules) for c in table.chains), sum(len(s.elements) for s in table.sets)
    return (
        f"inet {table.name}: {counted(len(table.chains), 'chain')}, {counted(rules, 'rule')}, "
        f"{counted(elements, 'element')}"
    )


NFT_TABLE = Kind(
    "nft-table",
    Table,
    "nftables",
    _desired,
    phase=lambda table: Phase.NFT,
    describe=_describe,
    edited=lambda table, topology: edit_table(table, topology.less, topology.more),
    text=table_text,
    difference=table_lines,
)
