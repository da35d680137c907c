"""FIB rules of others, and what the tables hold that they lead to: what a gateway is to honour, or to name.

Such as a mesh VPN's, which keeps its routes in a table of its own. `topology/foreign_rules.py` judges them.
"""

from __future__ import annotations

from collections.abc import Mapping

from nvi_operator.kernel.drivers.fib_rule import list_rules
from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.kernel.inspect.next_hop_objects import read_next_hop_objects
from nvi_operator.kernel.netlink.route_messages import (
    BY_KERNEL,
    GET,
    HEADER,
    LENGTH_AT,
    LOCAL_TYPE,
    REFUSING,
    TABLE,
    TYPE_AT,
    UNICAST,
    NextHopObjects,
    is_cached,
    next_hops,
)
from nvi_operator.kernel.netlink.rtnetlink import AF, Rtnetlink, number
from nvi_operator.language.model.values import Family
from nvi_operator.nft.wire.attributes import attributes
from nvi_operator.topology.facts import ForeignRule, RouteTableFact
from nvi_operator.topology.numbers import KERNEL_TABLES

_MOST_PARSED = 64  # routes of a table, to say where it leads


def read_foreign_rules(rtnetlink: Rtnetlink, protocol: int, names: Mapping[int, str]) -> tuple[ForeignRule, ...]:
    """In the kernel's order; `protocol` is the gateway's, `names` are the interfaces'. Raises KernelError."""
    rules = [
        listed.rule
        for listed in list_rules(rtnetlink, lambda _: True)
        if listed.protocol not in (protocol, BY_KERNEL)  # its rules for local, main, default, and VRFs
    ]
    asked = {
        (r.family, r.table)
        for r in rules
        if r.action == "lookup" and r.table is not None and r.table not in KERNEL_TABLES
    }
    with kernel_errors("routes of others: listing"):
        objects = read_next_hop_objects(rtnetlink) if asked else {}
        tables = {(f, table): _read(rtnetlink, f, table, names, objects) for f, table in sorted(asked)}
    return tuple(ForeignRule(r, tables.get((r.family, r.table or 0), RouteTableFact())) for r in rules)


def _read(
    rtnetlink: Rtnetlink, family: Family, table: int, names: Mapping[int, str], objects: NextHopObjects
) -> RouteTableFact:
    ways: set[str] = set()
    defaults: set[str] = set()
    refuses = specific = delivers = False
    parsed = 0

    def look(body: bytes) -> bool:
        nonlocal refuses, specific, delivers, parsed
        if is_cached(body):
            return False
        default = not body[LENGTH_AT]
        specific = specific or not default
        refuses = refuses or (default and body[TYPE_AT] in REFUSING)
        delivers = delivers or (default and body[TYPE_AT] == LOCAL_TYPE)
        if body[TYPE_AT] == UNICAST and (default or parsed < _MOST_PARSED):
            parsed += not default
            oifs = (oif or 0 for oif, _ in next_hops(dict(attributes(body[HEADER.size :])), objects))
            found = {names[oif] for oif in oifs if oif in names}
            (defaults if default else ways).update(found)
        return False

    rtnetlink.dump(GET, HEADER.pack(AF[family], *bytes(7), 0) + number(TABLE, table), look)
    return RouteTableFact(specific, tuple(sorted(ways)), tuple(sorted(defaults)), refuses, delivers)
