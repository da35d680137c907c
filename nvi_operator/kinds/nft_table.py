"""The private nftables table: `ruleset/` says what it means, `nft/packing.py` how it is stored."""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.kind import Kind, Phase
from nvi_operator.language.wording import counted
from nvi_operator.nft.ast import NamedSet, Table
from nvi_operator.nft.diff import table_lines
from nvi_operator.nft.incremental import edit_table
from nvi_operator.nft.packing import pack_table
from nvi_operator.nft.table_text import table_text
from nvi_operator.ruleset.dstnat import forward_maps
from nvi_operator.ruleset.table import table
from nvi_operator.topology.incremental import TopologyDelta
from nvi_operator.topology.model import Topology


def _desired(topology: Topology) -> Iterator[Table]:
    yield pack_table(table(topology))


def _edited(table: Table, topology: TopologyDelta) -> Table | None:
    """Each forward has elements of its own, because each public port leads to one place (language/check/forwards.py).

    Not with tenants: several forwards of one may share an element.
    """
    if topology.whole.tenants:
        return None
    return edit_table(table, _forward_maps(topology.removed), _forward_maps(topology.added))


def _forward_maps(topology: Topology) -> Iterator[NamedSet]:
    return (map_.named for family in topology.families for map_ in forward_maps(topology, family))


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
    edited=_edited,
    script=lambda table, topology: ["nft -f - <<'EOF'", *table_text(table), "EOF"],
    text=table_text,
    difference=table_lines,
)
