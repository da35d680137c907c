"""FIB rules of our protocol number."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from nvi_operator.kernel.driver import Driver
from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.kernel.netlink import CREATE, EXCLUSIVE
from nvi_operator.kernel.rtnetlink import AF, Family, Rtnetlink, number, prefix, shown_number, shown_prefix, text
from nvi_operator.nft.wire.attributes import attribute, attributes
from nvi_operator.state.change import Change
from nvi_operator.state.fib_rule import FibRule
from nvi_operator.state.host import HostState

_NEW, _DELETE, _GET = 32, 33, 34  # RTM_*RULE
_HEADER = struct.Struct("=8BI")  # struct fib_rule_hdr: family, dst_len, src_len, tos, table, 2 bytes, action, flags
_DST, _SRC, _IIFNAME, _GOTO, _PRIORITY, _FWMARK = 1, 2, 3, 4, 6, 10  # FRA_*
_SUPPRESS_IFGROUP, _SUPPRESS_PREFIXLEN, _TABLE, _FWMASK, _PROTOCOL = 13, 14, 15, 16, 21
_ACTIONS: dict[str, int] = {"lookup": 1, "goto": 2, "nop": 3, "blackhole": 6, "unreachable": 7, "prohibit": 8}
_ACTION_NAMES: dict[int, Any] = {value: name for name, value in _ACTIONS.items()}
_UNSET = 0xFFFFFFFF  # what the kernel dumps for a suppressor that is not set


@dataclass(frozen=True)
class Listed:
    """A rule of whomever. `rule` has what ours may have; the attributes that it has not are in `said`."""

    rule: FibRule
    tos: int
    flags: int
    said: dict[int, bytes]

    @property
    def protocol(self) -> int:
        return self.said.get(_PROTOCOL, b"\0")[0]


def list_rules(rtnetlink: Rtnetlink, wanted: Callable[[bytes], bool]) -> Iterator[Listed]:
    """Raises KernelError."""
    for family, af in AF.items():
        with kernel_errors("FIB rules: listing"):
            rules = rtnetlink.dump(_GET, _HEADER.pack(af, *bytes(7), 0), wanted)
        yield from (_parse(family, body) for body in rules)


class FibRuleDriver(Driver):
    kind = "fib-rule"

    def __init__(self, rtnetlink: Rtnetlink, protocol: int) -> None:
        self._rtnetlink = rtnetlink
        self._protocol = protocol

    def observe(self, desired: HostState) -> Iterator[FibRule]:
        ours = attribute(_PROTOCOL, bytes([self._protocol]))
        found = list_rules(self._rtnetlink, lambda body: ours in body)
        yield from (listed.rule for listed in found if listed.protocol == self._protocol)

    def apply(self, change: Change) -> None:
        """A rule is never updated: its key is its whole content."""
        rule = change.present
        assert isinstance(rule, FibRule)
        with kernel_errors(f"fib-rule {rule}: {change.action}"):
            if change.after is None:
                self._rtnetlink.request(_DELETE, 0, self._packed(rule))
                return
            with suppress(FileExistsError):  # a second rule of equal content, and as good
                self._rtnetlink.request(_NEW, CREATE | EXCLUSIVE, self._packed(rule))

    def _packed(self, rule: FibRule) -> bytes:
        source, source_length = prefix(_SRC, rule.source)
        destination, destination_length = prefix(_DST, rule.destination)
        numbers = {
            _PRIORITY: rule.priority,
            _TABLE: rule.table,
            _GOTO: rule.goto,
            _FWMARK: rule.mark,
            _FWMASK: rule.mask,
            _SUPPRESS_PREFIXLEN: rule.suppress_prefix_length,
            _SUPPRESS_IFGROUP: rule.suppress_group,
        }
        return b"".join(
            (
                _HEADER.pack(
                    AF[rule.family], destination_length, source_length, 0, 0, 0, 0, _action_number(rule.action), 0
                ),
                source,
                destination,
                text(_IIFNAME, rule.iif) if rule.iif else b"",
                *(number(kind, value) for kind, value in numbers.items() if value is not None),
                attribute(_PROTOCOL, bytes([self._protocol])),
            )
        )


def _action_number(action: str) -> int:
    """Also of an action that we never write: a rule of our protocol has to be deleted whatever it does."""
    return _ACTIONS[action] if action in _ACTIONS else int(action.removeprefix("action "))


def _parse(family: Family, body: bytes) -> Listed:
    _, destination_length, source_length, tos, _, _, _, action_number, flags = _HEADER.unpack_from(body)
    said = dict(attributes(body[_HEADER.size :]))
    action = _ACTION_NAMES.get(action_number, f"action {action_number}")

    def suppressor(kind: int) -> int | None:
        value = shown_number(said.get(kind))
        return None if value == _UNSET else value

    mask = shown_number(said.get(_FWMASK))
    iif = said.get(_IIFNAME)
    rule = FibRule(
        family,
        shown_number(said.get(_PRIORITY)) or 0,
        action,
        table=shown_number(said.get(_TABLE)) if action == "lookup" else None,
        goto=shown_number(said.get(_GOTO)),
        iif=iif.rstrip(b"\0").decode() if iif else None,
        source=shown_prefix(said.get(_SRC), source_length),
        destination=shown_prefix(said.get(_DST), destination_length),
        # The kernel leaves a mark of 0 out, and keeps its mask.
        mark=None if mask is None else shown_number(said.get(_FWMARK)) or 0,
        mask=mask,
        suppress_prefix_length=suppressor(_SUPPRESS_PREFIXLEN),
        suppress_group=suppressor(_SUPPRESS_IFGROUP),
    )
    return Listed(rule, tos, flags, said)
