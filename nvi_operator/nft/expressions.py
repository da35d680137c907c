"""The JSON of libnftables to statements, chains and sets of the AST: the one place that knows how nft lists them.

A statement that the ruleset never has becomes `Opaque`, so that a foreign
rule in the table is drift and not a crash. Forms were read off nft 1.0.6 and 1.1.3. `listing.py` reads whole tables.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Literal

from nvi_operator.language.model.packet_fields import DSCP
from nvi_operator.language.model.services import PORT_PROTOCOLS, PROTOCOL_NAMES
from nvi_operator.nft.ast import (
    Assign,
    Chain,
    Concat,
    Count,
    Data,
    Element,
    Field,
    ForeignObject,
    Hash,
    Hook,
    Interval,
    Key,
    Lookup,
    Masked,
    Match,
    NamedSet,
    Nat,
    Notrack,
    Numgen,
    Opaque,
    Parts,
    Redirect,
    Rule,
    SetBits,
    SetRef,
    Shard,
    Statement,
    Value,
    Verdict,
    Vmap,
)
from nvi_operator.nft.shapes import Json, ListingError, is_number, items, member, members, number, single, text, words
from nvi_operator.nft.values import canonical_text, network_value, range_value

Ifindex = Callable[[str], int | None]

_ALL = 0xFFFFFFFF
_ALIASES = {"ipv6-icmp": "icmpv6"}
_SET_OPTIONS = {"auto-merge", "gc-interval", "policy", "stmt", "timeout"}  # that no rendered set has
_BIT_FIELDS = {"ct state", "ct status", "tcp flags"}
_FIB_FLAGS = ["saddr", "daddr", "mark", "iif", "oif"]


# --------------------------------------------------------------------------- chains and sets


def parse_chain(body: Json, rules: Sequence[Rule], ifindex: Ifindex) -> Chain:
    return Chain(text(member(body, "name")), _hook(body), tuple(rules))


def _hook(body: Mapping[str, Json]) -> Hook | None:
    if "hook" not in body:
        return None
    type_, hook, policy = text(member(body, "type")), text(body["hook"]), text(body.get("policy", "accept"))
    return Hook(type_, hook, number(member(body, "prio")), policy)  # type: ignore[arg-type]


def parse_set(body: Json, rules: Sequence[Rule], ifindex: Ifindex) -> NamedSet | ForeignObject:
    """A set or map; a ForeignObject for one of types, flags or elements that the ruleset never has."""
    name, noun = text(member(body, "name")), "map" if "map" in body else "set"
    flags = set(words(body.get("flags", [])))
    unknown = (flags - {"interval"}) | (body.keys() & _SET_OPTIONS)
    if unknown:
        return ForeignObject(noun, name, " ".join(sorted(unknown)))
    try:
        return _named_set(name, body, ifindex, interval="interval" in flags)
    except ListingError:
        return ForeignObject(noun, name)


def _named_set(name: str, body: Mapping[str, Json], ifindex: Ifindex, *, interval: bool) -> NamedSet:
    key_types, data = tuple(words(member(body, "type"))), body.get("map", "")
    # nft 1.0.6 joins the types of concatenated values with dots, 1.1.3 gives a list as for keys.
    value_types = tuple(data.split(" . ") if isinstance(data, str) else words(data)) if data else ()
    elements = frozenset(_element(e, bool(value_types), key_types, ifindex) for e in items(body.get("elem", [])))
    size = None if body.get("size") is None else number(body["size"])
    return NamedSet(name, key_types, elements, value_types, interval, size, shard=Shard.named(name))


def _element(item: Json, is_map: bool, types: tuple[str, ...] = (), ifindex: Ifindex | None = None) -> Element:
    left, right = items(item, 2) if is_map else (item, None)
    if isinstance(left, dict) and "elem" in left:
        left = member(left["elem"], "val")
    return _parts(left, types, ifindex), _data(right) if is_map else None


def _parts(item: Json, types: tuple[str, ...] = (), ifindex: Ifindex | None = None) -> Parts:
    values = items(item["concat"]) if isinstance(item, dict) and "concat" in item else [item]
    padded = types + ("",) * (len(values) - len(types))
    if len(padded) != len(values):
        raise ListingError(f"{item!r} where {len(types)} values should be")
    return tuple(_value(value, type_, ifindex) for value, type_ in zip(values, padded, strict=True))


def _data(item: Json) -> Data:
    if isinstance(item, dict):
        for kind in ("accept", "drop", "return"):
            if kind in item:
                return Verdict(kind)
        if "jump" in item:
            return Verdict("jump", text(member(item["jump"], "target")))
    return _parts(item)


def _value(item: Json, type_: str = "", ifindex: Ifindex | None = None) -> Value:
    plain = is_number(item) or isinstance(item, str)
    if type_ == "inet_proto" and plain:
        # By number (kernel/nft/worker.py); other listings ask /etc/protocols, which has another word for one.
        return PROTOCOL_NAMES.get(int(item), int(item)) if str(item).isdigit() else _ALIASES.get(str(item), str(item))
    if type_ == "iface_index" and plain and ifindex is not None:
        return _index(str(item), ifindex)
    if type_ == "ifname" and plain:
        return str(item)
    if isinstance(item, bool):
        return "exists" if item else "missing"
    if isinstance(item, int):
        return item
    if isinstance(item, str):
        return canonical_text(item)
    noun, body = single(item)
    if noun == "prefix":
        return _prefix(text(member(body, "addr")), number(member(body, "len")))
    if noun == "range":
        return _range(*items(body, 2))
    raise ListingError(f"{item!r} where a value should be")


def _prefix(address: str, length: int) -> str:
    try:
        return network_value(ip_network((address, length)))
    except ValueError as error:
        raise ListingError(f"prefix {address}/{length}: {error}") from error


def _range(first: Json, last: Json) -> Value:
    if is_number(first):
        return Interval(first, number(last))
    try:
        ends = ip_address(text(first)), ip_address(text(last))
    except ValueError as error:
        raise ListingError(f"range {first}-{last}: {error}") from error
    if ends[0].version != ends[1].version or int(ends[0]) > int(ends[1]):
        raise ListingError(f"range {first}-{last}: not from an address to a later one")
    return range_value(*ends)


def _index(name: str, ifindex: Ifindex) -> Value:
    """nft lists the index of an existing interface by name, and any other as the bare number.

    0 is the packet that came in by no interface. The ruleset never names an interface here, so `0` is never one
    that is called 0.
    """
    index = 0 if name == "0" else ifindex(name)
    if index is None and name.isdigit():
        index = int(name)
    return name if index is None else index


# --------------------------------------------------------------------------- rules


def parse_rule(expressions: Json, ifindex: Ifindex) -> Rule:
    return tuple(_statement(expression, ifindex) for expression in items(expressions))


def _statement(expression: Json, ifindex: Ifindex) -> Statement:
    try:
        noun, body = single(expression)
        if noun in _STATEMENTS:
            return _STATEMENTS[noun](body, ifindex)
    except ListingError:
        pass
    return Opaque(json.dumps(expression, sort_keys=True))


def _field(item: Json) -> Field:
    noun, body = single(item)
    if noun == "meta":
        name = text(member(body, "key"))
        return Field(name if name in ("iif", "oif", "iifname", "oifname") else f"meta {name}")
    if noun == "payload" and set(members(body)) == {"protocol", "field"}:
        return Field(f"{text(body['protocol'])} {text(body['field'])}")
    if noun == "tcp option":
        return Field(f"tcp option {text(member(body, 'name'))} {text(member(body, 'field'))}")
    if noun == "rt":
        return Field(f"rt {text(member(body, 'key'))}")
    if noun == "ct":
        direction = [text(body["dir"])] if members(body).get("dir") else []
        return Field(" ".join(("ct", *direction, text(member(body, "key")))))
    if noun == "fib":
        flags = words(member(body, "flags"))
        if set(flags) <= set(_FIB_FLAGS):
            return Field(f"fib {' . '.join(sorted(flags, key=_FIB_FLAGS.index))} {text(member(body, 'result'))}")
    raise ListingError(f"{item!r} where a field should be")


def _key(item: Json) -> Key:
    noun, body = single(item)
    if noun == "&":
        field, mask = items(body, 2)
        return Masked(_field(field), mask if is_number(mask) else text(mask))
    if noun == "concat":
        return Concat(tuple(_field(part) for part in items(body)))
    if noun == "numgen" and not members(body).get("offset"):
        return Numgen(text(member(body, "mode")), number(member(body, "mod")))  # type: ignore[arg-type]
    if noun == "jhash" and set(members(body)) <= {"mod", "expr", "offset", "seed"} and not body.get("offset"):
        inner = members(member(body, "expr"))
        parts = items(inner["concat"]) if "concat" in inner else [inner]
        seed = None if body.get("seed") is None else number(body["seed"])
        return Hash(tuple(_hashed(part) for part in parts), number(member(body, "mod")), seed)
    return _field(item)


def _hashed(part: Json) -> Field:
    """Once a rule has matched a protocol, `th sport` is listed as that protocol's."""
    field = _field(part)
    protocol, _, what = field.name.partition(" ")
    return Field(f"th {what}") if protocol in PORT_PROTOCOLS else field


def _map(item: Json) -> SetRef | frozenset[Element]:
    if isinstance(item, str):
        return SetRef(item.removeprefix("@"))
    return frozenset(_element(element, True) for element in items(member(item, "set")))


def _lookup(item: Json) -> Lookup:
    return Lookup(_key(member(item, "key")), _map(member(item, "data")))


def _match(body: Json, ifindex: Ifindex) -> Statement:
    left = _key(member(body, "left"))
    op, right = text(member(body, "op")), member(body, "right")
    name = left.name if isinstance(left, Field) else ""
    if name in _BIT_FIELDS and op in ("in", "!", "!="):
        return Match(left, "in" if op == "in" else "not in", frozenset(words(right)))
    if op not in ("==", "!="):
        raise ListingError(f"operator {op}")
    if name in ("meta mark", "ct mark") and isinstance(right, dict) and "prefix" in right:
        # `mark & 0x80000000 == 0` is listed as `mark 0x00000000/1`.
        prefix = right["prefix"]
        mask = _ALL << (32 - number(member(prefix, "len"))) & _ALL
        return Match(Masked(Field(name), mask), op, number(member(prefix, "addr")))  # type: ignore[arg-type]
    if isinstance(right, str) and right.startswith("@"):
        return Match(left, op, SetRef(right[1:]))  # type: ignore[arg-type]
    if name in _DSCP_FIELDS:
        several = items(right["set"]) if isinstance(right, dict) and "set" in right else [right]
        numbers = [DSCP[value] if isinstance(value, str) and value in DSCP else number(value) for value in several]
        return Match(left, op, numbers[0] if len(numbers) == 1 else frozenset(numbers))  # type: ignore[arg-type]
    type_ = _VALUE_TYPES.get(name, "")
    if isinstance(right, dict) and "set" in right:
        values = frozenset(_value(value, type_, ifindex) for value in items(right["set"]))
        return Match(left, op, values)  # type: ignore[arg-type]
    return Match(left, op, _value(right, type_, ifindex))  # type: ignore[arg-type]


_DSCP_FIELDS = {"ip dscp", "ip6 dscp"}
_VALUE_TYPES = {
    "meta l4proto": "inet_proto",
    "iif": "iface_index",
    "oif": "iface_index",
    "iifname": "ifname",
    "oifname": "ifname",
}


def _mangle(body: Json, ifindex: Ifindex) -> Statement:
    target, value = _field(member(body, "key")), member(body, "value")
    if is_number(value):
        return Assign(target, value)
    if "map" in members(value):
        return Assign(target, _lookup(value["map"]))
    bits, keep = 0, _ALL
    if "|" in value:
        value, bits = items(value["|"], 2)
    if "&" in members(value):
        value, keep = items(value["&"], 2)
    if _field(value) != target:
        raise ListingError(f"{body!r} writes another field than it reads")
    return SetBits(target, number(bits), _ALL & ~number(keep) & ~bits)


def _nat(kind: Literal["snat", "dnat"]) -> Callable[[Json, Ifindex], Statement]:
    def parse(body: Json, ifindex: Ifindex) -> Statement:
        given, family = member(body, "addr"), text(member(body, "family"))
        if family not in ("ip", "ip6"):
            raise ListingError(f"NAT of family {family}")
        address: Value | Lookup | Field
        if isinstance(given, dict) and "map" in given:
            address = _lookup(given["map"])
        elif isinstance(given, dict) and ("ct" in given or "payload" in given):
            address = _field(given)
        else:
            address = _value(given)
        flags = frozenset(words(body.get("flags", [])))
        ports = None if body.get("port") is None else _value(body["port"])
        if isinstance(ports, str):
            raise ListingError(f"NAT to port {ports}")
        return Nat(
            kind,
            4 if family == "ip" else 6,
            address,
            ports,
            flags - {"netmap"},
            netmap="netmap" in flags,
        )

    return parse


def _redirect(body: Json, ifindex: Ifindex) -> Statement:
    if body is None:
        return Redirect()
    if set(members(body)) != {"port"}:
        raise ListingError(f"a redirect with {sorted(members(body))}")
    return Redirect(number(body["port"]))


def _verdict(kind: str) -> Callable[[Json, Ifindex], Statement]:
    def parse(body: Json, ifindex: Ifindex) -> Statement:
        return Verdict(kind, text(member(body, "target")) if body else None)  # type: ignore[arg-type]

    return parse


_STATEMENTS: Mapping[str, Callable[[Json, Ifindex], Statement]] = {
    "match": _match,
    "mangle": _mangle,
    "vmap": lambda body, ifindex: Vmap(_key(member(body, "key")), _map(member(body, "data"))),
    "counter": lambda body, ifindex: Count(text(body)),
    "notrack": lambda body, ifindex: Notrack(),
    "snat": _nat("snat"),
    "dnat": _nat("dnat"),
    "redirect": _redirect,
    **{kind: _verdict(kind) for kind in ("accept", "drop", "return", "jump")},
}
