"""nfnetlink messages about tables and chains: what libnftables omits or gets wrong in its listings. Pure.

Source: include/uapi/linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

import sys

from nvi_operator.dataclass import dataclass
from nvi_operator.nft.wire.attributes import attribute, attributes, read_number, read_text
from nvi_operator.nft.wire.messages import TABLE_NAME, message

_REQUEST, _DUMP = 0x1, 0x300
_GET_TABLE, _GET_CHAIN, _GET_RULE, _GET_SET, _GET_ELEMENT = (10 << 8 | number for number in (1, 4, 7, 10, 13))
_TABLE_FLAGS, _TABLE_OWNER = 2, 7  # NFTA_TABLE_*
_FLAGS = {0x1: "dormant", 0x2: "owner", 0x4: "persist"}  # NFT_TABLE_F_*
_CHAIN_TABLE, _CHAIN_NAME, _CHAIN_HOOK = 1, 3, 4  # NFTA_CHAIN_*
_HOOK_NUMBER, _HOOK_DEVICE, _HOOK_DEVICES = 1, 3, 4  # NFTA_HOOK_*
_DEVICE_PREFIX = 2  # NFTA_DEVICE_PREFIX, Linux 6.16
_RULE_TABLE = 1  # NFTA_RULE_TABLE
_SET_TABLE, _SET_NAME, _SET_DATA_TYPE = (
    1,
    2,
    6,
)  # NFTA_SET_*, of which the first two are those of its elements as well
_VERDICT = 0xFFFFFF00  # NFT_DATA_VERDICT
FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}  # NFPROTO_*
_INET_INGRESS = 5  # NF_INET_INGRESS


@dataclass(frozen=True)
class NftTableFact:
    """An nft table. With the flag `owner`, `owner` is the netlink port of the socket that alone may change it."""

    family: str
    name: str
    flags: frozenset[str] = frozenset()
    owner: int | None = None


@dataclass(frozen=True)
class IngressChain:
    """A base chain at devices. `devices` are their names; one that ends in `*` is a prefix."""

    family: str
    table: str
    name: str
    devices: tuple[str, ...]


def get_tables(sequence: int) -> bytes:
    return message(_GET_TABLE, _REQUEST | _DUMP, sequence, b"", family=0)


def get_chains(sequence: int) -> bytes:
    return message(_GET_CHAIN, _REQUEST | _DUMP, sequence, b"", family=0)


def get_rules(sequence: int, table: NftTableFact) -> bytes:
    """The message that asks for the rules of one table."""
    return message(_GET_RULE, _REQUEST | _DUMP, sequence, _string(_RULE_TABLE, table.name), family=_number_of(table))


def get_sets(sequence: int) -> bytes:
    return message(_GET_SET, _REQUEST | _DUMP, sequence, b"", family=0)


def get_contents(sequence: int, table: NftTableFact, name: str) -> bytes:
    """The elements of a set or map."""
    names = _string(_SET_TABLE, table.name) + _string(_SET_NAME, name)
    return message(_GET_ELEMENT, _REQUEST | _DUMP, sequence, names, family=_number_of(table))


def chain_table(body: bytes) -> tuple[str, str]:
    """Family and name of the table of a chain or set."""
    return _family(body), read_text(dict(attributes(body[4:]))[_CHAIN_TABLE])


def rule_identity(body: bytes) -> bytes:
    """Table, chain and handle, with which nf_tables_fill_rule_info() begins. A changed rule has a new handle."""
    end = 4
    for _ in range(3):
        end += int.from_bytes(body[end : end + 2], sys.byteorder) + 3 & ~3
    return body[4:end]


def verdict_map(body: bytes) -> str | None:
    """The name of a set that maps to verdicts."""
    found = dict(attributes(body[4:]))
    return read_text(found[_SET_NAME]) if read_number(found.get(_SET_DATA_TYPE, b"")) == _VERDICT else None


def table_fact(body: bytes) -> NftTableFact:
    """Parse a message of NFT_MSG_GETTABLE, from its struct nfgenmsg on."""
    found = dict(attributes(body[4:]))
    bits = read_number(found.get(_TABLE_FLAGS, b""))
    flags = {_FLAGS.get(1 << n, f"{1 << n:#x}") for n in range(bits.bit_length()) if bits >> n & 1}
    owner = read_number(found[_TABLE_OWNER]) if _TABLE_OWNER in found else None
    return NftTableFact(_family(body), read_text(found[TABLE_NAME]), frozenset(flags), owner)


def ingress_chain(body: bytes) -> IngressChain | None:
    """Parse a message of NFT_MSG_GETCHAIN; None for a chain without devices."""
    found = dict(attributes(body[4:]))
    hook = dict(attributes(found.get(_CHAIN_HOOK, b"")))
    family = _family(body)
    if not hook or not (
        family == "netdev" or (family == "inet" and read_number(hook[_HOOK_NUMBER]) == _INET_INGRESS)
    ):
        return None
    devices = [
        read_text(name) + ("*" if kind == _DEVICE_PREFIX else "")
        for kind, name in attributes(hook.get(_HOOK_DEVICES, b""))
    ]
    if not devices and _HOOK_DEVICE in hook:
        devices = [read_text(hook[_HOOK_DEVICE])]
    return IngressChain(family, read_text(found[_CHAIN_TABLE]), read_text(found[_CHAIN_NAME]), tuple(devices))


def _family(body: bytes) -> str:
    return FAMILIES.get(body[0], f"family {body[0]}")


def _number_of(table: NftTableFact) -> int:
    return next((number for number, name in FAMILIES.items() if name == table.family), 0)


def _string(kind: int, text: str) -> bytes:
    return attribute(kind, text.encode() + b"\0")
