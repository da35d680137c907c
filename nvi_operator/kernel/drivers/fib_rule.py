"""FIB rules of the operator's protocol number.

The kernel deletes the first rule that has what a request names, whatever else that rule has: the request for
`from all lookup 9` also deletes `from 10.0.0.0/8 ipproto tcp lookup 9` of the same priority (rule_find() in
net/core/fib_rules.c, Linux 6.18). So a rule is deleted by all of its attributes, known here or not, and another one
that stands before it and has them all is moved behind it first.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

from nvi_operator.dataclass import dataclass
from nvi_operator.kernel.drivers.rtnetlink import RtnetlinkDriver
from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.kernel.netlink.rtnetlink import AF, Rtnetlink, number, prefix, shown_number, shown_prefix, text
from nvi_operator.kernel.netlink.socket import CREATE, EXCLUSIVE
from nvi_operator.kinds.fib_rule import FIB_RULE
from nvi_operator.language.model.values import Family
from nvi_operator.nft.wire.attributes import attribute, attributes
from nvi_operator.plan.change import Change
from nvi_operator.state.fib_rule import RULE_PROTOCOLS, FibRule
from nvi_operator.state.host import HostState

_NEW, _DELETE, _GET = 32, 33, 34  # RTM_*RULE
_HEADER = struct.Struct("=8BI")  # struct fib_rule_hdr: family, dst_len, src_len, tos, table, 2 bytes, action, flags
_DST, _SRC, _IIFNAME, _GOTO, _PRIORITY, _FWMARK = 1, 2, 3, 4, 6, 10  # FRA_*
_SUPPRESS_IFGROUP, _SUPPRESS_PREFIXLEN, _TABLE, _FWMASK, _PROTOCOL = 13, 14, 15, 16, 21
_ACTIONS: dict[str, int] = {"lookup": 1, "goto": 2, "nop": 3, "blackhole": 6, "unreachable": 7, "prohibit": 8}
_ACTION_NAMES: dict[int, Any] = {value: name for name, value in _ACTIONS.items()}
_PROTOCOL_NAMES = {number: name for name, number in RULE_PROTOCOLS.items()}
_UNSET = 0xFFFFFFFF  # what the kernel dumps for a suppressor that is not set
_INVERT = 2  # FIB_RULE_INVERT
_OIFNAME, _PAD, _L3MDEV, _IP_PROTO, _SPORT, _DPORT = 17, 18, 19, 22, 23, 24
_OURS = {_DST, _SRC, _IIFNAME, _GOTO, _PRIORITY, _FWMARK, _SUPPRESS_IFGROUP, _SUPPRESS_PREFIXLEN, _TABLE, _FWMASK}
_OURS |= {_OIFNAME, _IP_PROTO, _SPORT, _DPORT}
# Since Linux 6.15 a listing has the mask of a single port, as it has that of a DSCP: one of all bits says nothing.
_WHOLE = {28: b"\xff\xff", 29: b"\xff\xff", 30: b"\x3f"}
_PORTS = struct.Struct("=HH")  # struct fib_rule_port_range
# Of attributes that owned rules never have: their words in `ip rule`, and their layouts.
_OTHERS = {
    11: ("realms", "=I"),  # FRA_FLOW
    12: ("tun_id", ">Q"),
    _L3MDEV: ("l3mdev", ""),
    20: ("uidrange", "=II"),
    25: ("dscp", "B"),
    26: ("flowlabel", ">I"),
    27: ("flowlabel_mask", ">I"),
    28: ("sport_mask", "=H"),
    29: ("dport_mask", "=H"),
    30: ("dscp_mask", "B"),
}


@dataclass(frozen=True)
class Listed:
    """A rule of whomever, and the kernel's message about it from its struct fib_rule_hdr on."""

    rule: FibRule
    protocol: int
    body: bytes

    @cached_property
    def named(self) -> frozenset[tuple[object, bytes]]:
        """What the kernel compares for a request with this body: attributes and fields of the header that are set."""
        _, destination, source, tos, _, _, _, action, _ = _HEADER.unpack_from(self.body)
        header = {"tos": tos, "from": source, "to": destination, "action": action}
        attrs: dict[object, bytes] = dict(attributes(self.body[_HEADER.size :]))
        attrs = {kind: value for kind, value in attrs.items() if kind not in (_GOTO, _PAD) and any(value)}
        for kind in (_SUPPRESS_IFGROUP, _SUPPRESS_PREFIXLEN):
            if shown_number(attrs.get(kind)) == _UNSET:
                del attrs[kind]
        return frozenset({*attrs.items(), *((name, bytes([value])) for name, value in header.items() if value)})


def list_rules(rtnetlink: Rtnetlink, matches: Callable[[bytes], bool]) -> Iterator[Listed]:
    """Raises KernelError."""
    for family, af in AF.items():
        with kernel_errors("FIB rules: listing"):
            rules = rtnetlink.dump(_GET, _HEADER.pack(af, *bytes(7), 0), matches)
        yield from (_parse(family, body) for body in rules)


_Known = dict[tuple[Family, int], list[Listed]]  # by family and priority


class FibRuleDriver(RtnetlinkDriver):
    kind = FIB_RULE.name
    looks_where_desired = False
    reported = "rule"

    def __init__(self, rtnetlink: Rtnetlink, protocol: int) -> None:
        super().__init__(rtnetlink, protocol)
        self._known: _Known | None = None  # owned rules, in the kernel's order, as last listed

    def observe(self, desired: HostState) -> Iterator[FibRule]:
        self._known = self._listed()
        yield from (listed.rule for group in self._known.values() for listed in group)

    def _listed(self) -> _Known:
        protocol = attribute(_PROTOCOL, bytes([self._protocol]))
        known: _Known = {}
        for listed in list_rules(self._rtnetlink, lambda body: protocol in body):
            if listed.protocol == self._protocol:
                known.setdefault((listed.rule.family, listed.rule.priority), []).append(listed)
        return known

    def apply(self, change: Change) -> None:
        """A rule is never updated: its key is its whole content."""
        rule = change.present
        assert isinstance(rule, FibRule)
        with kernel_errors(f"fib-rule {rule}: {change.action}"):
            if change.after is None:
                self._delete(rule)
                return
            self._create(rule)

    def _create(self, rule: FibRule) -> None:
        """Create the rule; one of equal content is as good. Raises OSError."""
        body = self._packed(rule)
        try:
            self._rtnetlink.request(_NEW, CREATE | EXCLUSIVE, body)
        except FileExistsError:
            # So the kernel also says of a rule without a source, destination or TOS where a narrower one has it.
            self._known = self._listed()
            if any(listed.rule == rule for listed in self._known.get((rule.family, rule.priority), [])):
                return
            self._rtnetlink.request(_NEW, CREATE, body)
        if self._known is not None:
            self._known.setdefault((rule.family, rule.priority), []).append(Listed(rule, self._protocol, body))

    def _delete(self, rule: FibRule) -> None:
        """Exactly this one of the owned rules, as last listed. Raises OSError."""
        if self._known is None:
            self._known = self._listed()
        group = self._known.get((rule.family, rule.priority), [])
        doomed = next((listed for listed in group if listed.rule == rule), None)
        if doomed is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        while (first := next(listed for listed in group if doomed.named <= listed.named)) is not doomed:
            # A new rule comes last among those of its priority.
            self._rtnetlink.request(_NEW, CREATE, first.body)
            self._rtnetlink.request(_DELETE, 0, first.body)
            group.remove(first)
            group.append(first)
        self._rtnetlink.request(_DELETE, 0, doomed.body)
        group.remove(doomed)

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
                text(_OIFNAME, rule.oif) if rule.oif else b"",
                attribute(_IP_PROTO, bytes([_protocol_number(rule.protocol)])) if rule.protocol else b"",
                attribute(_SPORT, _PORTS.pack(*rule.source_ports)) if rule.source_ports else b"",
                attribute(_DPORT, _PORTS.pack(*rule.destination_ports)) if rule.destination_ports else b"",
                *(number(kind, value) for kind, value in numbers.items() if value is not None),
                attribute(_PROTOCOL, bytes([self._protocol])),
            )
        )


def _protocol_number(name: str) -> int:
    return RULE_PROTOCOLS[name] if name in RULE_PROTOCOLS else int(name)


def _action_number(action: str) -> int:
    """Also the number of an action that is never written: an owned rule has to be deleted whatever it does."""
    return _ACTIONS[action] if action in _ACTIONS else int(action.removeprefix("action "))


def _parse(family: Family, body: bytes) -> Listed:
    _, destination_length, source_length, tos, _, _, _, action_number, flags = _HEADER.unpack_from(body)
    attrs = dict(attributes(body[_HEADER.size :]))
    action = _ACTION_NAMES.get(action_number, f"action {action_number}")

    def suppressor(kind: int) -> int | None:
        value = shown_number(attrs.get(kind))
        return None if value == _UNSET else value

    def ports(kind: int) -> tuple[int, int] | None:
        first, last = _PORTS.unpack(attrs.get(kind, bytes(4)))
        return (first, last) if last else None

    def name(kind: int) -> str | None:
        return attrs.get(kind, b"").rstrip(b"\0").decode(errors="replace") or None

    mask = shown_number(attrs.get(_FWMASK))
    protocol = attrs.get(_IP_PROTO, b"\0")[0]
    rule = FibRule(
        family,
        shown_number(attrs.get(_PRIORITY)) or 0,
        action,
        table=shown_number(attrs.get(_TABLE)) if action == "lookup" else None,
        goto=shown_number(attrs.get(_GOTO)),
        iif=name(_IIFNAME),
        source=shown_prefix(attrs.get(_SRC), source_length),
        destination=shown_prefix(attrs.get(_DST), destination_length),
        # The kernel leaves a mark of 0 out, and keeps its mask.
        mark=None if mask is None else shown_number(attrs.get(_FWMARK)) or 0,
        mask=mask,
        suppress_prefix_length=suppressor(_SUPPRESS_PREFIXLEN),
        suppress_group=suppressor(_SUPPRESS_IFGROUP),
        oif=name(_OIFNAME),
        protocol=_PROTOCOL_NAMES.get(protocol, str(protocol)) if protocol else None,
        source_ports=ports(_SPORT),
        destination_ports=ports(_DPORT),
        inverted=bool(flags & _INVERT),
        other=tuple(_others(tos, attrs)),
    )
    return Listed(rule, attrs.get(_PROTOCOL, b"\0")[0], body)


def _others(tos: int, attrs: Mapping[int, bytes]) -> Iterator[str]:
    """What no rule of the operator has, in the words of `ip rule`; unknown attributes by number."""
    if tos:
        yield f"tos {tos:#x}"
    for kind, value in sorted(attrs.items()):
        if kind in _OURS or kind in (_PAD, _PROTOCOL) or not any(value) or value == _WHOLE.get(kind):
            continue
        word, layout = _OTHERS.get(kind, (f"attribute {kind}", ""))
        if kind == _L3MDEV:
            yield word
        elif layout and struct.calcsize(layout) == len(value):
            yield f"{word} {'-'.join(map(str, struct.unpack(layout, value)))}"
        else:
            yield f"{word} 0x{value.hex()}"
