"""Rules of iptables-nft, whose extensions nft prints in JSON by name only, and as text in full.

The text is nft's own language, so it can be had as JSON after all: it is loaded in a network namespace of
its own, which nothing passes through and which ends with the thread that made it, and listed there. An
extension without a translation (`-m set`) stays as it is, and the checks take it as unknown.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from threading import Thread
from typing import Any

from nvi_operator.kernel.inspect.process import own_namespace, run

_TABLE = "t"
_CHAIN = "nvi-translated"
_HANDLE = " # handle "

NftObjects = Sequence[Mapping[str, Any]]


def translated(objects: NftObjects) -> list[Mapping[str, Any]]:
    """The objects of one table, with extensions in nft's own terms where there are such."""
    opaque = [item["rule"] for item in objects if "rule" in item and _has_extension(item["rule"])]
    if not opaque:
        return list(objects)
    family, table = opaque[0]["family"], opaque[0]["table"]
    code, text, _ = run(["nft", "-a", "-s", "-t", "list", "table", family, table])
    if code:
        return list(objects)
    lines = _by_handle(text)
    rules = {rule["handle"]: lines[rule["handle"]] for rule in opaque if rule["handle"] in lines}
    chains = [item["chain"]["name"] for item in objects if "chain" in item]
    found: dict[int, list[Any]] = {}
    thread = Thread(target=_translate, args=(family, chains, rules, found))
    thread.start()
    thread.join()
    return [_with(item, found) for item in objects]


def _has_extension(rule: Mapping[str, Any]) -> bool:
    return any("xt" in statement for statement in rule.get("expr", ()))


def _with(item: Mapping[str, Any], found: Mapping[int, list[Any]]) -> Mapping[str, Any]:
    rule = item.get("rule")
    if rule is None or rule["handle"] not in found:
        return item
    return {"rule": {**rule, "expr": found[rule["handle"]]}}


def _by_handle(text: str) -> dict[int, str]:
    """Every line with a handle: those of rules are the rules themselves."""
    lines: dict[int, str] = {}
    for line in text.splitlines():
        rule, mark, handle = line.rpartition(_HANDLE)
        # Chains and sets are numbered as well, from the same counter or another; their lines open a block.
        if mark and not rule.endswith("{"):
            lines[int(handle)] = rule.strip()
    return lines


def _translate(family: str, chains: Sequence[str], rules: Mapping[int, str], found: dict[int, list[Any]]) -> None:
    if not own_namespace():
        return
    targets = "".join(f"add chain {family} {_TABLE} {name}\n" for name in (*chains, _CHAIN))
    run(["nft", "-f", "-"], text=f"add table {family} {_TABLE}\n{targets}")
    taken = list(rules)
    if not _add(family, rules.values()):
        taken = [handle for handle, rule in rules.items() if _add(family, [rule])]
    code, output, _ = run(["nft", "-j", "list", "chain", family, _TABLE, _CHAIN])
    listed = [item["rule"]["expr"] for item in json.loads(output)["nftables"] if "rule" in item] if not code else []
    if len(listed) == len(taken):
        found.update(zip(taken, listed, strict=True))


def _add(family: str, rules: Any) -> bool:
    """One transaction: all of them or none."""
    text = "".join(f"add rule {family} {_TABLE} {_CHAIN} {rule}\n" for rule in rules)
    return run(["nft", "-f", "-"], text=text)[0] == 0
