"""FIB rules of our protocol number."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from typing import Any, Literal

from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.state.change import Change
from nvi_operator.state.fib_rule import FibRule
from nvi_operator.state.host import HostState

_FAMILIES: dict[Literal[4, 6], int] = {4: socket.AF_INET, 6: socket.AF_INET6}
_ACTIONS: dict[str, int] = {"lookup": 1, "goto": 2, "nop": 3, "unreachable": 7}
_ACTION_NAMES: dict[int, Any] = {number: name for name, number in _ACTIONS.items()}
_UNSET = 0xFFFFFFFF  # what the kernel dumps for a suppressor that is not set


class FibRuleDriver:
    kind = "fib-rule"

    def __init__(self, ipr: Any, protocol: int) -> None:
        self._ipr = ipr
        self._protocol = protocol

    def observe(self, desired: HostState) -> Iterator[FibRule]:
        for family, number in _FAMILIES.items():
            with kernel_errors("FIB rules: listing"):
                rules = list(self._ipr.get_rules(family=number))
            yield from (_parse(family, r) for r in rules if r.get("FRA_PROTOCOL") == self._protocol)

    def apply(self, change: Change) -> None:
        """A rule is never updated: its key is its whole content."""
        verb = "add" if change.after is not None else "del"
        rule = change.present
        assert isinstance(rule, FibRule)
        with kernel_errors(f"fib-rule {rule}: {change.action}"):
            self._request(verb, rule)

    def _request(self, verb: str, rule: FibRule) -> None:
        from pyroute2.netlink.exceptions import NetlinkError

        request: dict[str, Any] = {
            "family": _FAMILIES[rule.family],
            "priority": rule.priority,
            "protocol": self._protocol,
            "action": _action_number(rule.action),
        }
        optional = {
            "table": rule.table,
            "goto": rule.goto,
            "iifname": rule.iif,
            "fwmark": rule.mark,
            "fwmask": rule.mask,
            "suppress_prefixlen": rule.suppress_prefix_length,
            "suppress_ifgroup": rule.suppress_group,
        }
        request |= {key: value for key, value in optional.items() if value is not None}
        for side, prefix in (("src", rule.source), ("dst", rule.destination)):
            if prefix:
                address, _, length = prefix.partition("/")
                request |= {side: address, f"{side}_len": int(length)}
        try:
            self._ipr.rule(verb, **request)
        except NetlinkError as error:
            # A second rule of equal content is EEXIST, and as good.
            if not (verb == "add" and error.code == errno.EEXIST):
                raise


def _action_number(action: str) -> int:
    """Also of an action that we never write: a rule of our protocol has to be deleted whatever it does."""
    return _ACTIONS[action] if action in _ACTIONS else int(action.removeprefix("action "))


def _parse(family: Literal[4, 6], rule: Any) -> FibRule:
    def suppressor(name: str) -> int | None:
        value = rule.get(name)
        return None if value is None or value & _UNSET == _UNSET else int(value)

    def prefix(side: str) -> str | None:
        address = rule.get(f"FRA_{side.upper()}")
        return f"{address}/{rule[f'{side}_len']}" if address else None

    mask = rule.get("FRA_FWMASK")
    action = _ACTION_NAMES.get(rule["action"], f"action {rule['action']}")
    return FibRule(
        family,
        rule.get("FRA_PRIORITY") or 0,
        action,
        table=rule.get("FRA_TABLE") if action == "lookup" else None,
        goto=rule.get("FRA_GOTO"),
        iif=rule.get("FRA_IIFNAME"),
        source=prefix("src"),
        destination=prefix("dst"),
        # The kernel leaves a mark of 0 out, and keeps its mask.
        mark=None if mask is None else rule.get("FRA_FWMARK") or 0,
        mask=mask,
        suppress_prefix_length=suppressor("FRA_SUPPRESS_PREFIXLEN"),
        suppress_group=suppressor("FRA_SUPPRESS_IFGROUP"),
    )
