"""The private nftables table; `ruleset/` says what is in it."""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.kinds.kind import Kind, Phase
from nvi_operator.nft.ast import Table
from nvi_operator.ruleset.table import table
from nvi_operator.topology.model import Topology


def _desired(topology: Topology) -> Iterator[Table]:
    yield table(topology)


NFT_TABLE = Kind("nft-table", _desired, lambda table: Phase.NFT)
