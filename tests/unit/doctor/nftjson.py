"""The JSON that nft prints, written short: for rulesets made by hand."""

from __future__ import annotations

from typing import Any

Statement = dict[str, Any]

ACCEPT: Statement = {"accept": None}
DROP: Statement = {"drop": None}
MARK: Statement = {"meta": {"key": "mark"}}
STATE: Statement = {"ct": {"key": "state"}}


def table(*chains: list[Statement], family: str = "inet", name: str = "t") -> tuple[Statement, ...]:
    objects: list[Statement] = [{"table": {"family": family, "name": name}}]
    for handle, item in enumerate((item for chain in chains for item in chain), start=1):
        ((kind, body),) = item.items()
        objects.append({kind: {**body, "family": family, "table": name, "handle": handle}})
    return tuple(objects)


def chain(
    name: str,
    *rules: list[Statement],
    hook: str | None = None,
    prio: int = 0,
    type_: str = "filter",
    policy: str = "",
) -> list[Statement]:
    head: Statement = {"name": name}
    if hook:
        head |= {"type": type_, "hook": hook, "prio": prio, "policy": policy or "accept"}
    return [{"chain": head}, *({"rule": {"chain": name, "expr": rule}} for rule in rules)]


def match(left: Any, right: Any, op: str = "==") -> Statement:
    return {"match": {"op": op, "left": left, "right": right}}


def meta(key: str, right: Any, op: str = "==") -> Statement:
    return match({"meta": {"key": key}}, right, op)


def payload(protocol: str, field: str, right: Any, op: str = "==") -> Statement:
    return match({"payload": {"protocol": protocol, "field": field}}, right, op)


def set_mark(value: Any) -> Statement:
    return {"mangle": {"key": MARK, "value": value}}


def jump(target: str) -> Statement:
    return {"jump": {"target": target}}
