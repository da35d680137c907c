"""Do nft statements and matches treat all packets of an established flow alike? Pure.

A cached packet is TCP or UDP of an established flow, has no IP options and no extension headers, is no fragment, has
in TCP ACK and none of SYN, FIN and RST, and the DSCP of the packet that its flow was learned from. What holds for all
such packets of a flow alike is no matter. What is not understood is named, never guessed. docs/how-to/flow-cache.md
has the table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from nvi_operator.dataclass import dataclass
from nvi_operator.topology.blockers import Reason

# sees: it wants every packet that passes it; decides: packets may go on differently;
# prepares: at the first packets, for what is done to all later ones.
Use = Literal["sees", "decides", "prepares"]


@dataclass(frozen=True)
class PerPacketEffect:
    """Something in a rule for which it matters that every packet passes. `word` is nft's own."""

    reason: Reason
    word: str
    use: Use


_VERDICTS = frozenset(
    [
        "accept",
        "drop",
        "reject",
        "jump",
        "goto",
        "return",
        "continue",
        "vmap",
        "snat",
        "dnat",
        "masquerade",
        "redirect",
    ]
)
# `last` is as true as the interval in which a flow is confirmed; the packets of the others never become cached flows.
_HARMLESS = _VERDICTS | {"match", "notrack", "tproxy", "secmark", "last"}
_STATEMENTS: Mapping[str, tuple[Reason, Use]] = {
    "counter": ("counter", "sees"),
    "limit": ("limit", "decides"),
    "quota": ("quota", "decides"),
    "log": ("log", "sees"),
    "queue": ("queue", "sees"),
    "dup": ("dup", "sees"),
    "fwd": ("dup", "sees"),
    "set": ("set_update", "decides"),
    "map": ("set_update", "decides"),
    "meter": ("set_update", "decides"),
    "ct count": ("connlimit", "decides"),
    "reset": ("rewrite", "sees"),
    "flow": ("flowtable", "prepares"),
    "synproxy": ("synproxy", "prepares"),
    "ct helper": ("helper", "prepares"),
    "ct timeout": ("conntrack_timeout", "prepares"),
    "ct expectation": ("helper", "prepares"),
}
_TARGETS: Mapping[str, tuple[Reason, Use] | None] = {
    "LOG": ("log", "sees"),
    "NFLOG": ("log", "sees"),
    "AUDIT": ("log", "sees"),
    "NFQUEUE": ("queue", "sees"),
    "TEE": ("dup", "sees"),
    "TRACE": ("trace", "sees"),
    "SET": ("set_update", "sees"),
    "DSCP": ("rewrite", "sees"),
    "TOS": ("rewrite", "sees"),
    "TTL": ("rewrite", "sees"),
    "HL": ("rewrite", "sees"),
    "SYNPROXY": ("synproxy", "prepares"),
    "CT": ("helper", "prepares"),
    **dict.fromkeys(
        # These do the same to each packet of a flow, or to its first one only; TCPMSS to packets with SYN.
        ["ACCEPT", "DROP", "REJECT", "RETURN", "MARK", "CONNMARK", "CLASSIFY", "NOTRACK", "TCPMSS", "TPROXY",
         "SNAT", "DNAT", "MASQUERADE", "REDIRECT", "NETMAP"],
        None,
    ),
}  # fmt: skip
_MATCHES: Mapping[str, Reason | None] = {
    "limit": "limit",
    "hashlimit": "limit",
    "quota": "quota",
    "connlimit": "connlimit",
    "recent": "set_update",
    "time": "time_match",
    "mac": "mac_match",
    **dict.fromkeys(
        ["length", "tos", "ttl", "hl", "statistic", "string", "connbytes", "u32"], "packet_match"
    ),
    **dict.fromkeys(
        ["addrtype", "comment", "connmark", "conntrack", "devgroup", "dscp", "helper", "iprange", "mark", "multiport",
         "pkttype", "policy", "rpfilter", "set", "socket", "state", "tcp", "udp", "icmp", "icmp6"],
        None,
    ),
}  # fmt: skip

_FLOW_META = frozenset(
    ["iif", "oif", "iifname", "oifname", "iiftype", "oiftype", "iifgroup", "oifgroup", "iifkind", "oifkind", "sdif",
     "sdifname", "ibrname", "obrname", "nfproto", "l4proto", "protocol", "mark", "priority", "skuid", "skgid",
     "cgroup", "rtclassid", "secmark", "secpath", "ipsec", "pkttype", "nftrace"]
)  # fmt: skip
_FLOW_CT = frozenset(
    ["state", "direction", "status", "mark", "zone", "helper", "l3proto", "protocol", "proto-src", "proto-dst",
     "saddr", "daddr", "ip saddr", "ip daddr", "ip6 saddr", "ip6 daddr", "label", "id", "secmark", "event"]
)  # fmt: skip
_FLOW_FIELDS: Mapping[str, frozenset[str]] = {
    "ip": frozenset({"version", "hdrlength", "protocol", "saddr", "daddr", "dscp"}),
    "ip6": frozenset({"version", "nexthdr", "saddr", "daddr", "dscp"}),
    "tcp": frozenset({"sport", "dport"}),
    "udp": frozenset({"sport", "dport"}),
    "th": frozenset({"sport", "dport"}),
    "ether": frozenset({"type", "daddr"}),
}
# Of these there is none in a cached packet, or only other kinds of packets have them.
_ABSENT = frozenset({"arp", "icmp", "icmpv6", "igmp", "sctp", "dccp", "esp", "ah", "comp", "udplite", "vlan"})
_CONSTANT = frozenset({"fib", "rt", "socket", "ipsec", "exthdr", "ip option", "symhash", "osf"})
_TIME = frozenset({"time", "day", "hour"})
_OPERATORS = frozenset({"&", "|", "^", "<<", ">>", "prefix", "range", "set", "concat", "elem", "map", "jhash"})
_INNER = frozenset({"key", "data", "expr", "val", "addr"})


def differs(expression: Any) -> PerPacketEffect | None:
    """The first part of an expression that differs between packets of a flow, or is not known."""
    if isinstance(expression, list):
        return next((found for item in expression if (found := differs(item))), None)
    if not isinstance(expression, dict):
        return None
    for name, body in expression.items():
        if (found := _differs(name, body)) is not None:
            return found
    return None


def _differs(name: str, body: Any) -> PerPacketEffect | None:
    if name in _CONSTANT:
        return None
    if name in _OPERATORS or name in _INNER:
        return differs(body)
    if name == "meta":
        key = body["key"]
        if key in _FLOW_META:
            return None
        return PerPacketEffect("time_match" if key in _TIME else "packet_match", f"meta {key}", "decides")
    if name == "ct":
        return None if body["key"] in _FLOW_CT else PerPacketEffect("packet_match", f"ct {body['key']}", "decides")
    if name == "payload":
        return _payload(body)
    if name == "tcp option":
        return PerPacketEffect("packet_match", f"tcp option {body.get('name', body.get('base'))}", "decides")
    if name == "numgen":
        return PerPacketEffect("packet_match", "numgen", "decides")
    if name in ("len", "mod", "offset", "seed", "timeout", "comment", "counter", "expires"):
        return None
    return PerPacketEffect("unknown", name, "decides")


def _payload(body: Any) -> PerPacketEffect | None:
    protocol, field = body.get("protocol"), body.get("field")
    if "base" in body:
        ports = body["base"] == "th" and body["offset"] + body["len"] <= 32
        return (
            None
            if ports
            else PerPacketEffect("packet_match", f"@{body['base']},{body['offset']},{body['len']}", "decides")
        )
    if "tunnel" not in body and (protocol in _ABSENT or field in _FLOW_FIELDS.get(protocol, ())):
        return None
    return PerPacketEffect("mac_match" if protocol == "ether" else "packet_match", f"{protocol} {field}", "decides")


def effects(kind: str, body: Any) -> Iterator[PerPacketEffect]:
    """The effects of one statement; matches are `differs`."""
    if kind == "mangle":
        yield from _mangle(body)
    elif kind == "xt":
        yield from _extension(body)
    elif kind == "vmap":
        found = differs(body["key"])
        if found is not None:
            yield found
    elif kind in _STATEMENTS:
        yield PerPacketEffect(_STATEMENTS[kind][0], kind, _STATEMENTS[kind][1])
    elif kind not in _HARMLESS:
        yield PerPacketEffect("unknown", kind, "decides")


def _mangle(body: Any) -> Iterator[PerPacketEffect]:
    key, value = body["key"], body["value"]
    name = key.get("meta", key.get("ct", {})).get("key", "")
    if "meta" in key and name in ("mark", "priority"):
        if differs(value) is not None:
            yield PerPacketEffect("mark", f"meta {name} set", "sees")
    elif "meta" in key and name == "nftrace":
        yield PerPacketEffect("trace", "meta nftrace set", "sees")
    elif "ct" in key and name == "helper":
        yield PerPacketEffect("helper", "ct helper set", "prepares")
    elif "ct" in key and name in ("mark", "label", "zone", "event", "secmark"):
        if differs(value) is not None:
            yield PerPacketEffect("mark", f"ct {name} set", "sees")
    elif "tcp option" in key and key["tcp option"].get("name") == "maxseg":
        return  # packets with SYN have it, and these are never cached
    elif "payload" in key or "tcp option" in key or "exthdr" in key:
        what = key.get("payload", {})
        named = " ".join(filter(None, (what.get("protocol"), what.get("field")))) or "payload"
        yield PerPacketEffect("rewrite", f"{named} set", "sees")
    else:
        yield PerPacketEffect("unknown", " ".join([*key, name, "set"]), "decides")


def _extension(body: Any) -> Iterator[PerPacketEffect]:
    """An extension of iptables: nft 1.0.6 prints null, newer versions its type and name."""
    name = body.get("name", "") if isinstance(body, dict) else ""
    if name in _TARGETS:
        found = _TARGETS[name]
        if found is not None:
            yield PerPacketEffect(found[0], name, found[1])
    elif name in _MATCHES and body.get("type") == "match":
        reason = _MATCHES[name]
        if reason is not None:
            yield PerPacketEffect(reason, f"-m {name}", "decides")
    else:
        yield PerPacketEffect("iptables_extension", name or "unnamed", "decides")


# --------------------------------------------------------------------------- what is known of a cached packet

_FLAGS = {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32, "ecn": 64, "cwr": 128}
_SYN_ONLY = frozenset({"maxseg", "window", "sack-perm"})  # TCP options


@dataclass(frozen=True)
class _Known:
    """A field of which some bits are the same in each cached packet; `bits` has their values."""

    width: int  # as a mask
    known: int
    bits: int


_FIELDS = {("tcp", "flags"): _Known(0xFF, 0x17, 0x10), ("ip", "frag-off"): _Known(0xFFFF, 0x3FFF, 0)}


def known_answer(body: Any) -> bool | None:
    """Does this match hold for every cached packet (True), or for none (False)? None: it depends on the packet."""
    op, left, right = body.get("op", "=="), body["left"], body["right"]
    if not isinstance(left, dict) or op not in ("==", "!=", "in", "!"):
        return None
    absent = "exthdr" in left or "ip option" in left or left.get("tcp option", {}).get("name") in _SYN_ONLY
    if absent:
        # A match of what is not there never holds, unless it asks for that.
        return isinstance(right, bool) and right == (op == "!=")
    mask = 0xFFFF
    if "&" in left:
        left, given = left["&"][0], number(left["&"][1])
        if given is None or not isinstance(left, dict):
            return None
        mask = given
    payload = left.get("payload", {})
    field = _FIELDS.get((payload.get("protocol"), payload.get("field")))
    if field is None:
        return None
    values = right["set"] if isinstance(right, dict) and "set" in right else [right]
    answers = [_holds(op in ("in", "!"), number(value), mask & field.width, field) for value in values]
    answer = True if True in answers else None if None in answers else False
    return answer if answer is None or op in ("==", "in") else not answer


def _holds(any_bit: bool, value: int | None, mask: int, field: _Known) -> bool | None:
    """Has the masked field this value, or any bit of it?"""
    if value is None:
        return None
    if any_bit:
        value &= mask
        return True if value & field.bits else None if value & ~field.known else False
    if value & ~mask or (value ^ field.bits) & mask & field.known:
        return False
    return None if mask & ~field.known else True


def number(value: Any) -> int | None:
    """The number of flags as nft prints them: by name, as a list, by `|`, or as a number."""
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        return _FLAGS.get(value)
    parts = value.get("|") if isinstance(value, dict) else value
    if not isinstance(parts, list):
        return None
    numbers = [number(part) for part in parts]
    return None if None in numbers else sum({n for n in numbers if n is not None})
