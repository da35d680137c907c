"""The registry of kinds. One small file for each (of FIB rules a package): the type of its objects, and what a
topology wants of them. Pure.

Kinds do not import one another. To add one: docs/how-to/add-a-kind.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from nvi_operator.kind import Kind
from nvi_operator.kinds.egress_guard import EGRESS_GUARD
from nvi_operator.kinds.fib_rule import FIB_RULE
from nvi_operator.kinds.flow_cache import FLOW_CACHE
from nvi_operator.kinds.ingress_guard import INGRESS_GUARD
from nvi_operator.kinds.link import LINK
from nvi_operator.kinds.link_group import LINK_GROUP
from nvi_operator.kinds.module import MODULE
from nvi_operator.kinds.nft_table import NFT_TABLE
from nvi_operator.kinds.proxy_neighbour import PROXY_NEIGHBOUR
from nvi_operator.kinds.route import ROUTE
from nvi_operator.kinds.sysctl import SYSCTL
from nvi_operator.kinds.tc_program import TC_PROGRAM

# In the order in which `render` shows them.
_KINDS: tuple[Kind[Any], ...] = (
    MODULE,
    LINK,
    LINK_GROUP,
    TC_PROGRAM,
    EGRESS_GUARD,
    INGRESS_GUARD,
    FLOW_CACHE,
    ROUTE,
    FIB_RULE,
    SYSCTL,
    PROXY_NEIGHBOUR,
    NFT_TABLE,
)

KINDS: Mapping[str, Kind[Any]] = MappingProxyType({kind.name: kind for kind in _KINDS})
