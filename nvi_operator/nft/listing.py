"""libnftables' JSON listing of a table to AST: the one place that knows how nft lists what it was given.

Total: what is not in our vocabulary becomes `Opaque`, so that a foreign rule in our table is drift and
not a crash. Forms were read off nft 1.0.6 and 1.1.3.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

from nvi_operator.language.model.values import PORT_PROTOCOLS
from nvi_operator.nft.ast import (
    Assign,
    Chain,
    Concat,
    Count,
    Data,
    Element,
    Field,
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
    Rule,
    SetBits,
    SetRef,
    Statement,
    Table,
    Value,
    Verdict,
    Vmap,
)
from nvi_operator.nft.values import PROTOCOLS, canonical_text, network_value, range_value

Json = Any
Ifindex = Callable[[str], int | None]

_ALL = 0xFFFFFFFF
_ALIASES = {"ipv6-icmp": "icmpv6"}
_BIT_FIELDS = {"ct state", "ct status", "tcp flags"}


class _UnknownFormError(Exception):
    """A JSON form that we never write."""


def parse_table(objects: Sequence[Mapping[str, Json]], name: str, ifindex: Ifindex) -> Table | None:
    """The table `inet name` of a listing; None if it is not there.

    `ifindex` turns an interface's name into its number: nft lists elements of type iface_index by name. The table's
    flags are not taken from here: nft 1.0.6 prints any bytes for them (see `with_flags`).
    """
    counters: set[str] = set()
    sets: set[NamedSet] = set()
    chains: dict[str, tuple[Hook | None, list[Rule]]] = {}
    present = False
    for entry in objects:
        ((noun, body),) = entry.items()
        if noun == "metainfo" or body.get("family") != "inet" or body.get("table", body.get("name")) != name:
            continue
        present = True
        if noun == "counter":
            counters.add(body["name"])
        elif noun in ("set", "map"):
            try:
                sets.add(_named_set(body, ifindex))
            except (_UnknownFormError, AttributeError, KeyError, TypeError, ValueError):
                sets.add(NamedSet(f"{noun} {body['name']}", (), frozenset()))
        elif noun == "chain":
            chains[body["name"]] = (_hook(body), [])
        elif noun == "rule":
            chains[body["chain"]][1].append(_rule(body["expr"], ifindex))
        elif noun != "table":
            sets.add(NamedSet(f"{noun} {body.get('name')}", (), frozenset()))
    if not present:
        return None
    return Table(
        name,
        frozenset(counters),
        frozenset(sets),
        frozenset(Chain(n, hook, tuple(rules)) for n, (hook, rules) in chains.items()),
    )


def with_flags(table: Table, flags: Collection[str]) -> Table:
    """The table with the flags that the kernel says. We set none: dormant, for one, puts nothing of it in force."""
    if not flags:
        return table
    return replace(table, sets=table.sets | {NamedSet(" ".join(("table", *sorted(flags))), (), frozenset())})


def _hook(body: Mapping[str, Json]) -> Hook | None:
    if "hook" not in body:
        return None
    return Hook(body["type"], body["hook"], body["prio"], body.get("policy", "accept"))


def _named_set(body: Mapping[str, Json], ifindex: Ifindex) -> NamedSet:
    key = body["type"]
    key_types = (key,) if isinstance(key, str) else tuple(key)
    data = body.get("map", "")
    # nft 1.0.6 joins the types of concatenated values with dots, 1.1.3 gives a list as for keys.
    value_types = tuple(data.split(" . ") if isinstance(data, str) else data) if data else ()
    flags = set(body.get("flags", ()))
    elements = frozenset(_element(item, bool(value_types), key_types, ifindex) for item in body.get("elem", ()))
    return NamedSet(
        body["name"] + "".join(f" {flag}" for flag in sorted(flags - {"interval"})),
        key_types,
        elements,
        value_types,
        interval="interval" in flags,
        size=body.get("size"),
    )


def _element(item: Json, is_map: bool, types: tuple[str, ...], ifindex: Ifindex) -> Element:
    left, right = item if is_map else (item, None)
    if isinstance(left, dict) and "elem" in left:
        left = left["elem"]["val"]
    return _parts(left, types, ifindex), _data(right) if is_map else None


def _parts(item: Json, types: tuple[str, ...] = (), ifindex: Ifindex | None = None) -> Parts:
    values = item["concat"] if isinstance(item, dict) and "concat" in item else [item]
    padded = types + ("",) * (len(values) - len(types))
    return tuple(_value(value, type_, ifindex) for value, type_ in zip(values, padded, strict=True))


def _data(item: Json) -> Data:
    if isinstance(item, dict):
        for kind in ("accept", "drop", "return"):
            if kind in item:
                return Verdict(kind)
        if "jump" in item:
            return Verdict("jump", item["jump"]["target"])
    return _parts(item)


def _value(item: Json, type_: str = "", ifindex: Ifindex | None = None) -> Value:
    if type_ == "inet_proto" and isinstance(item, int | str):
        # nft asks /etc/protocols, which has another word for one, and which a small system lacks.
        return PROTOCOLS.get(int(item), int(item)) if str(item).isdigit() else _ALIASES.get(str(item), str(item))
    if type_ == "iface_index" and ifindex is not None:
        return _index(str(item), ifindex)
    if type_ == "ifname":
        return str(item)
    if isinstance(item, bool):
        return "exists" if item else "missing"
    if isinstance(item, int):
        return item
    if isinstance(item, str):
        return canonical_text(item)
    if isinstance(item, dict) and set(item) == {"prefix"}:
        return network_value(ip_network((item["prefix"]["addr"], item["prefix"]["len"])))
    if isinstance(item, dict) and set(item) == {"range"}:
        first, last = item["range"]
        if isinstance(first, int):
            return Interval(first, last)
        return range_value(ip_address(first), ip_address(last))
    raise _UnknownFormError(item)


def _index(text: str, ifindex: Ifindex) -> Value:
    """nft has a name for every index that an interface has now, and the bare number for others.

    0 is the packet that came in by none. We never ask for an interface by name, so it is not one that is called 0.
    """
    number = 0 if text == "0" else ifindex(text)
    if number is None and text.isdigit():
        number = int(text)
    return text if number is None else number


# --------------------------------------------------------------------------- rules


def _rule(expressions: Sequence[Json], ifindex: Ifindex) -> Rule:
    return tuple(_statement(expression, ifindex) for expression in expressions)


def _statement(expression: Json, ifindex: Ifindex) -> Statement:
    try:
        ((noun, body),) = expression.items()
        parse = _STATEMENTS.get(noun)
        if parse is None:
            raise _UnknownFormError(expression)
        statement = parse(body, ifindex)
        hash(statement)  # a list where we write a value is none of ours
        return statement
    except (_UnknownFormError, AttributeError, KeyError, TypeError, ValueError):
        return Opaque(json.dumps(expression, sort_keys=True))


def _field(item: Json) -> Field:
    ((noun, body),) = item.items()
    if noun == "meta":
        name = body["key"]
        return Field(name if name in ("iif", "oif", "iifname", "oifname") else f"meta {name}")
    if noun == "payload" and set(body) == {"protocol", "field"}:
        return Field(f"{body['protocol']} {body['field']}")
    if noun == "rt":
        return Field(f"rt {body['key']}")
    if noun == "ct":
        return Field(" ".join(word for word in ("ct", body.get("dir"), body["key"]) if word))
    if noun == "fib":
        flags = " . ".join(sorted(body["flags"], key=["saddr", "daddr", "mark", "iif", "oif"].index))
        return Field(f"fib {flags} {body['result']}")
    raise _UnknownFormError(item)


def _key(item: Json) -> Key:
    ((noun, body),) = item.items()
    if noun == "&":
        return Masked(_field(body[0]), body[1])
    if noun == "concat":
        return Concat(tuple(_field(part) for part in body))
    if noun == "numgen":
        if body.get("offset"):
            raise _UnknownFormError(item)
        return Numgen(body["mode"], body["mod"])
    if noun == "jhash":
        if set(body) - {"mod", "expr", "offset", "seed"} or body.get("offset"):
            raise _UnknownFormError(item)
        inner = body["expr"]
        parts = inner.get("concat", [inner])
        return Hash(tuple(_hashed(part) for part in parts), body["mod"], body.get("seed"))
    return _field(item)


def _hashed(part: Json) -> Field:
    """Once a rule has matched a protocol, `th sport` is listed as that protocol's."""
    field = _field(part)
    protocol, _, what = field.name.partition(" ")
    return Field(f"th {what}") if protocol in PORT_PROTOCOLS else field


def _map(item: Json) -> SetRef | frozenset[Element]:
    if isinstance(item, str):
        return SetRef(item.removeprefix("@"))
    return frozenset(_element(element, True, (), lambda _: None) for element in item["set"])


def _lookup(item: Json) -> Lookup:
    return Lookup(_key(item["key"]), _map(item["data"]))


def _match(body: Json, ifindex: Ifindex) -> Statement:
    left = _key(body["left"])
    op, right = body["op"], body["right"]
    name = left.name if isinstance(left, Field) else ""
    if name in _BIT_FIELDS and op in ("in", "!", "!="):
        bits = right if isinstance(right, list) else [right]
        return Match(left, "in" if op == "in" else "not in", frozenset(bits))
    if op not in ("==", "!="):
        raise _UnknownFormError(body)
    if name in ("meta mark", "ct mark") and isinstance(right, dict) and "prefix" in right:
        # `mark & 0x80000000 == 0` is listed as `mark 0x00000000/1`.
        mask = _ALL << (32 - right["prefix"]["len"]) & _ALL
        return Match(Masked(Field(name), mask), op, right["prefix"]["addr"])
    if isinstance(right, str) and right.startswith("@"):
        return Match(left, op, SetRef(right[1:]))
    type_ = _VALUE_TYPES.get(name, "")
    if isinstance(right, dict) and "set" in right:
        return Match(left, op, frozenset(_value(value, type_, ifindex) for value in right["set"]))
    return Match(left, op, _value(right, type_, ifindex))


_VALUE_TYPES = {
    "meta l4proto": "inet_proto",
    "iif": "iface_index",
    "oif": "iface_index",
    "iifname": "ifname",
    "oifname": "ifname",
}


def _mangle(body: Json, ifindex: Ifindex) -> Statement:
    target, value = _field(body["key"]), body["value"]
    if isinstance(value, int):
        return Assign(target, value)
    if "map" in value:
        return Assign(target, _lookup(value["map"]))
    bits, keep = 0, _ALL
    if "|" in value:
        value, bits = value["|"]
    if "&" in value:
        value, keep = value["&"]
    if _field(value) != target:
        raise _UnknownFormError(body)
    return SetBits(target, bits, _ALL & ~keep & ~bits)


def _nat(kind: str) -> Callable[[Json, Ifindex], Statement]:
    def parse(body: Json, ifindex: Ifindex) -> Statement:
        if "family" not in body or "addr" not in body:
            raise _UnknownFormError(body)
        given = body["addr"]
        address: Value | Lookup | Field
        if isinstance(given, dict) and "map" in given:
            address = _lookup(given["map"])
        elif isinstance(given, dict) and ("ct" in given or "payload" in given):
            address = _field(given)
        else:
            address = _value(given)
        raw = body.get("flags", ())
        flags = frozenset([raw] if isinstance(raw, str) else raw)
        ports = body.get("port")
        return Nat(
            kind,  # type: ignore[arg-type]
            4 if body["family"] == "ip" else 6,
            address,
            None if ports is None else _value(ports),  # type: ignore[arg-type]
            flags - {"netmap"},
            netmap="netmap" in flags,
        )

    return parse


def _verdict(kind: str) -> Callable[[Json, Ifindex], Statement]:
    return lambda body, ifindex: Verdict(kind, body["target"] if body else None)  # type: ignore[arg-type]


def _count(body: Json, ifindex: Ifindex) -> Statement:
    if not isinstance(body, str):
        raise _UnknownFormError(body)
    return Count(body)


_STATEMENTS: Mapping[str, Callable[[Json, Ifindex], Statement]] = {
    "match": _match,
    "mangle": _mangle,
    "vmap": lambda body, ifindex: Vmap(_key(body["key"]), _map(body["data"])),
    "counter": _count,
    "notrack": lambda body, ifindex: Notrack(),
    "snat": _nat("snat"),
    "dnat": _nat("dnat"),
    **{kind: _verdict(kind) for kind in ("accept", "drop", "return", "jump")},
}
