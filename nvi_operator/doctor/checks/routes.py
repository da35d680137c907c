"""Other people's routes: in our tables, or mistaken for ours."""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.doctor.finding import Finding
from nvi_operator.doctor.needs import needs
from nvi_operator.doctor.survey import Survey
from nvi_operator.spec.models import GatewaySpec

# /etc/iproute2/rt_protos
_NAMES = {
    2: "the kernel",
    3: "boot scripts",
    4: "the administrator",
    9: "router advertisements",
    11: "Zebra",
    12: "BIRD",
    16: "DHCP",
    18: "keepalived",
    42: "Babel",
    186: "BGP",
    188: "OSPF",
}


def route_table(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Routes of others in tables that we would use, and rules of others that look there."""
    need = needs(spec)
    used = {r.table for r in survey.routes if r.protocol != need.protocol} | {
        r.table for r in survey.rules if r.protocol != need.protocol and r.table is not None
    }
    for table in sorted(used & need.tables):
        makers = sorted({r.protocol for r in survey.routes if r.table == table and r.protocol != need.protocol})
        names = ", ".join(_NAMES.get(number, f"protocol {number}") for number in makers) or "rules only"
        yield Finding(
            "problem",
            "route-table",
            f"routing table {table} is one that we would use, and is used by others ({names})",
            f"ip route show table {table}; ip -6 route show table {table}\n"
            f"# in the spec: numbers: {{table: {_free_table(survey)}}}",
        )


def _free_table(survey: Survey) -> int:
    used = {r.table for r in survey.routes} | {r.table for r in survey.rules if r.table is not None}
    return next(base for base in range(7800, 2**31, 2000) if not used & set(range(base, base + 2000)))


def route_protocol(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Routes with our protocol number in tables that are not ours: an apply would delete them."""
    need = needs(spec)
    for use in survey.routes:
        # Tables of uplinks that are no longer in the spec lie in the same block.
        if use.protocol == need.protocol and not need.table <= use.table < need.table + 2000:
            yield Finding(
                "problem",
                "route-protocol",
                f"{use.count} IPv{use.family} routes in table {use.table} bear our protocol number {need.protocol}: "
                "an apply would delete them",
                f"ip -{use.family} route show table {use.table} proto {need.protocol}\n"
                "# in the spec: numbers: {protocol: N} with a number that nobody uses (see /etc/iproute2/rt_protos)",
            )
