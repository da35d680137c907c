"""Routes of our protocol number, in any table."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any, Literal

from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.state.change import Action, Change
from nvi_operator.state.host import HostState
from nvi_operator.state.route import Route

_FAMILIES: dict[Literal[4, 6], int] = {4: socket.AF_INET, 6: socket.AF_INET6}
_ANY = {4: "0.0.0.0", 6: "::"}
_UNICAST, _UNREACHABLE = 1, 7
_ANY_TYPE, _ANY_SCOPE = 0, 255  # RTN_UNSPEC, RT_SCOPE_NOWHERE: what iproute2 sends with a delete
_ONLINK = 4


class RouteDriver:
    kind = "route"

    def __init__(self, ipr: Any, protocol: int) -> None:
        self._ipr = ipr
        self._protocol = protocol

    def observe(self, desired: HostState) -> Iterator[Route]:
        for family, number in _FAMILIES.items():
            with kernel_errors("routes: listing"):
                routes = [r for r in self._ipr.get_routes(family=number) if r["proto"] == self._protocol]
            for route in routes:
                yield _parse(family, route)

    def apply(self, change: Change) -> None:
        """Updates go by `replace`, so that there is no moment without a route."""
        if isinstance(change.after, Route):
            verb = "add" if change.action is Action.CREATE else "replace"
            with kernel_errors(f"route {change.ref.key}: {change.action}"):
                self._ipr.route(verb, **self._request(change.after))
        elif isinstance(change.before, Route):
            with kernel_errors(f"route {change.ref.key}: delete"):
                # Ours by its protocol, whatever its scope and type are: the kernel compares those that are given.
                self._ipr.route("del", **self._request(change.before) | {"scope": _ANY_SCOPE, "type": _ANY_TYPE})

    def _request(self, route: Route) -> dict[str, Any]:
        request: dict[str, Any] = {
            "family": _FAMILIES[route.family],
            "dst": route.destination,
            "table": route.table,
            "type": route.type,
            "proto": self._protocol,
            "priority": route.metric,
        }
        if route.dev is not None:
            with kernel_errors(f"route {route.key}: finding {route.dev}"):
                request["oif"] = socket.if_nametoindex(route.dev)
        if route.via is not None:
            # A next hop of the other family would need RTA_VIA; the spec has none.
            request["gateway"] = route.via
        if route.onlink:
            request["flags"] = _ONLINK
        return request


def _parse(family: Literal[4, 6], route: Any) -> Route:
    unreachable = route["type"] == _UNREACHABLE
    oif = route.get("oif")
    return Route(
        family,
        route.get("table"),
        f"{route.get('dst') or _ANY[family]}/{route['dst_len']}",
        "unreachable" if unreachable else "unicast",
        # The kernel files IPv6 unreachable routes under lo.
        None if unreachable or oif is None else socket.if_indextoname(oif),
        route.get("gateway"),
        route.get("priority") or 0,
        bool(route["flags"] & _ONLINK),
    )
