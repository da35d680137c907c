"""What a field of nft reads of a packet: a term that may be split, or a value that the whole class has."""

from __future__ import annotations

from collections.abc import Mapping

from nvi_operator.dataclass import dataclass
from nvi_operator.explain.machine import Machine
from nvi_operator.explain.packet import ICMP_OF, TCP, WITH_PORTS
from nvi_operator.explain.passing import Passing
from nvi_operator.explain.space import Term
from nvi_operator.explain.spans import Spans
from nvi_operator.language.model.services import PROTOCOL_NUMBERS
from nvi_operator.nft.ast import Concat, Field, Masked

ABSENT = None  # the rule ends here: the packet has no such field


@dataclass(frozen=True)
class Read:
    """A term of an nft type, for the part of the class that has the field; or a value. `rest` has no such field."""

    passing: Passing
    term: Term | None = None
    type: str = ""
    value: object = None


class UnknownFieldError(Exception):
    """The ruleset never reads this field."""


_ADDRESS = {4: "ipv4_addr", 6: "ipv6_addr"}
_FAMILY = {"ip": 4, "ip6": 6}
# Of packets that the ruleset asks for: no IP options, no IPsec policy.
_CONSTANTS: Mapping[str, object] = {"ip hdrlength": 5, "rt ipsec": "missing", "meta ipsec": "missing"}


class Reader:
    """Fields of packets, as nft reads them. Where their values differ the packets are split."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def read(self, passing: Passing, key: Field | Masked | Concat) -> tuple[list[Read], list[Passing]]:
        """The parts of the class that have the field, and those that have not."""
        assert not isinstance(key, Concat)
        if isinstance(key, Field):
            return self._field(passing, key.name)
        found, rest = self._field(passing, key.field.name)
        return [Read(r.passing, value=_masked(r.value, key.mask)) for r in found], rest

    def _field(self, passing: Passing, name: str) -> tuple[list[Read], list[Passing]]:
        if name in _CONSTANTS:
            return [Read(passing, value=_CONSTANTS[name])], []
        if name.startswith("ct "):
            return self._conntrack(passing, name)
        value = self._plain(passing, name)
        if value is not _NO:
            return ([Read(passing, value=value)], []) if value is not ABSENT else ([], [passing])
        return self._term(passing, name)

    def _plain(self, passing: Passing, name: str) -> object:
        """A value that the whole class has; None where it has none, _NO where the field is a term."""
        machine, iif, oif = self._machine, passing.in_interface, passing.out_interface
        match name:
            case "iifname":
                return iif or ""
            case "oifname":
                return oif or ""
            case "iif":
                return machine.interfaces[iif].ifindex if iif else 0
            case "oif":
                return machine.interfaces[oif].ifindex if oif else 0
            case "meta iifgroup":
                return machine.interfaces[iif].group if iif else ABSENT
            case "meta oifgroup":
                return machine.interfaces[oif].group if oif else ABSENT
            case "meta mark":
                return passing.mark
            case "meta nfproto":
                return f"ipv{passing.family}"
            case "ip dscp" | "ip6 dscp":
                return passing.region.like.dscp if passing.family == _FAMILY[name.split()[0]] else ABSENT
        return _NO

    def _term(self, passing: Passing, name: str) -> tuple[list[Read], list[Passing]]:
        family = passing.family
        match name.split():
            case [("ip" | "ip6") as ip, ("saddr" | "daddr") as side]:
                if _FAMILY[ip] != family:
                    return [], [passing]
                return [Read(passing, passing.now[_SIDES[side]], _ADDRESS[family])], []
            case ["meta", "l4proto"]:
                return [Read(passing, passing.now["protocol"], "inet_proto")], []
            case ["th", ("sport" | "dport") as side]:
                return _of(passing, tuple(WITH_PORTS), _SIDES[side], "inet_service")
            case [protocol, ("sport" | "dport") as side] if protocol in PROTOCOL_NUMBERS:
                return _of(passing, (PROTOCOL_NUMBERS[protocol],), _SIDES[side], "inet_service")
            case [("icmp" | "icmpv6") as protocol, "type"]:
                if PROTOCOL_NUMBERS[protocol] != ICMP_OF[family]:
                    return [], [passing]
                return _of(passing, (ICMP_OF[family],), "icmp_type", f"{protocol}_type")
            case ["tcp", "flags"]:
                found, rest = _of(passing, (TCP,), "protocol", "")
                return [Read(r.passing, value=r.passing.flags) for r in found], rest
        raise UnknownFieldError(name)

    def _conntrack(self, passing: Passing, name: str) -> tuple[list[Read], list[Passing]]:
        track = passing.track
        if name == "ct state":
            if passing.state is None:
                return [], [passing]
            return [Read(passing, value=frozenset({passing.state}))], []
        if track is None:
            return [], [passing]
        match name.split():
            case ["ct", "status"]:
                return [Read(passing, value=track.status)], []
            case ["ct", "direction"]:
                return [Read(passing, value=track.direction)], []
            case ["ct", "mark"]:
                return [Read(passing, value=track.mark)], []
            case ["ct", "protocol"]:
                return [Read(passing, track.original["protocol"], "inet_proto")], []
            case ["ct", "original", ("ip" | "ip6") as ip, ("saddr" | "daddr") as side]:
                if _FAMILY[ip] != passing.family:
                    return [], [passing]
                return [Read(passing, track.original[_SIDES[side]], _ADDRESS[passing.family])], []
        raise UnknownFieldError(name)

    def local(self, passing: Passing, ifname: str | None = None) -> Spans:
        """The gateway's own addresses, of all interfaces or of one."""
        return self._machine.own_addresses(passing.family, ifname)


_SIDES = {"saddr": "source", "daddr": "destination", "sport": "source_port", "dport": "destination_port"}
_NO = object()


def _of(passing: Passing, protocols: tuple[int, ...], name: str, type_: str) -> tuple[list[Read], list[Passing]]:
    inside, outside = passing.of_protocols(*protocols)
    found = [Read(inside, inside.now[name], type_)] if inside is not None else []
    return found, [outside] if outside is not None else []


def _masked(value: object, mask: int | str) -> object:
    if isinstance(value, frozenset):
        return value & {mask}
    assert isinstance(value, int)
    assert isinstance(mask, int)
    return value & mask
