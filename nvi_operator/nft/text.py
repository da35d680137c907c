"""AST to nft text. Every value of a spec was parsed before it gets here; the names are the ruleset's own.

Text, because it is nft's complete input format: JSON cannot create maps with concatenated data in nft 1.0.6.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from ipaddress import ip_network

from nvi_operator.nft.ast import (
    Assign,
    Chain,
    Concat,
    Count,
    Data,
    Element,
    Field,
    Hash,
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
    Statement,
    Value,
    Verdict,
    Vmap,
)

_INDEX = "iface_index"
_TYPE_OF_FIELD = {"iifname": "ifname", "oifname": "ifname", "iif": _INDEX, "oif": _INDEX}
_ADDRESSES_4 = {"ip saddr", "ip daddr"}
_MARK_FIELDS = {"meta mark", "ct mark"}
_FAMILY = {4: "ip", 6: "ip6"}


def _scalar(value: int | str, type_: str = "") -> str:
    if type_ == _INDEX and isinstance(value, int):
        # nft looks for an interface of that name before it takes the number for an index. No interface has a blank
        # in its name, and strtol(3) skips it.
        return '"lo"' if value == 1 else f'" {value}"'
    if type_ == "ifname":
        return f'"{value}"'
    return f"{value:#010x}" if type_ == "mark" and isinstance(value, int) else str(value)


def value_text(value: Value, type_: str = "") -> str:
    """`type_` is nft's name of the type, where the text depends on it."""
    if isinstance(value, Interval):
        return f"{_scalar(value.first, type_)}-{_scalar(value.last, type_)}"
    return _scalar(value, type_)


def key_text(key: Key) -> str:
    match key:
        case Field(name):
            return name
        case Masked(of, mask):
            return f"{of.name} & {_scalar(mask, 'mark')}"
        case Concat(fields):
            return " . ".join(part.name for part in fields)
        case Numgen(mode, mod):
            return f"numgen {mode} mod {mod}"
        case Hash(fields, mod, seed):
            seeded = "" if seed is None else f" seed {seed:#x}"
            return f"jhash {' . '.join(part.name for part in fields)} mod {mod}{seeded}"


def _sort_key(value: Value) -> tuple[int, int, str]:
    if isinstance(value, Interval):
        value = value.first
    return (0, value, "") if isinstance(value, int) else (1, 0, value)


def element_order(element: Element) -> list[tuple[int, int, str]]:
    return [_sort_key(part) for part in element[0]]


def _parts_text(parts: Parts, types: tuple[str, ...]) -> str:
    """`types` are nft type names where they are known, as in a named set."""
    padded = types + ("",) * (len(parts) - len(types))
    return " . ".join(value_text(part, type_) for part, type_ in zip(parts, padded, strict=True))


def _data_text(data: Data, types: tuple[str, ...]) -> str:
    if isinstance(data, Verdict):
        return verdict_text(data)
    return _parts_text(data or (), types)


def element_text(element: Element, key: tuple[str, ...], values: tuple[str, ...]) -> str:
    parts, data = element
    left = _parts_text(parts, key)
    return left if data is None else f"{left} : {_data_text(data, values)}"


def elements_text(elements: Iterable[Element], key: tuple[str, ...], values: tuple[str, ...]) -> str:
    ordered = sorted(elements, key=lambda element: (element_order(element), str(element[1])))
    return ", ".join(element_text(element, key, values) for element in ordered)


def verdict_text(verdict: Verdict) -> str:
    return f"{verdict.kind} {verdict.target}" if verdict.target else verdict.kind


def _anonymous_key_types(key: Key) -> tuple[str, ...]:
    fields = key.fields if isinstance(key, Concat) else (key,)
    return tuple(_TYPE_OF_FIELD.get(part.name, "") if isinstance(part, Field) else "" for part in fields)


def _map_text(key: Key, table: SetRef | frozenset[Element]) -> str:
    if isinstance(table, SetRef):
        return f"@{table.name}"
    return f"{{ {elements_text(table, _anonymous_key_types(key), ())} }}"


def _match_text(match: Match) -> str:
    left = key_text(match.left)
    mark = isinstance(match.left, Masked) or left in _MARK_FIELDS
    type_ = "mark" if mark else _TYPE_OF_FIELD.get(left, "")
    right = match.right
    if left in _ADDRESSES_4 and isinstance(right, str) and right.endswith("/24"):
        # For a /24 nft loads three bytes, which the kernel has no fast path for: it takes three times as long as
        # four bytes and a mask. Both are listed as the prefix.
        return f"{left} & 255.255.255.0 {match.op} {right.removesuffix('/24')}"
    if isinstance(right, SetRef):
        operand = f"@{right.name}"
    elif isinstance(right, frozenset):
        values = [value_text(v, type_) for v in sorted(right, key=_sort_key)]
        operand = ",".join(values) if match.op in ("in", "not in") else f"{{ {', '.join(values)} }}"
    else:
        operand = value_text(right, type_)
    operator = {"==": " ", "!=": " != ", "in": " ", "not in": " ! "}[match.op]
    if isinstance(match.left, Masked):
        operator = f" {match.op} "
    return f"{left}{operator}{operand}"


def _nat_text(nat: Nat) -> str:
    if isinstance(nat.address, Lookup):
        address = f"{key_text(nat.address.key)} map {_map_text(nat.address.key, nat.address.map)}"
    elif isinstance(nat.address, Field):
        address = nat.address.name
    else:
        address = _with_ports(nat.address, nat.family) if nat.ports is not None else value_text(nat.address)
    ports = "" if nat.ports is None else f":{value_text(nat.ports)}"
    flags = f" {','.join(sorted(nat.flags))}" if nat.flags else ""
    netmap = "prefix " if nat.netmap else ""
    return f"{nat.kind} {_FAMILY[nat.family]} {netmap}to {address}{ports}{flags}"


def _with_ports(address: Value, family: int) -> str:
    """Before ports a prefix is written as a range: nft reads `/28:9999` as one word."""
    ends: tuple[object, ...] = (address,)
    if isinstance(address, Interval):
        ends = address.first, address.last
    elif "/" in str(address):
        network = ip_network(address)
        ends = network[0], network[-1]
    return "-".join(f"[{end}]" if family == 6 else f"{end}" for end in ends)


def statement_text(statement: Statement) -> str:
    match statement:
        case Match():
            return _match_text(statement)
        case Verdict():
            return verdict_text(statement)
        case Notrack():
            return "notrack"
        case Count(counter):
            return f'counter name "{counter}"'
        case Assign(target, Lookup(key, table)):
            return f"{target.name} set {key_text(key)} map {_map_text(key, table)}"
        case Assign(target, int() as value):
            return f"{target.name} set {value_text(value, 'mark' if target.name in _MARK_FIELDS else '')}"
        case SetBits(target, bits, clear):
            kept = f"{target.name} & {0xFFFFFFFF & ~clear:#010x}" if clear else target.name
            return f"{target.name} set {kept} | {bits:#010x}" if bits else f"{target.name} set {kept}"
        case Nat():
            return _nat_text(statement)
        case Redirect(port):
            return "redirect" if port is None else f"redirect to :{port}"
        case Vmap(key, table):
            return f"{key_text(key)} vmap {_map_text(key, table)}"
        case Opaque(json):
            return f"# {json}"
        case _:
            raise AssertionError(f"no text for {statement!r}")


def rule_text(rule: Rule) -> str:
    return " ".join(statement_text(statement) for statement in rule)


def _check_written(type_: type, *names: str) -> None:
    """TypeError if a class has fields besides these, which its text would drop."""
    missing = {field.name for field in fields(type_)} - set(names)
    if missing:
        raise TypeError(f"nft text: {type_.__name__}: no text for {', '.join(sorted(missing))}")


def set_definition(named: NamedSet) -> str:
    """The body of `add set` or `add map`, without elements."""
    _check_written(type(named), "name", "key", "elements", "values", "interval", "size", "prefix_values", "shard")
    type_ = " . ".join(named.key)
    if named.values:
        type_ += f" : {'interval ' if named.prefix_values else ''}{' . '.join(named.values)}"
    size = f" size {named.size};" if named.size else ""
    flags = " flags interval;" if named.interval else ""
    return f"type {type_};{size}{flags}"


def chain_definition(chain: Chain) -> str:
    """The body of `add chain`, without rules."""
    _check_written(type(chain), "name", "hook", "rules")
    if chain.hook is None:
        return ""
    hook = chain.hook
    _check_written(type(hook), "type", "hook", "priority", "policy")
    return f"type {hook.type} hook {hook.hook} priority {hook.priority}; policy {hook.policy};"
