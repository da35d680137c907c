"""Takes the survey that `nvi_operator.doctor` judges: one machine, in the calling thread's network namespace.

Nothing is changed: what has to be tried out is tried in a namespace of its own (`survey_machine.py`).
What cannot be read is left empty or told in the survey; nothing here raises for the state of a machine.
"""

from __future__ import annotations

import os
import socket
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nvi_operator.doctor.survey import ALL_ONES, Family, RouteUse, RuleFact, Survey
from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.kernel.facts import read_facts
from nvi_operator.kernel.module.survey import survey_module
from nvi_operator.kernel.rtnetlink import Rtnetlink
from nvi_operator.kernel.survey_machine import (
    bpf_error,
    can_make,
    capabilities,
    has_conntrack,
    networkd,
)
from nvi_operator.kernel.survey_nft import nft_version, probe_binding, read_ruleset
from nvi_operator.ruleset.table import TABLE
from nvi_operator.state.facts import LinkFact

_FAMILIES: dict[Family, int] = {4: socket.AF_INET, 6: socket.AF_INET6}
_SYS = Path("/proc/sys")
_NET = Path("/proc/thread-self/net")  # /proc/net is the namespace of the process, not of the thread
_PATHS = (
    "net/ipv4/ip_forward",
    "net/ipv6/conf/all/forwarding",
    "net/ipv4/conf/all/rp_filter",
    "net/netfilter/nf_conntrack_count",
    "net/netfilter/nf_conntrack_max",
    "net/netfilter/nf_conntrack_helper",
    "kernel/unprivileged_bpf_disabled",
)
_PER_LINK = ("rp_filter", "proxy_arp")
_ACTIONS = {1: "lookup", 2: "goto", 3: "nop", 6: "blackhole", 7: "unreachable", 8: "prohibit"}
_INVERT = 2  # FIB_RULE_INVERT
_UNSET = 0xFFFFFFFF
_SELECTORS = {
    "FRA_TUN_ID": "tun_id",
    "FRA_UID_RANGE": "uidrange",
    "FRA_IP_PROTO": "ipproto",
    "FRA_SPORT_RANGE": "sport",
    "FRA_DPORT_RANGE": "dport",
}


def take_survey(device: str = "nvi0", *, try_binding: bool = True) -> Survey:
    """Look at everything. Raises KernelError only if the kernel's own lists of links and rules cannot be had.

    `try_binding`: by starting Python, which takes as long as all the rest.
    """
    from pyroute2 import IPRoute

    version = nft_version()
    objects, failures = read_ruleset(TABLE) if version is not None else ((), ())
    with IPRoute() as ipr, Rtnetlink() as rtnetlink:
        links = dict(read_facts(ipr, rtnetlink, cookie=0).links)
        rules = tuple(_rules(ipr))
    return Survey(
        kernel=os.uname().release,
        device=device,
        capabilities=capabilities(),
        nft_version=version,
        nft_objects=objects,
        nft_failures=failures,
        binding=probe_binding() if try_binding else None,
        bpf_error=bpf_error(),
        kinds=can_make("ifb", "nvi"),
        module=survey_module(),
        conntrack=has_conntrack(),
        rules=rules,
        routes=tuple(_routes()),
        sysctls=_sysctls(links),
        legacy_tables=tuple(_legacy_tables()),
        networkd=networkd(),
        links=links,
    )


def _sysctls(links: Mapping[str, LinkFact]) -> dict[str, str]:
    paths = [*_PATHS, *(f"net/ipv4/conf/{ifname}/{name}" for ifname in links for name in _PER_LINK)]
    values: dict[str, str] = {}
    for path in paths:
        try:
            values[path] = (_SYS / path).read_text(encoding="ascii").strip()
        except OSError:
            continue  # this kernel has none of that name, or the link has gone
    return values


def _legacy_tables() -> Iterator[tuple[Family, str]]:
    names: tuple[tuple[Family, str], ...] = ((4, "ip_tables_names"), (6, "ip6_tables_names"))
    for family, name in names:
        try:
            text = (_NET / name).read_text(encoding="ascii")
        except OSError:
            continue  # no iptables-legacy in this kernel, or not root
        for table in text.split():
            yield family, table


# --------------------------------------------------------------------------- FIB rules and routes


def _rules(ipr: Any) -> Iterator[RuleFact]:
    for family, number in _FAMILIES.items():
        with kernel_errors("FIB rules: listing"):
            rules = list(ipr.get_rules(family=number))
        for rule in rules:
            yield _rule(family, rule)


def _rule(family: Family, rule: Any) -> RuleFact:
    mask = rule.get("FRA_FWMASK")
    mark = rule.get("FRA_FWMARK")
    if mark is None and mask:
        mark = 0  # the kernel leaves a mark of 0 out, and keeps its mask
    action = _ACTIONS.get(rule["action"], f"action-{rule['action']}")
    suppressed = rule.get("FRA_SUPPRESS_PREFIXLEN")
    return RuleFact(
        family,
        rule.get("FRA_PRIORITY") or 0,
        action,
        table=rule.get("FRA_TABLE") if action == "lookup" else None,
        goto=rule.get("FRA_GOTO"),
        protocol=rule.get("FRA_PROTOCOL") or 0,
        inverted=bool(rule["flags"] & _INVERT),
        iif=rule.get("FRA_IIFNAME"),
        oif=rule.get("FRA_OIFNAME"),
        source=_prefix(rule, "src"),
        destination=_prefix(rule, "dst"),
        mark=mark,
        mask=None if mark is None else (ALL_ONES if mask is None else mask),
        suppress_prefix_length=None if suppressed in (None, _UNSET) else suppressed,
        l3mdev=bool(rule.get("FRA_L3MDEV")),
        other=tuple(_others(rule)),
    )


def _prefix(rule: Any, side: str) -> str | None:
    address = rule.get(f"FRA_{side.upper()}")
    return f"{address}/{rule[f'{side}_len']}" if address else None


def _others(rule: Any) -> Iterator[str]:
    if rule["tos"]:
        yield f"tos {rule['tos']:#x}"
    for attribute, name in _SELECTORS.items():
        value = rule.get(attribute)
        if isinstance(value, Mapping):
            yield f"{name} {value.get('start', value.get('begin'))}-{value.get('end')}"
        elif value:
            yield f"{name} {value}"


def _routes() -> Iterator[RouteUse]:
    """Counts only, without pyroute2: a router may have a million routes, and each would cost it 100 us."""
    counts: Counter[tuple[Family, int, int]] = Counter()
    for family, number in _FAMILIES.items():
        for table, protocol in _dump_routes(number):
            counts[family, table, protocol] += 1
    return (RouteUse(family, table, protocol, n) for (family, table, protocol), n in sorted(counts.items()))


def _dump_routes(family: int) -> Iterator[tuple[int, int]]:
    """(table, protocol) of every route. struct rtmsg: include/uapi/linux/rtnetlink.h."""
    getroute, dump, done, error, rta_table, cloned = 26, 0x301, 3, 2, 15, 0x200
    with kernel_errors("routes: listing"), socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as sock:
        sock.bind((0, 0))
        sock.send(struct.pack("=IHHIIB11x", 28, getroute, dump, 1, 0, family))
        while True:
            data = sock.recv(1 << 18)
            offset = 0
            while offset < len(data):
                length, kind = struct.unpack_from("=IH", data, offset)
                if kind in (done, error):
                    return
                table, protocol = data[offset + 20], data[offset + 21]
                (flags,) = struct.unpack_from("=I", data, offset + 24)
                if not flags & cloned:
                    yield _attribute(data, offset + 28, offset + length, rta_table) or table, protocol
                offset += length + 3 & ~3


def _attribute(data: bytes, offset: int, end: int, wanted: int) -> int | None:
    while offset + 4 <= end:
        size, kind = struct.unpack_from("=HH", data, offset)
        if kind == wanted:
            (value,) = struct.unpack_from("=I", data, offset + 4)
            return int(value)
        offset += max(size, 4) + 3 & ~3
    return None
