"""What the kernel reports of a traced packet: each rule that matched, and each chain that it left. Pure.

Source: nf_tables_trace.c, include/uapi/linux/netfilter/nf_tables.h (NFTA_TRACE_*).
"""

from __future__ import annotations

import struct
from typing import Literal

from nvi_operator.dataclass import dataclass
from nvi_operator.nft.wire.attributes import WireError, attributes, read_number, read_text
from nvi_operator.nft.wire.tables import FAMILIES

GROUP = 9  # NFNLGRP_NFTRACE
_MESSAGE = 10 << 8 | 17  # NFNL_SUBSYS_NFTABLES, NFT_MSG_TRACE
_TABLE, _CHAIN, _HANDLE, _TYPE, _VERDICT, _ID, _NETWORK, _TRANSPORT = 1, 2, 3, 4, 5, 6, 8, 9
_IIF, _OIF, _MARK, _POLICY = 10, 12, 14, 16
_RULE_CHAIN, _RULE_HANDLE = 2, 3  # NFTA_RULE_*
_CHAIN_NAME, _CHAIN_HOOK, _HOOK_NUMBER = 3, 4, 1  # NFTA_CHAIN_*, NFTA_HOOK_*
_CODE, _TARGET = 1, 2  # NFTA_VERDICT_*
_KINDS: dict[int, Literal["policy", "return", "rule"]] = {1: "policy", 2: "return", 3: "rule"}
# NF_* and NFT_* of include/uapi/linux/netfilter.h and nf_tables.h; drop may have an errno in its upper half.
_VERDICTS = {0: "drop", 1: "accept", 2: "stolen", 3: "queue", -1: "continue", -3: "jump", -4: "goto", -5: "return"}
_HOOKS = ("prerouting", "input", "forward", "output", "postrouting", "ingress")


@dataclass(frozen=True)
class TraceEvent:
    """One report about a packet in one chain.

    packet: tells it from others, in one pass. handle: of the rule that matched; None at the end of a chain. headers:
    the IP header and the first bytes behind it, as the chain got them; empty but in the first report of a base chain.
    iif and oif are indexes of interfaces, 0 where it has none. `mark` is the one before the rule.
    """

    packet: int
    family: str
    table: str
    chain: str
    kind: Literal["policy", "return", "rule"]
    handle: int | None
    verdict: str
    target: str | None
    headers: bytes
    iif: int
    oif: int
    mark: int


def trace_event(message: bytes) -> TraceEvent | None:
    """Parse a netlink message, from its header on; None for any other, and for one that is cut."""
    if len(message) < 20 or struct.unpack_from("=H", message, 4)[0] != _MESSAGE:
        return None
    try:
        found = dict(attributes(message[20:]))
        verdict = dict(attributes(found.get(_VERDICT, b"")))
    except WireError:
        return None
    code = _signed(verdict[_CODE]) if _CODE in verdict else _signed(found[_POLICY]) if _POLICY in found else -5
    return TraceEvent(
        read_number(found.get(_ID, b"")),
        FAMILIES.get(message[16], f"family {message[16]}"),
        read_text(found.get(_TABLE, b"")),
        read_text(found.get(_CHAIN, b"")),
        # The end of a chain is also told as a rule without a handle (Linux 6.18).
        _KINDS.get(read_number(found.get(_TYPE, b"")), "return")
        if _HANDLE in found or _POLICY in found
        else "return",
        read_number(found[_HANDLE]) if _HANDLE in found else None,
        "drop" if code >= 0 and code & 0xFF == 0 else _VERDICTS.get(code, str(code)),
        read_text(verdict[_TARGET]) if _TARGET in verdict else None,
        found.get(_NETWORK, b"") + found.get(_TRANSPORT, b""),
        read_number(found.get(_IIF, b"")),
        read_number(found.get(_OIF, b"")),
        read_number(found.get(_MARK, b"")),
    )


def rule_place(body: bytes) -> tuple[str, int]:
    """The chain and the handle of a rule, from a message of NFT_MSG_GETRULE."""
    found = dict(attributes(body[4:]))
    return read_text(found[_RULE_CHAIN]), read_number(found[_RULE_HANDLE])


def base_chain(body: bytes) -> tuple[tuple[str, str, str], str] | None:
    """Family, table and name of a base chain, and its hook, from a message of NFT_MSG_GETCHAIN."""
    found = dict(attributes(body[4:]))
    hook = dict(attributes(found.get(_CHAIN_HOOK, b"")))
    if _HOOK_NUMBER not in hook:
        return None
    number = read_number(hook[_HOOK_NUMBER])
    family = FAMILIES.get(body[0], f"family {body[0]}")
    name = _HOOKS[number] if number < len(_HOOKS) else f"hook {number}"
    return (family, read_text(found[1]), read_text(found[_CHAIN_NAME])), name


def _signed(payload: bytes) -> int:
    return int.from_bytes(payload, "big", signed=True)
