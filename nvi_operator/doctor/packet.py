"""Would this packet match? Three answers: yes, no, and None where it depends on unknown things. Pure.

nft's JSON is judged by structure. An expression that is not understood gives None, never a guess.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_network
from typing import Any, Literal

from nvi_operator.dataclass import dataclass
from nvi_operator.doctor.mark_bits import reads_conntrack
from nvi_operator.doctor.ruleset import ListedRule
from nvi_operator.language.model.values import Address, Family, Network

Answer = bool | None
_L4 = frozenset({"tcp", "udp", "udplite", "sctp", "dccp", "icmp", "icmpv6", "igmp", "esp", "ah", "comp"})
# An interface that no rule names, for packets when there is no spec.
UNNAMED = ""


@dataclass(frozen=True)
class Exact:
    """What one packet holds. Ports are None where its protocol has none."""

    source: Address
    destination: Address
    source_port: int | None
    destination_port: int | None


@dataclass(frozen=True)
class PartialPacket:
    """The known properties of a packet at one hook. None: unknown."""

    family: Family
    stage: Literal[1, 2]
    device: str
    stage_mask: int
    iif: str | None = None
    oif: str | None = None
    ct_state: str | None = None
    protocol: str | None = None
    dnat: Answer = None
    sources: tuple[Network, ...] | None = None
    reverse_path: Answer = None  # does the route back to the source lead through the in-interface?
    exact: Exact | None = None  # of one packet, where that is what is asked about
    destination_port: int | None = None  # of a reply, which a client receives at a port of its own choice

    @property
    def label(self) -> str:
        names = [name or "any" for name in (self.iif, self.oif) if name is not None]
        return " -> ".join(names)


def matches(rule: ListedRule, packet: PartialPacket) -> Answer:
    """Do all the matches of a rule hold?"""
    answers = [(body, holds(body, packet)) for body in rule.bodies("match")]
    if UNNAMED in (packet.iif, packet.oif) and any(_means_gateway(body, packet) for body, answer in answers):
        # The rule was written for this gateway, for interfaces that no spec names here.
        answers = [(body, None if _is_interface(body) and not answer else answer) for body, answer in answers]
    # It is unknown when matches of iptables extensions hold; newer versions of nft tell them from targets.
    unreadable = [None for body in rule.bodies("xt") if not isinstance(body, dict) or body.get("type") == "match"]
    return conjunction([*(answer for _, answer in answers), *unreadable])


def conjunction(answers: Iterable[Answer]) -> Answer:
    found = list(answers)
    if False in found:
        return False
    return None if None in found else True


def element_matches(key: Any, value: Any, packet: PartialPacket) -> Answer:
    """Does the packet match this element of a set or map?"""
    if isinstance(value, dict) and "elem" in value:
        value = value["elem"].get("val")
    return holds({"op": "==", "left": key, "right": value}, packet)


def holds(body: Any, packet: PartialPacket) -> Answer:
    """Does one match hold?"""
    op, left, right = body.get("op", "=="), body["left"], body["right"]
    if isinstance(right, dict) and "set" in right:
        answers = [element_matches(left, item, packet) for item in _items(right["set"])]
        return _negated(op, _any(answers))
    if isinstance(left, dict) and "concat" in left:
        parts = right.get("concat") if isinstance(right, dict) else None
        if not isinstance(parts, list) or len(parts) != len(left["concat"]):
            return None
        pairs = zip(left["concat"], parts, strict=True)
        return _negated(op, conjunction(element_matches(one, part, packet) for one, part in pairs))
    return _field(op, left, right, packet)


def _field(op: str, left: Any, right: Any, packet: PartialPacket) -> Answer:
    if not isinstance(left, dict) or op not in ("==", "in", "!=", "!"):
        return None
    if "payload" in left:
        return _payload(op, left["payload"], right, packet)
    if "fib" in left:
        return _fib(op, left["fib"], right, packet)
    if left.get("ct", {}).get("key") == "state":
        return _state(op, right, packet)
    if reads_conntrack(left):
        if packet.stage == 2 and packet.ct_state == "untracked":
            return False
        if left.get("ct", {}).get("key") == "status" and right == "dnat":
            return _negated(op, packet.dnat)
        return None
    mark = mark_match(left, right)
    if mark is not None:
        return _mark(op, *mark, packet)
    key = left.get("meta", {}).get("key")
    if key in ("iifname", "iif", "oifname", "oif"):
        return _negated(op, _name(packet.iif if key.startswith("iif") else packet.oif, right))
    if key == "nfproto":
        return _negated(op, right == f"ipv{packet.family}" if isinstance(right, str) else None)
    if key == "protocol":
        return _negated(op, right == ("ip" if packet.family == 4 else "ip6") if isinstance(right, str) else None)
    if key == "l4proto":
        return _negated(op, _is_protocol(packet, right))
    return None


def _is_protocol(packet: PartialPacket, name: Any) -> Answer:
    return None if packet.protocol is None or not isinstance(name, str) else packet.protocol == name


def mark_match(left: Any, right: Any) -> tuple[int, int] | None:
    """(mask, value) of a comparison of the packet mark with a constant; None for anything else."""
    mask = 0xFFFFFFFF
    if isinstance(left, dict) and "&" in left and isinstance(left["&"][-1], int):
        mask, left = left["&"][-1], left["&"][0]
    if not isinstance(left, dict) or left.get("meta") != {"key": "mark"}:
        return None
    if isinstance(right, dict) and "prefix" in right:
        # nft 1.0.6 lists a mask of leading ones so: `& 0x80000000 == 0` as 0/1.
        length = right["prefix"]["len"]
        return (0xFFFFFFFF << (32 - length)) & 0xFFFFFFFF, int(right["prefix"]["addr"])
    return (mask, right) if isinstance(right, int) else None


def _mark(op: str, mask: int, value: int, packet: PartialPacket) -> Answer:
    """Only the stage bit is known."""
    has = packet.stage_mask if packet.stage == 2 else 0
    known = mask & packet.stage_mask
    if has & known != value & known:
        return _negated(op, False)
    return _negated(op, True if mask == known else None)


def _state(op: str, right: Any, packet: PartialPacket) -> Answer:
    if packet.ct_state is None:
        return None
    if isinstance(right, dict) and "|" in right:
        # `!= established | related` compares the whole, and a packet has one state only.
        return _negated(op, False)
    states = [right] if isinstance(right, str) else right
    if not isinstance(states, list):
        return None
    return _negated("!=" if op == "!" else op, packet.ct_state in states)


def _payload(op: str, body: Any, right: Any, packet: PartialPacket) -> Answer:
    protocol = body.get("protocol")
    if protocol in ("ip", "ip6") and protocol != ("ip" if packet.family == 4 else "ip6"):
        return False
    if protocol in _L4 and packet.protocol not in (None, protocol):
        return False
    if body.get("field") in ("protocol", "nexthdr"):
        return _negated(op, _is_protocol(packet, right))
    if packet.exact is not None:
        return _negated(op, _exactly(packet.exact, str(body.get("field")), right))
    if body.get("field") == "dport" and packet.destination_port is not None:
        return _negated(op, _is_port(packet.destination_port, right))
    if body.get("field") == "saddr" and packet.sources is not None:
        network = as_network(right)
        if network is not None:
            sources = [n for n in packet.sources if n.version == network.version]
            return _negated(op, None if any(network.overlaps(n) for n in sources) else False)
    return None


def _exactly(packet: Exact, field: str, right: Any) -> Answer:
    """Has the packet this address or port?"""
    if field in ("saddr", "daddr"):
        address = packet.source if field == "saddr" else packet.destination
        if isinstance(right, dict) and "range" in right:
            first, last = map(as_network, right["range"])
            return None if first is None or last is None else int(first[0]) <= int(address) <= int(last[0])
        network = as_network(right)
        return None if network is None else address in network
    if field in ("sport", "dport"):
        port = packet.source_port if field == "sport" else packet.destination_port
        return False if port is None else _is_port(port, right)
    return None


def _is_port(port: int, right: Any) -> Answer:
    if isinstance(right, dict) and "range" in right:
        first, last = right["range"]
        return first <= port <= last if isinstance(first, int) and isinstance(last, int) else None
    return port == right if isinstance(right, int) else None


def as_network(value: Any) -> Network | None:
    """An address or a prefix of an nft expression."""
    if isinstance(value, dict) and "prefix" in value:
        return ip_network(f"{value['prefix']['addr']}/{value['prefix']['len']}", strict=False)
    if isinstance(value, str) and not value.startswith("@"):
        try:
            return ip_network(value)
        except ValueError:
            return None  # a host name, or a symbolic name of nft
    return None


def _fib(op: str, body: Any, right: Any, packet: PartialPacket) -> Answer:
    """`fib saddr . iif oif missing`, with or without mark: strict reverse-path filtering."""
    flags = body.get("flags", [])
    if body.get("result") != "oif" or "saddr" not in flags or "iif" not in flags or packet.reverse_path is None:
        return None
    if right == "0":
        right = False  # how iptables' rpfilter reads once it is translated
    return _negated(op, right == packet.reverse_path) if isinstance(right, bool) else None


def _name(actual: str | None, pattern: Any) -> Answer:
    if not isinstance(pattern, str) or pattern.startswith("@") or actual is None:
        return None
    if pattern.endswith("*"):
        return actual != UNNAMED and actual.startswith(pattern[:-1])
    return actual == pattern


def _means_gateway(body: Any, packet: PartialPacket) -> bool:
    """Does a match name the device, the state or the mark that only packets of the gateway have?"""
    if not holds(body, packet):
        return False
    left = body["left"]
    if _is_interface(body):
        return packet.device in _items(body["right"].get("set") if isinstance(body["right"], dict) else body["right"])
    if left.get("ct", {}).get("key") == "state":
        return body.get("op") not in ("!=", "!") and packet.ct_state == "untracked"
    mark = mark_match(left, body["right"])
    return mark is not None and mark[0] == packet.stage_mask


def _is_interface(body: Any) -> bool:
    left = body["left"]
    return isinstance(left, dict) and left.get("meta", {}).get("key") in ("iifname", "iif", "oifname", "oif")


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _any(answers: list[Answer]) -> Answer:
    if True in answers:
        return True
    return None if None in answers else False


def _negated(op: str, answer: Answer) -> Answer:
    if answer is None or op not in ("!=", "!"):
        return answer
    return not answer
